"""Real votes for sanity checks; see shared/data/README.md. Never committed, so tests may skip."""

import json
from pathlib import Path

import numpy as np
import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def wrench(name, split):
    folder = SHARED / f"wrench_{name}"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent; it holds votes that may not be committed")
    rows = json.loads((folder / f"{split}.json").read_text())
    keys = sorted(rows, key=int)
    votes = np.array([rows[key]["weak_labels"] for key in keys])
    return votes, np.array([rows[key]["label"] for key in keys])


def labelme():
    path = SHARED / "labelme" / "labelme.npz"
    if not path.is_file():
        pytest.skip(f"{path} is absent; it holds votes that may not be committed")
    with np.load(path, allow_pickle=False) as data:
        return data["votes"], data["features_train"], data["gold_train"]

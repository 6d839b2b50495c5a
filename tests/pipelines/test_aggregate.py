"""The aggregate stage on votes with a truth that we planted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.sections import AggregateConfig
from pipelines.stages.aggregate import AggregateInputs, aggregate
from pipelines.stages.base import Work
from tests.weak_supervision.label_models.test_confidence import planted_soft
from weak_supervision.neighbors import build_graph

CLASSES = ("a", "b", "c")


def run(folder: Path, votes, soft_votes, classes=CLASSES) -> pd.DataFrame:
    n = len(votes)
    folder.mkdir()
    table = {"item_id": [f"{i:04d}" for i in range(n)], "split": "unlabeled"}
    pd.DataFrame(table).to_parquet(folder / "items.parquet")
    pd.DataFrame({"item_id": pd.Series([], dtype=str), "label": []}).to_parquet(folder / "human")
    np.save(folder / "votes.npy", votes)
    (folder / "soft_votes").mkdir()
    for column, probabilities in soft_votes.items():
        np.save(folder / "soft_votes" / f"{column}.npy", probabilities.astype(np.float32))
    np.save(folder / "bag_votes.npy", np.full(n, -1, np.int16))
    np.save(folder / "features.npy", np.zeros((n, 1), np.float32))
    np.save(folder / "present.npy", np.zeros(n, bool))
    build_graph(np.zeros((n, 1), np.float32)).save(folder / "graph")
    inputs = AggregateInputs(
        items=folder / "items.parquet", votes=folder / "votes.npy",
        soft_votes=folder / "soft_votes", bag_votes=folder / "bag_votes.npy",
        features=folder / "features.npy", present=folder / "present.npy",
        graph=folder / "graph", human=folder / "human",
    )  # fmt: skip
    work = Work(
        out=folder, scratch=folder, cache=folder, project_root=folder, seed=0, classes=classes
    )
    aggregate(inputs, AggregateConfig(model="dawid_skene"), work)
    return pd.read_parquet(folder / "weak_labels.parquet")


def test_confidence_of_soft_lfs_makes_better_labels_of_the_same_votes(tmp_path):
    votes, soft, truth = planted_soft(n=2000)
    plain, levels = run(tmp_path / "plain", votes, {}), run(tmp_path / "levels", votes, soft)
    assert (levels["covered"] == plain["covered"]).all()
    assert (levels["label"] == truth).mean() > (plain["label"] == truth).mean() + 0.02


@pytest.mark.filterwarnings("error")
def test_a_hundred_classes_are_no_cause_for_a_warning(tmp_path):
    votes = np.arange(240, dtype=np.int16).reshape(-1, 1) % 120
    weak = run(tmp_path / "many", votes, {}, tuple(f"c{k:03d}" for k in range(120)))
    assert weak.columns[[1, 120]].tolist() == ["p_c000", "p_c119"]
    assert (weak["label"] == votes[:, 0]).all()


def test_torch_and_snorkel_wait_until_snorkels_model_is_fitted():
    code = (
        "import sys\nimport pipelines.stages.aggregate, pipelines.stages.vote\n"
        "print(*{'torch', 'snorkel', 'PIL'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []

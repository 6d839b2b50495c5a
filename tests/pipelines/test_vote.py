"""The vote stage: items and attributes side by side, hidden columns, features, a text encoder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.sections import VoteConfig
from pipelines.stages.base import Work
from pipelines.stages.vote import VoteInputs, vote
from ssl_models.text import TEXT_ENCODERS

TEXTS = ["win a cash prize now", "cash prize for you", "see you at lunch", "lunch at home"] * 10
RULES = """
[[lf]]
name = "prize"
kind = "keywords"
column = "text"
words = ["prize"]
vote = "spam"

[[lf]]
name = "few"
kind = "threshold"
column = "n_letters"
below = 14
vote = "ham"

[[lf]]
name = "hidden"
kind = "metadata"
column = "sha256"
equals = "00"
vote = "ham"

[[lf]]
name = "described"
kind = "zero_shot"
descriptions = {ham = "lunch at home", spam = "a cash prize"}
soft = true

[[lf]]
name = "capitals"
kind = "regex"
column = "text"
pattern = "(?=Z)Z"
match_case = true
vote = "ham"

[[lf]]
name = "like_first"
kind = "prototype"
vote = "spam"
positives = ["00"]
at_least = 0.999
"""


@pytest.fixture
def inputs(tmp_path) -> VoteInputs:
    n = len(TEXTS)
    ids = [f"{i:02d}" for i in range(n)]
    items = pd.DataFrame(
        {"item_id": ids, "text": TEXTS, "split": "dev", "sha256": ids, "noisy_label": None}
    )
    items.to_parquet(tmp_path / "items.parquet")
    letters = pd.DataFrame({"item_id": ids, "n_letters": [float(len(t)) for t in TEXTS]})
    letters.to_parquet(tmp_path / "attributes.parquet")
    encoder = TEXT_ENCODERS["tfidf_svd"]().fit(TEXTS)
    encoder.save(tmp_path / "encoder")
    np.save(tmp_path / "features.npy", encoder.encode(TEXTS))
    present = np.ones(n, bool)
    present[4] = False
    np.save(tmp_path / "present.npy", present)
    (tmp_path / "lfs").mkdir()
    (tmp_path / "lfs" / "rules.toml").write_text(RULES)
    return VoteInputs(
        items=tmp_path / "items.parquet",
        attributes=tmp_path / "attributes.parquet",
        features=tmp_path / "features.npy",
        present=tmp_path / "present.npy",
        encoder=tmp_path / "encoder",
    )


def run(inputs: VoteInputs, folder: Path):
    (folder / "out").mkdir(exist_ok=True)
    work = Work(
        out=folder / "out", scratch=folder, cache=folder / "cache", project_root=folder, seed=0,
        classes=("ham", "spam"),
    )  # fmt: skip
    result = vote(inputs, VoteConfig(), work)
    reports = json.loads((folder / "out" / "lfs.json").read_text())
    return np.load(folder / "out" / "votes.npy"), {r["name"]: r for r in reports}, result


def test_templates_see_text_attributes_features_and_the_text_encoder(inputs, tmp_path):
    votes, reports, result = run(inputs, tmp_path)
    assert votes.dtype == np.int16 and votes.flags["C_CONTIGUOUS"]
    assert votes[:4].tolist() == [
        [1, -1, -1, 1, -1, 1],
        [1, -1, -1, 1, -1, -1],
        [-1, -1, -1, 0, -1, -1],
        [-1, 0, -1, 0, -1, -1],
    ]
    assert votes[4].tolist() == [1, -1, -1, -1, -1, -1]  # no features
    assert (votes[8::4] == votes[0]).all()
    assert "no column 'sha256'" in reports["hidden"]["note"]
    assert result.metrics["n_lfs"] == 6
    (file,) = (tmp_path / "out" / result.outputs["soft_votes"]).glob("*")
    assert file.name == "3.npy" and [r["is_soft"] for r in reports.values()].index(True) == 3
    soft = np.load(file)
    assert (soft.argmax(axis=1) == votes[:, 3])[votes[:, 3] >= 0].all() and np.isnan(soft[4]).all()


def test_without_a_text_encoder_zero_shot_says_so(inputs, tmp_path):
    (tmp_path / "encoder" / "encoder.json").write_text('{"backbone": "resnet18"}')
    votes, reports, _ = run(inputs, tmp_path)
    assert (votes[:, 3] == -1).all() and (votes[:, 0] != -1).sum() == 20
    assert "needs the text encoder" in reports["described"]["note"]

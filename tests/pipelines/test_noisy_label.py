"""A project whose items came with labels that are partly wrong, and not a single function."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.engine import run_line
from pipelines.project import Project
from tests.pipelines.conftest import CLASSES, SETTINGS, shapes
from weaklight.errors import LabelingError


def test_noisy_labels_alone_are_cleaned_and_learnt_from(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = shapes(n_unlabeled=0, n_dev=270, n_test=60)
    truth, unlabeled = table["gold"].copy(), np.arange(330) < 240
    wrong = rng.random(330) < 0.25
    other = [CLASSES[(CLASSES.index(k) + 1 + rng.integers(2)) % 3] for k in truth]
    table["noisy_label"] = np.where(wrong, other, truth)
    table.loc[~unlabeled, "noisy_label"] = None
    table.loc[unlabeled, ["split", "gold"]] = ["unlabeled", None]
    table.drop(columns=["bag_id", "bag_label"], errors="ignore").to_parquet(
        tmp_path / "items.parquet", index=False
    )
    settings = SETTINGS.split("[bags]")[0]
    (tmp_path / "weaklight.toml").write_text(settings + '\n[train]\nstrategy = "elr"\n')
    project = Project.open(tmp_path)
    run = run_line(project)
    lfs = json.loads(project.store.path("vote", run.artifacts["vote"], "lfs").read_text())
    assert [lf["name"] for lf in lfs] == ["noisy_label"]
    issues = pd.read_parquet(project.store.path("clean", run.artifacts["clean"], "issues"))
    doubted = set(issues.loc[issues["kind"] == "label", "item_id"])
    truly = set(table.loc[wrong & unlabeled, "item_id"])
    assert len(doubted & truly) > 0.6 * len(doubted)
    evaluated = json.loads(
        project.store.path("evaluate", run.artifacts["evaluate"], "evaluation").read_text()
    )
    values = {entry["key"]: entry["value"] for entry in evaluated["headline"]}
    assert values["classifier_accuracy"] > 0.75 + 0.05
    told = json.loads(project.store.path("report", run.artifacts["report"], "numbers").read_text())
    came = "The labels that the items came with, right or wrong, voted on 240 of 330 items."
    assert told["what_was_done"][0] == came
    assert "there is one voter" in told["choice"]["reason"]
    assert "cannot be judged" in told["choice"]["reason"]
    titles = {e["key"]: e["title"] for key in ("headline", "gains") for e in evaluated[key]}
    assert titles["coverage"] == "Items that came with a label"
    # no test item came with a label: what a vote says there is a draw, and no rival to boast of
    by_key = {e["key"]: e for key in ("headline", "gains") for e in evaluated[key]}
    assert by_key["majority_vote_accuracy"]["guessed"] == 1.0
    assert by_key["vote"]["reason"] == "cannot be told: 0 of 60 test items have a vote"
    assert "majority vote" not in told["sentence"]
    assert "better than calling every item " in told["sentence"]
    assert titles["vote"] == "The labels that the items came with"
    page = project.store.path("report", run.artifacts["report"], "report").read_text()
    assert "<h2>The labels that the items came with</h2>" in page
    assert "of these items came with a label" in page
    assert "100 % guessed: no vote, or a tie" in page and "the label it came with" in page
    assert not re.search("(?i)functions|a function", page)


def test_nothing_that_says_a_label_is_an_error_that_names_all_that_could(tmp_path: Path) -> None:
    shapes(30, 6, 6).to_parquet(tmp_path / "items.parquet", index=False)
    (tmp_path / "weaklight.toml").write_text(SETTINGS.replace('positive = "tall"', ""))
    with pytest.raises(LabelingError, match="a column of noisy labels, labels by people, or"):
        run_line(Project.open(tmp_path), ("pretrain", "reviews", "vote"))

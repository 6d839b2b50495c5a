"""What each step gained or lost on a planted run, against what is counted here by hand."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.report.words import gain_words
from pipelines.stages.evaluate import EvaluateInputs
from pipelines.stages.gains import gains
from pipelines.stages.judged import Judged, label_steps
from tests.pipelines.planted import CHOSEN, CLASSES, Planted, write_run
from weak_supervision.classifiers import LinearHead
from weak_supervision.label_models import MajorityVote, hard_labels


def gained(planted: Planted) -> dict[str, dict[str, Any]]:
    files = {
        f.name: planted.files[f.name] for f in fields(EvaluateInputs) if f.name in planted.files
    }
    run = Judged(EvaluateInputs(**files), CLASSES)
    return {step["key"]: step for step in gains(run, label_steps(run), seed=0)}


def rewrite(file: Path, array: np.ndarray) -> None:
    np.save(file, array.astype(np.load(file).dtype))


def test_steps_add_up_from_a_guess_to_the_classifier(tmp_path: Path) -> None:
    planted = write_run(tmp_path)
    found = gained(planted)
    assert list(found) == [
        "vote",
        "bags",
        "label_model",
        "features",
        "hybrid",
        "clean",
        "train",
        "hand",
    ]
    untaken = {key for key, step in found.items() if "reason" in step}
    assert untaken == {"bags", "hybrid", "clean", "hand"}
    test = planted.split == "test"
    said = np.load(planted.files["probabilities"]).argmax(axis=1)
    right = (said == planted.gold)[test].mean()
    assert found["train"]["value"] == pytest.approx(right)
    guess = CLASSES.index(found["vote"]["before"].removeprefix("calling every item "))
    guessed = (planted.gold[test] == guess).mean()
    steps = [step["difference"] for key, step in found.items() if key not in untaken]
    assert guessed + sum(steps) == pytest.approx(right)
    assert found["vote"]["verdict"] == "better"  # functions that are right at 0.7 beat a guess
    assert all(found[key]["n"] == 200 for key in set(found) - untaken)


def test_labels_by_hand_are_set_against_the_same_classifier_without_them(tmp_path: Path) -> None:
    planted = write_run(tmp_path)
    test = planted.split == "test"
    perfect = np.eye(3, dtype=np.float32)[planted.gold]
    without = np.load(planted.files["probabilities"])
    rewrite(planted.files["probabilities"], perfect)
    np.save(tmp_path / "without_hand.npy", without)
    before = (without.argmax(axis=1) == planted.gold)[test].mean()
    found = gained(
        Planted(
            {**planted.files, "without_hand": tmp_path / "without_hand.npy"},
            planted.gold,
            planted.split,
            planted.votes,
        )
    )
    assert found["train"]["value"] == pytest.approx(before)
    assert found["hand"]["value"] == 1.0
    assert found["hand"]["difference"] == pytest.approx(1 - before)


def test_a_classifier_trained_only_with_labels_by_hand_is_said_to_have_them(tmp_path: Path) -> None:
    planted = write_run(tmp_path)
    assert gained(planted)["hand"]["reason"] == "not taken: nobody labelled items by hand"
    weak = pd.read_parquet(planted.files["weak_labels"])
    weak.loc[np.flatnonzero(planted.split == "unlabeled")[:3], "source"] = "human"
    weak.to_parquet(planted.files["weak_labels"])
    hand = gained(planted)["hand"]  # a tuned encoder keeps no `without_hand`
    assert hand["title"].endswith(": 3")
    assert hand["reason"].startswith("in the line above")


def test_bags_are_set_against_the_functions_alone(tmp_path: Path) -> None:
    planted = write_run(tmp_path)
    bags = np.where(np.arange(len(planted.gold)) % 2, planted.gold, -1)  # right on every other item
    rewrite(planted.files["bag_votes"], bags)
    keys = [f"item-{i:04d}" for i in range(len(bags))]
    right = []
    for votes in (planted.votes, np.column_stack([planted.votes, bags])):
        posterior = MajorityVote().fit(votes, n_classes=3).predict_proba(votes)
        labels = hard_labels(posterior, keys=keys)
        right.append((labels == planted.gold)[planted.split == "test"].mean())
    rewrite(planted.files["posteriors"] / "majority_vote.npy", posterior)
    found = gained(planted)
    assert found["vote"]["value"] == pytest.approx(right[0])
    assert found["bags"]["value"] == pytest.approx(right[1])
    assert found["bags"]["difference"] == pytest.approx(right[1] - right[0])
    assert found["bags"]["verdict"] == "better"
    rewrite(planted.files["bag_votes"], np.where(planted.split == "test", -1, bags))
    assert gained(planted)["bags"]["reason"].startswith("cannot be told")


def test_cleaning_is_shown_by_what_the_same_classifier_learns_without_the_doubted(
    tmp_path: Path,
) -> None:
    planted = write_run(tmp_path)
    weak = np.load(planted.files["posteriors"] / "chosen.npy")
    spoilt = planted.gold == 0  # half of the first class is surely called the second
    spoilt &= np.arange(len(weak)) % 8 < 5
    weak[spoilt] = [0, 1, 0]
    for name in ("chosen", CHOSEN):
        rewrite(planted.files["posteriors"] / f"{name}.npy", weak)
    unlabeled = planted.split == "unlabeled"
    rewrite(planted.files["weights"], unlabeled & ~spoilt)
    features, test = np.load(planted.files["features"]), planted.split == "test"
    right = []
    for rows in (unlabeled, unlabeled & ~spoilt):
        head = LinearHead().fit(features[rows], weak[rows], weak[rows].max(axis=1))
        said = head.predict_proba(features[test]).argmax(axis=1)
        right.append((said == planted.gold[test]).mean())
    clean = gained(planted)["clean"]
    assert clean["value"] == pytest.approx(right[1], abs=0.005)  # the loose tolerance of the two
    assert clean["difference"] == pytest.approx(right[1] - right[0], abs=0.01)
    assert clean["verdict"] == "better"


def test_pseudo_labels_are_set_against_the_labels_that_they_started_from(tmp_path: Path) -> None:
    planted = write_run(tmp_path)
    before = gained(planted)
    choice = json.loads(planted.files["choice"].read_text())
    planted.files["choice"].write_text(json.dumps(choice | {"hybrid": {"method": "curriculum"}}))
    rewrite(planted.files["posteriors"] / "chosen.npy", np.eye(3)[planted.gold])
    after = gained(planted)
    assert after["features"] == before["features"]
    assert after["hybrid"]["difference"] == pytest.approx(1 - before["features"]["value"])
    assert after["train"]["verdict"] == "worse"  # the classifier is no oracle


def test_without_gold_on_test_no_step_gains(tmp_path: Path) -> None:
    assert gained(write_run(tmp_path, gold_splits=("dev",))) == {}


@pytest.mark.parametrize(
    ("difference", "low", "high", "verdict", "words"),
    [
        (0.031, 0.012, 0.05, "better", "gained 3.1 points (1.2 to 5.0)"),
        (-0.031, -0.05, -0.012, "worse", "lost 3.1 points (1.2 to 5.0)"),
        (
            0.001,
            -0.01,
            0.012,
            "no clear difference",
            "no clear change: +0.1 points (\N{MINUS SIGN}1.0 to +1.2)",
        ),
    ],
)
def test_gains_in_words(
    difference: float, low: float, high: float, verdict: str, words: str
) -> None:
    step = {"difference": difference, "difference_low": low, "difference_high": high}
    assert gain_words({**step, "n": 200, "verdict": verdict}) == words
    assert gain_words({**step, "n": 19, "verdict": verdict}).startswith("too few test items (19)")
    assert gain_words({"reason": "not taken: no bag votes"}) == "not taken: no bag votes"


@pytest.mark.parametrize(("n_voted", "is_told"), [(19, False), (100, True)])
def test_where_bags_alone_vote_a_guess_is_what_they_are_set_against(
    tmp_path: Path, n_voted: int, is_told: bool
) -> None:
    planted = write_run(tmp_path)
    test = np.flatnonzero(planted.split == "test")
    voted = np.zeros(len(planted.gold), dtype=bool)
    voted[test[:n_voted]] = True
    bags = np.where(voted, planted.gold, -1)
    majority = np.where(voted[:, None], np.eye(3)[planted.gold], 1 / 3)
    rewrite(planted.files["votes"], np.empty((len(voted), 0)))
    rewrite(planted.files["bag_votes"], bags)
    planted.files["lfs"].write_text("[]")
    for name in ("majority_vote", "chosen"):
        rewrite(planted.files["posteriors"] / f"{name}.npy", majority)
        rewrite(planted.files["posteriors"] / f"{name}.covered.npy", voted)
    choice = json.loads(planted.files["choice"].read_text()) | {"chosen": "majority_vote"}
    planted.files["choice"].write_text(json.dumps(choice))
    found = gained(planted)
    guess = next(f for f in CLASSES if found["bags"]["before"] == f"calling every item {f}")
    assert "vote" not in found  # there is no function
    if is_told:
        assert found["bags"]["value"] > 0.6
        assert found["train"]["before"] == "the weak labels that taught it (50 % guessed)"
    else:
        assert found["bags"]["reason"] == "cannot be told: 19 of 200 test items have a vote"
        assert found["train"]["before"] == f"calling every item {guess}"
        said = np.load(planted.files["probabilities"]).argmax(axis=1)[test]
        gold = planted.gold[test]
        gain = (said == gold).mean() - (gold == CLASSES.index(guess)).mean()
        assert found["train"]["difference"] == pytest.approx(gain)

"""Ranges and slices of a planted run, against what is computed here by hand."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.stages.evaluate import EvaluateInputs
from pipelines.stages.gains import gains
from pipelines.stages.judged import Judged, label_steps
from pipelines.stages.sensitivity import sensitivities, slices
from tests.pipelines.planted import CLASSES, LF_NAMES, Planted, write_run
from weak_supervision.classifiers import LinearHead
from weak_supervision.label_models import MajorityVote, hard_labels
from weaklight.errors import ConfigError


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    made = write_run(tmp_path_factory.mktemp("sensitivity"))
    items = pd.read_parquet(made.files["items"])
    items["camera"] = np.where(np.arange(len(items)) % 3 == 0, "old", "new")
    items["serial"] = np.arange(len(items)).astype(str)  # too many values to slice by unasked
    items.to_parquet(made.files["items"], index=False)
    return made


@pytest.fixture(scope="module")
def run(planted: Planted) -> Judged:
    known = {
        f.name: planted.files[f.name] for f in fields(EvaluateInputs) if f.name in planted.files
    }
    return Judged(EvaluateInputs(**known), CLASSES)


def test_leaving_out_a_function_is_done_for_majority_vote_and_the_chosen_model(
    run: Judged, planted: Planted
) -> None:
    found = sensitivities(run, label_steps(run), seed=0)
    majority = found[0]
    assert majority["title"] == "Majority vote" and majority["n_variants"] == len(LF_NAMES)
    test = np.flatnonzero(planted.split == "test")
    accuracies = []
    for column in range(len(LF_NAMES)):
        votes = planted.votes.copy()
        votes[:, column] = -1
        labels = hard_labels(
            MajorityVote().fit(votes, n_classes=3).predict_proba(votes), keys=run.keys
        )
        accuracies.append((labels[test] == planted.gold[test]).mean())
    whole = hard_labels(run.posterior("majority_vote"), keys=run.keys)
    accuracies.append((whole[test] == planted.gold[test]).mean())
    assert majority["value"] == pytest.approx(accuracies[-1])
    assert majority["low"] == pytest.approx(min(accuracies))
    assert majority["high"] == pytest.approx(max(accuracies))
    assert majority["most_influential"] in LF_NAMES
    assert found[1]["title"] == "Dawid-Skene"  # the planted run chose it, with features
    titles = [(f["title"], f["changed"]) for f in found[2:]]
    assert titles[0][0] == "Weak labels" and titles[1][0] == "Classifier"
    assert titles[2] == ("Linear classifier", "taught by 80 % of the weak labels, 5 draws")
    assert all(f["low"] <= f["value"] <= f["high"] for f in found)


@pytest.mark.parametrize("more", [-1, 1])  # than items outside test
def test_of_many_items_test_stays_whole_and_others_are_drawn(
    run: Judged, planted: Planted, monkeypatch: pytest.MonkeyPatch, more: int
) -> None:
    whole = sensitivities(run, label_steps(run), seed=0)[0]
    n_others = int((planted.split != "test").sum())
    monkeypatch.setattr("pipelines.stages.sensitivity.MAX_ROWS", n_others + more)
    found = sensitivities(run, label_steps(run), seed=0)[0]
    assert found["value"] == whole["value"]
    assert found["n_variants"] == len(LF_NAMES)


def test_what_was_changed_is_set_against_the_run_with_its_own_class_balance(
    tmp_path: Path,
) -> None:
    """Items without a vote go to the likeliest class: without the run's balance, by chance."""
    made = write_run(tmp_path)
    balance = [0.1, 0.1, 0.8]
    model = MajorityVote().fit(made.votes, n_classes=3, class_balance=balance)
    posterior = model.predict_proba(made.votes)
    np.save(made.files["posteriors"] / "majority_vote.npy", posterior)
    choice = json.loads(made.files["choice"].read_text())
    made.files["choice"].write_text(json.dumps(choice | {"class_balance": balance}))
    files = {f.name: made.files[f.name] for f in fields(EvaluateInputs) if f.name in made.files}
    judged = Judged(EvaluateInputs(**files), CLASSES)
    steps = label_steps(judged)
    test, majority = judged.rows("test"), steps[0]
    right = (majority.labels == judged.gold)[test].mean()
    assert majority.key == "majority_vote"
    assert sensitivities(judged, steps, seed=0)[0]["value"] == pytest.approx(right)


def test_bags_vote_on_whichever_function_is_left_out(tmp_path: Path) -> None:
    made = write_run(tmp_path)
    np.save(made.files["bag_votes"], made.gold.astype(np.int16))  # they are always right
    majority = MajorityVote().fit(np.column_stack([made.votes, made.gold]), n_classes=3)
    posterior = majority.predict_proba(np.column_stack([made.votes, made.gold]))
    np.save(made.files["posteriors"] / "majority_vote.npy", posterior)
    files = {f.name: made.files[f.name] for f in fields(EvaluateInputs) if f.name in made.files}
    judged = Judged(EvaluateInputs(**files), CLASSES)
    steps = label_steps(judged)
    right = (steps[0].labels == judged.gold)[judged.rows("test")].mean()
    assert sensitivities(judged, steps, seed=0)[0]["value"] == pytest.approx(right)


def test_a_label_model_that_needs_a_classifier_is_not_fitted_again(
    planted: Planted, tmp_path: Path
) -> None:
    choice = json.loads(planted.files["choice"].read_text())
    other = tmp_path / "choice.json"
    other.write_text(json.dumps(choice | {"chosen": "crowdlab"}))
    files = {**planted.files, "choice": other}
    known = {f.name: files[f.name] for f in fields(EvaluateInputs) if f.name in files}
    judged = Judged(EvaluateInputs(**known), CLASSES)
    found = sensitivities(judged, label_steps(judged), seed=0)
    without = [f["title"] for f in found if f["changed"] == "one labelling function left out"]
    assert without == ["Majority vote"]


def test_without_gold_there_are_flips_and_no_accuracy(tmp_path: Path) -> None:
    made = write_run(tmp_path, gold_splits=("dev",))
    known = {f.name: made.files[f.name] for f in fields(EvaluateInputs) if f.name in made.files}
    blind = Judged(EvaluateInputs(**known), CLASSES)
    found = sensitivities(blind, label_steps(blind), seed=0)
    assert all(f["low"] is None and f["most_flipped"] >= 0 for f in found)
    assert slices(blind, label_steps(blind)[-1], None) == []


def test_the_head_that_all_weak_labels_teach_is_fitted_once_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = write_run(tmp_path)
    unlabeled = made.split == "unlabeled"
    np.save(made.files["weights"], (unlabeled & (np.arange(len(unlabeled)) % 4 > 0)).astype("f4"))
    known = {f.name: made.files[f.name] for f in fields(EvaluateInputs) if f.name in made.files}
    fresh, used = (Judged(EvaluateInputs(**known), CLASSES) for _ in range(2))
    sizes, fit = [], LinearHead.fit

    def counted(head: LinearHead, features: np.ndarray, *rest: np.ndarray) -> LinearHead:
        sizes.append(len(features))
        return fit(head, features, *rest)

    monkeypatch.setattr(LinearHead, "fit", counted)
    assert "verdict" in next(s for s in gains(used, label_steps(used), 0) if s["key"] == "clean")
    after = sensitivities(used, label_steps(used), seed=0)
    assert sizes.count(unlabeled.sum()) == 1
    assert after == sensitivities(fresh, label_steps(fresh), seed=0)


def test_slices_take_columns_of_few_values_or_those_named(run: Judged, planted: Planted) -> None:
    step = label_steps(run)[-1]
    found = slices(run, step, None)
    assert {(s["column"], s["slice"]) for s in found} == {("camera", "new"), ("camera", "old")}
    test = np.flatnonzero(planted.split == "test")
    old = test[test % 3 == 0]
    shown = next(s for s in found if s["slice"] == "old")
    assert shown["n"] == len(old)
    right = (step.labels[old] == planted.gold[old]).mean()
    assert shown["value"] == pytest.approx(right)
    assert {s["column"] for s in slices(run, step, ("serial",))} == {"serial"}
    with pytest.raises(ConfigError, match=r"slices names \['weather'\]"):
        slices(run, step, ("weather",))

"""Test gold that was drawn with unequal chances: `[evaluate] probability`."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.sections import EvaluateConfig
from pipelines.stages.base import Work
from pipelines.stages.evaluate import EvaluateInputs, evaluate
from pipelines.stages.judged import Judged
from tests.pipelines.planted import CLASSES, Planted, write_run
from weaklight.errors import ConfigError


def stratified(root: Path) -> tuple[Planted, np.ndarray]:
    """Write a run whose first class was drawn ten times as often as the others."""
    planted = write_run(root)
    chance = np.where(planted.gold == 0, 0.5, 0.05)
    items = pd.read_parquet(planted.files["items"])
    stated = np.where(planted.split == "test", chance, np.nan)
    items.assign(chance=stated).to_parquet(planted.files["items"], index=False)
    return planted, chance


def evaluated(root: Path, planted: Planted, config: EvaluateConfig) -> dict[str, Any]:
    files = {
        f.name: planted.files[f.name] for f in fields(EvaluateInputs) if f.name in planted.files
    }
    root.mkdir()
    evaluate(EvaluateInputs(**files), config, Work(root, root, root, root, 0, CLASSES))
    result: dict[str, Any] = json.loads((root / "evaluation.json").read_text())
    return result


def test_each_row_counts_by_the_inverse_of_its_chance(tmp_path: Path) -> None:
    planted, chance = stratified(tmp_path)
    test = planted.split == "test"
    found = evaluated(tmp_path / "out", planted, EvaluateConfig(probability="chance"))
    right = np.load(planted.files["probabilities"]).argmax(axis=1) == planted.gold
    by_hand = np.average(right[test], weights=1 / chance[test])
    headline = {entry["key"]: entry for entry in found["headline"]}
    measured = headline["classifier_accuracy"]
    assert measured["value"] == pytest.approx(by_hand)
    assert measured["value"] != pytest.approx(right[test].mean(), abs=1e-4)
    assert measured["low"] < by_hand < measured["high"] and measured["n"] == 200
    steps = {step["key"]: step for step in found["steps"]}
    assert steps["classifier"]["test"]["overall"]["value"] == pytest.approx(by_hand)
    dev = planted.split == "dev"  # drawn evenly
    assert steps["classifier"]["dev"]["overall"]["value"] == pytest.approx(right[dev].mean())
    gain = headline["classifier_accuracy"]["value"] - headline["majority_vote_accuracy"]["value"]
    assert found["comparisons"][0]["difference"] == pytest.approx(gain)
    train = next(step for step in found["gains"] if step["key"] == "train")
    assert train["value"] == pytest.approx(by_hand)
    assert found["weighted_by"] == "chance"
    assert found["slices"] == []  # a chance to be drawn is no slice


def test_draws_from_a_pool_that_grew_weigh_without_being_asked(tmp_path: Path) -> None:
    planted, chance = stratified(tmp_path)
    stated = evaluated(tmp_path / "stated", planted, EvaluateConfig(probability="chance"))
    test = pd.read_parquet(planted.files["gold_test"])
    for name, known, weighted_by in (
        ("drawn", chance[planted.split == "test"], "drawn from a pool that grew"),
        ("evenly", 0.3, None),
        ("some_came", np.where(np.arange(len(test)) < 5, np.nan, 0.3), None),
    ):
        test.assign(chance=known).to_parquet(planted.files["gold_test"], index=False)
        found = evaluated(tmp_path / name, planted, EvaluateConfig(slices=()))
        assert found["weighted_by"] == weighted_by
        assert (found["headline"] == stated["headline"]) == (name == "drawn")


def test_weighted_figures_are_those_of_the_whole_pool(tmp_path: Path) -> None:
    """Gold of every item, and of a sample with the first class drawn twenty times as often."""
    whole = write_run(tmp_path / "whole", sizes=(400, 120, 12_000))
    sampled = write_run(tmp_path / "sampled", sizes=(400, 120, 12_000))
    chance = np.where(whole.gold == 0, 0.8, 0.04)
    site = np.where(np.load(whole.files["features"])[:, 0] > 1, "near", "far")
    for planted in (whole, sampled):
        items = pd.read_parquet(planted.files["items"])
        items.assign(chance=chance, site=site).to_parquet(planted.files["items"], index=False)
        votes, stated = np.load(planted.files["votes"]), np.load(planted.files["probabilities"])
        votes[planted.gold == 0, 0] = 1  # the first class is hard: a function is always wrong
        stated[planted.gold == 0] = (stated[planted.gold == 0] + 1) / 4  # and confidence is low
        np.save(planted.files["votes"], votes)
        np.save(planted.files["probabilities"], stated)
    rows = np.flatnonzero(whole.split == "test")
    kept = rows[np.random.default_rng(0).random(len(rows)) < chance[rows]]
    gold = pd.read_parquet(sampled.files["gold_test"])
    names = pd.read_parquet(sampled.files["items"])["item_id"].iloc[kept]
    gold[gold["item_id"].isin(names)].to_parquet(sampled.files["gold_test"], index=False)

    slices = ("site",)
    truth = evaluated(tmp_path / "a", whole, EvaluateConfig(slices=slices))
    plain = evaluated(tmp_path / "b", sampled, EvaluateConfig(slices=slices))
    config = EvaluateConfig(slices=slices, probability="chance")
    weighted = evaluated(tmp_path / "c", sampled, config)

    def figures(found: dict[str, Any], folder: str) -> dict[str, np.ndarray]:
        classifier, calibrated = found["classifier"], found["calibration"]
        table = pd.read_parquet(tmp_path / folder / "lf_table.parquet")
        return {
            "confusion": np.array(classifier["confusion_shares"]).ravel(),
            "precision": np.array([c["precision"]["value"] for c in classifier["per_class"]]),
            "slices": np.array(
                [s["value"] for s in sorted(found["slices"], key=lambda s: str(s["slice"]))]
            ),
            "calibration": np.array([calibrated[k] for k in ("ece", "brier", "log_loss")]),
            "curve": np.array([p["mean"] for p in found["crossover"]["points"]]),
            "sensitivity": np.array([[s["low"], s["high"]] for s in found["sensitivity"]]).ravel(),
            "functions": table["test_accuracy"].to_numpy(),
        }

    right, off, near = figures(truth, "a"), figures(plain, "b"), figures(weighted, "c")
    for name in right:
        error, plain_error = (np.abs(f[name] - right[name]).max() for f in (near, off))
        assert error < 0.04, name
        assert plain_error > 3 * error, name
    reasons = weighted["classifier"]["per_class"]
    assert sum(c["recall"]["n"] for c in reasons) == len(kept)  # n stays the number of rows


def test_a_chance_must_be_known_for_every_test_row(tmp_path: Path) -> None:
    planted, _ = stratified(tmp_path)
    files = {
        f.name: planted.files[f.name] for f in fields(EvaluateInputs) if f.name in planted.files
    }
    run = Judged(EvaluateInputs(**files), CLASSES, probability="nowhere")
    with pytest.raises(ConfigError, match="names 'nowhere', but the items have"):
        _ = run.chance
    items = pd.read_parquet(planted.files["items"])
    items.loc[planted.split == "test", "chance"] *= 0
    items.to_parquet(planted.files["items"], index=False)
    run = Judged(EvaluateInputs(**files), CLASSES, probability="chance")
    with pytest.raises(ConfigError, match="200 of 200 rows hold none"):
        _ = run.chance


def test_without_gold_on_test_coverage_is_that_of_all_test_items(tmp_path: Path) -> None:
    planted = write_run(tmp_path, gold_splits=("dev",))
    items = pd.read_parquet(planted.files["items"])
    items.assign(chance=np.nan).to_parquet(planted.files["items"], index=False)
    found = evaluated(tmp_path / "out", planted, EvaluateConfig(probability="chance"))
    coverage = next(entry for entry in found["headline"] if entry["key"] == "coverage")
    voted = (planted.votes != -1).any(axis=1)[planted.split == "test"]
    assert coverage["value"] == pytest.approx(voted.mean()) and coverage["n"] == 200

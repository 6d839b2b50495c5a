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
    files = {f.name: planted.files[f.name] for f in fields(EvaluateInputs) if f.name != "signals"}
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


def test_a_chance_must_be_known_for_every_test_row(tmp_path: Path) -> None:
    planted, _ = stratified(tmp_path)
    files = {f.name: planted.files[f.name] for f in fields(EvaluateInputs) if f.name != "signals"}
    run = Judged(EvaluateInputs(**files), CLASSES, probability="nowhere")
    with pytest.raises(ConfigError, match="names 'nowhere', but the items have"):
        _ = run.chance
    items = pd.read_parquet(planted.files["items"])
    items.loc[planted.split == "test", "chance"] *= 0
    items.to_parquet(planted.files["items"], index=False)
    run = Judged(EvaluateInputs(**files), CLASSES, probability="chance")
    with pytest.raises(ConfigError, match="200 of 200 rows hold none"):
        _ = run.chance

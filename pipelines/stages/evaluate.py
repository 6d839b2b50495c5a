"""Evaluate: how good the labels are at every step, and what that is worth. Reads gold of test.

Everything is measured on dev and test side by side; experts tune LFs on dev, so test is the number
to believe. ``docs/report.md`` describes ``evaluation.json`` key by key.

Try it: ``weaklight report``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labeling_functions import analyse
from pipelines.config import EvaluateConfig
from pipelines.pixels import load_pixels
from pipelines.stages.base import StageResult, Work
from pipelines.stages.baselines import gold_only_curve, head_labels, knn_labels
from weak_supervision.evaluation import (
    TIE_RULE,
    CrossoverPoint,
    accuracy,
    calibration,
    compare_paired,
    confusion_matrix,
    hand_labels_worth,
    hard_labels,
    quality,
)
from weaklight.contracts import ABSTAIN, ClassSet, expand_votes
from weaklight.intervals import Proportion

__all__ = ["EvaluateInputs", "evaluate"]

FEW_GOLD = 100  # a size that one person labels in an hour: the bar weak labels have to clear
NO_TEST_GOLD = "no gold on the test split"
_SPLITS = ("dev", "test")
_TITLES = {
    "majority_vote": "Majority vote",
    "snorkel": "Snorkel label model",
    "dawid_skene": "Dawid-Skene",
}


@dataclass(frozen=True)
class EvaluateInputs:
    """Every upstream output that is judged, and the gold to judge it by."""

    items: Path
    pixels: Path
    gold_dev: Path
    gold_test: Path
    features: Path
    present: Path
    votes: Path
    lfs: Path
    bag_votes: Path
    bags_summary: Path
    weak_labels: Path
    posteriors: Path
    choice: Path
    issues: Path
    targets: Path
    weights: Path
    probabilities: Path


@dataclass(frozen=True)
class _Step:
    """Labels of all n items after one step of the line."""

    key: str
    title: str
    labels: NDArray[np.int64]
    is_covered: NDArray[np.bool_]


@dataclass(frozen=True)
class _Run:
    """The artifacts of the run in memory, row-aligned with the items."""

    inputs: EvaluateInputs
    classes: tuple[str, ...]
    class_sets: tuple[ClassSet, ...]

    @cached_property
    def items(self) -> pd.DataFrame:
        return pd.read_parquet(self.inputs.items, columns=["item_id", "split"])

    @cached_property
    def keys(self) -> list[str]:
        return self.items["item_id"].tolist()

    @cached_property
    def gold(self) -> NDArray[np.int64]:
        """(n,) gold of dev and test, -1 elsewhere."""
        tables = [pd.read_parquet(p) for p in (self.inputs.gold_dev, self.inputs.gold_test)]
        known = pd.concat(tables).set_index("item_id")["gold"]
        return known.reindex(self.keys).fillna(ABSTAIN).to_numpy(np.int64)

    def rows(self, split: str) -> NDArray[np.int64]:
        """Rows of a split whose gold is known."""
        return np.flatnonzero((self.items["split"] == split).to_numpy() & (self.gold >= 0))

    @cached_property
    def votes(self) -> NDArray[np.int16]:
        return np.load(self.inputs.votes)

    @cached_property
    def has_vote(self) -> NDArray[np.bool_]:
        """(n,) whether an LF or a bag voted."""
        voted: NDArray[np.bool_] = (self.votes != ABSTAIN).any(axis=1)
        return voted | (np.load(self.inputs.bag_votes) != ABSTAIN)

    @cached_property
    def lfs(self) -> list[dict[str, Any]]:
        return json.loads(self.inputs.lfs.read_text(encoding="utf-8"))

    @cached_property
    def choice(self) -> dict[str, Any]:
        return json.loads(self.inputs.choice.read_text(encoding="utf-8"))

    @cached_property
    def weak_labels(self) -> pd.DataFrame:
        return pd.read_parquet(self.inputs.weak_labels)

    @cached_property
    def features(self) -> NDArray[np.float32]:
        return np.load(self.inputs.features)

    @cached_property
    def present(self) -> NDArray[np.bool_]:
        return np.load(self.inputs.present)

    def posterior(self, name: str) -> NDArray[np.float32]:
        return np.load(self.inputs.posteriors / f"{name}.npy")

    @cached_property
    def probabilities(self) -> NDArray[np.float32]:
        return np.load(self.inputs.probabilities)


def evaluate(inputs: EvaluateInputs, config: EvaluateConfig, work: Work) -> StageResult:
    """Judge every step of the line against gold, with baselines on the same rows.

    Returns
    -------
    Outputs ``evaluation`` (``evaluation.json``) and ``lf_table`` (``lf_table.parquet``).

    Notes
    -----
    About 30 trainings of the linear head: 10 s at n=10,000, d=256 on one core.
    """
    run = _Run(inputs, work.classes, work.class_sets)
    n_test = len(run.rows("test"))
    work.progress(0, 4, "judging the labels of every step")
    steps = _steps(run)
    work.progress(1, 4, "training the baselines")
    rivals, curve = _rivals(run, config, work.seed)
    work.progress(2, 4, "comparing on the same rows")
    classifier = steps[-1]
    coverage = _coverage(run)
    headline = _headline(run, steps, rivals, coverage)
    result: dict[str, Any] = {
        "word": "accuracy" if n_test else "agreement",
        "tie_rule": TIE_RULE,
        "classes": list(run.classes),
        "rows": _row_counts(run),
        "headline": headline,
        "steps": [
            {"key": s.key, "title": s.title, **{x: _step_quality(run, s, x) for x in _SPLITS}}
            for s in steps
        ],
        "classifier": _classifier(run, classifier),
        "calibration": _calibration(run, work.seed),
        "baselines": [_baseline(r, classifier, n_test) for r in rivals],
        "comparisons": _comparisons(run, steps, rivals, work.seed),
        "crossover": _crossover(run, curve, classifier),
        "agreement": _agreement(run, steps),
    }
    (work.out / "evaluation.json").write_text(
        json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8"
    )
    work.progress(3, 4, "analysing the labelling functions")
    _lf_table(run).to_parquet(work.out / "lf_table.parquet", index=False)
    notes = () if n_test else (f"{NO_TEST_GOLD}: the report speaks of agreement, not of accuracy",)
    return StageResult(
        outputs={"evaluation": "evaluation.json", "lf_table": "lf_table.parquet"},
        metrics={entry["key"]: entry["value"] for entry in headline},
        notes=notes,
    )

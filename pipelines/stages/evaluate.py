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


def _steps(run: _Run) -> list[_Step]:
    """Labels after each step: every label model, the chosen one, cleaning, the classifier."""
    steps: list[_Step] = []

    def add(key: str, title: str, p: NDArray[np.float32], is_covered: NDArray[np.bool_]) -> None:
        steps.append(_Step(key, title, hard_labels(p, run.keys), is_covered))

    for name, title in _TITLES.items():
        if (run.inputs.posteriors / f"{name}.npy").is_file():
            add(name, title, run.posterior(name), run.has_vote)
    for name, title in _TITLES.items():
        if (run.inputs.posteriors / f"{name}+features.npy").is_file():
            spread = run.posterior(f"{name}+features")
            moved = np.abs(spread - run.posterior(name)).max(axis=1) > 1e-6
            add(f"{name}+features", f"{title}, spread over features", spread, run.has_vote | moved)
    weak = run.weak_labels["covered"].to_numpy(bool)
    add("chosen", "Weak labels (the chosen model)", run.posterior("chosen"), weak)
    # A label that cleaning leaves out is no label: on all items it counts as a tie.
    kept = np.load(run.inputs.weights) > 0
    flat = np.float32(1 / len(run.classes))
    add("cleaned", "After cleaning", np.where(kept[:, None], np.load(run.inputs.targets), flat), kept)
    add("classifier", "Classifier", run.probabilities, run.present)
    return steps


def _step_quality(run: _Run, step: _Step, split: str) -> dict[str, Any]:
    rows = run.rows(split)
    measured = quality(step.labels[rows], run.gold[rows], step.is_covered[rows])
    result = {
        "overall": measured.overall.as_dict(),
        "coverage": measured.coverage.as_dict(),
        "covered": measured.covered.as_dict(),
    }
    if len(rows) and measured.coverage.successes == 0:
        reason = f"no {split} item has a label at this step"
        result |= {"overall": _missing(reason), "covered": _missing(reason)}
    return result


@dataclass(frozen=True)
class _Rival:
    """A baseline's labels of the test rows, or the reason why there are none."""

    key: str
    title: str
    labels: NDArray[np.int64] | None
    reason: str = ""


def _rivals(
    run: _Run, config: EvaluateConfig, seed: int
) -> tuple[list[_Rival], tuple[CrossoverPoint, ...]]:
    """Label the test rows by every baseline; also return the gold-only curve."""
    test, n_classes = run.rows("test"), len(run.classes)
    dev = run.rows("dev")
    dev = dev[run.present[dev]]
    query = test[run.present[test]]

    def on_test(labels_of_query: NDArray[np.int64]) -> NDArray[np.int64]:
        whole = np.full(len(test), ABSTAIN, dtype=np.int64)  # no features, no label
        whole[run.present[test]] = labels_of_query
        return whole

    titles = {
        "majority_vote_head": "Majority vote, then the same classifier",
        "gold_only_100": f"Classifier on {FEW_GOLD} gold labels",
        "gold_only_all": f"Classifier on all {len(dev):,} gold labels",
        "knn_ssl": f"Nearest neighbours on features ({len(dev):,} gold labels)",
        "knn_pixels": f"Nearest neighbours on raw pixels ({len(dev):,} gold labels)",
    }
    if len(query) == 0:
        return [_Rival(k, t, None, NO_TEST_GOLD) for k, t in titles.items()], ()

    unlabeled = (run.items["split"] == "unlabeled").to_numpy() & run.present & run.has_vote
    labels: dict[str, NDArray[np.int64] | None] = dict.fromkeys(titles)
    reasons = dict.fromkeys(titles, "no gold on the dev split")
    reasons["majority_vote_head"] = "no unlabeled item has a vote"
    if unlabeled.any():
        labels["majority_vote_head"] = on_test(
            head_labels(
                run.features, run.posterior("majority_vote"), np.flatnonzero(unlabeled), query
            )
        )
    curve: tuple[CrossoverPoint, ...] = ()
    if len(dev):
        curve = gold_only_curve(
            run.features,
            run.gold,
            dev,
            query,
            n_classes,
            sizes=(*config.crossover_sizes, FEW_GOLD),
            draws=config.crossover_draws,
            seed=seed,
        )
        by_size = {point.size: point for point in curve}
        labels["gold_only_all"] = on_test(curve[-1].labels[0])
        if FEW_GOLD in by_size:
            point = by_size[FEW_GOLD]
            labels["gold_only_100"] = on_test(point.labels[point.median_draw])
        else:
            reasons["gold_only_100"] = f"dev has only {len(dev)} gold rows with features"
        pixels = load_pixels(run.inputs.pixels)
        for key, reference, asked in (
            ("knn_ssl", run.features[dev], run.features[query]),
            ("knn_pixels", _flat(pixels[dev]), _flat(pixels[query])),
        ):
            found = knn_labels(reference, run.gold[dev], asked, n_classes, config.knn)
            labels[key] = on_test(found)
    return [_Rival(k, t, labels[k], reasons[k]) for k, t in titles.items()], curve


def _flat(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return images.reshape(len(images), -1).astype(np.float32) / 255


def _headline(
    run: _Run, steps: Sequence[_Step], rivals: Sequence[_Rival]
) -> list[dict[str, Any]]:
    """Return the numbers that benchmarks and the app read, all on test."""
    test, by_key = run.rows("test"), {s.key: s for s in steps}
    entries: list[dict[str, Any]] = []

    def add(key: str, title: str, measured: Mapping[str, Any], split: str = "test") -> None:
        entries.append({"key": key, "title": title, "split": split, **measured})

    def accuracy_of(labels: NDArray[np.int64] | None, reason: str = NO_TEST_GOLD) -> dict[str, Any]:
        if labels is None or len(test) == 0:
            return _missing(reason)
        return accuracy(labels, run.gold[test]).as_dict()

    majority = by_key["majority_vote"]
    in_test = (run.items["split"] == "test").to_numpy()
    where = in_test if in_test.any() else np.ones(len(in_test), dtype=bool)
    voted = (run.votes[where] != ABSTAIN).any(axis=1)
    reached = test[majority.is_covered[test]]
    add("majority_vote_accuracy", "Majority vote, all items", accuracy_of(majority.labels[test]))
    add(
        "coverage",
        "Items that a labelling function votes on",
        Proportion(int(voted.sum()), len(voted)).as_dict(),
        "test" if in_test.any() else "all",
    )
    covered = accuracy(majority.labels[reached], run.gold[reached])
    add(
        "covered_accuracy",
        "Majority vote, covered items",
        covered.as_dict() if covered.n else _missing("no covered test item has gold"),
    )
    add("posterior_accuracy", "Weak labels", accuracy_of(by_key["chosen"].labels[test]))
    add("classifier_accuracy", "Classifier", accuracy_of(by_key["classifier"].labels[test]))
    for rival in rivals:
        key = rival.key.replace("gold_only_", "gold_only_accuracy_")
        key = "majority_vote_head_accuracy" if key == "majority_vote_head" else key
        add(key, rival.title, accuracy_of(rival.labels, rival.reason))
    return entries

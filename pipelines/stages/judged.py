"""A finished run as `evaluate` sees it: its artifacts row by row, and the labels of every step."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.payload import Payload, load_payload
from pipelines.report.words import model_name
from pipelines.stages.by_hand import given_by_hand
from weak_supervision.classifiers import LinearHead
from weak_supervision.evaluation import (
    Comparison,
    compare_paired,
    compare_weighted,
    share,
)
from weak_supervision.evaluation.slices import MAX_VALUES
from weak_supervision.label_models import hard_labels
from weak_supervision.noise import find_issues
from weaklight.contracts import ABSTAIN, TIE, ClassSet
from weaklight.errors import ConfigError
from weaklight.words import nearest

__all__ = ["GOLD_SPLITS", "EvaluateInputs", "Judged", "Step", "label_steps", "missing"]

GOLD_SPLITS = ("dev", "test")
# what every item has; the label that it came with is judged among the functions
_NOT_SLICED = ("item_id", "split", "sha256", "path", "bag_id", "noisy_label")
# Tolerance of heads that weak labels teach to be compared: 3 labels in 10,000 are others than at
# 1e-8, another draw of the weak labels changes 200.
_LOOSE = 1e-7


@dataclass(frozen=True)
class EvaluateInputs:
    """Every upstream output that is judged, and the gold to judge it by."""

    items: Path
    gold_dev: Path
    gold_test: Path
    features: Path
    present: Path
    votes: Path
    lfs: Path
    bag_votes: Path
    posteriors: Path
    choice: Path
    weak_labels: Path
    weights: Path
    probabilities: Path
    out_of_fold: Path
    pixels: Path | None = None
    signals: Path | None = None
    without_hand: Path | None = None


@dataclass(frozen=True)
class Step:
    """Labels of all n items after one step of the line.

    Attributes
    ----------
    labels : (n,) class ids, ties broken
    is_covered : (n,) whether the step had any evidence about the item
    is_guessed : (n,) whether the item's id drew the label: no evidence, or a tie
    """

    key: str
    title: str
    labels: NDArray[np.int64]
    is_covered: NDArray[np.bool_]
    is_guessed: NDArray[np.bool_]


@dataclass(frozen=True)
class Judged:
    """The artifacts of a run, read when asked for; every array is row-aligned with the items."""

    files: EvaluateInputs
    classes: tuple[str, ...]
    class_sets: tuple[ClassSet, ...] = ()
    probability: str | None = None  # the column with each gold row's chance to be drawn

    @cached_property
    def items(self) -> pd.DataFrame:
        """``item_id`` and ``split`` of the n items."""
        return pd.read_parquet(self.files.items, columns=["item_id", "split"])

    @cached_property
    def _described(self) -> pd.DataFrame:
        """The columns of the source that describe the n items."""
        return pd.read_parquet(self.files.items).drop(columns=[*_NOT_SLICED], errors="ignore")

    def metadata(self, columns: Sequence[str] | None) -> dict[str, NDArray[Any]]:
        """Return metadata columns of the items, (n,) each, by name.

        Parameters
        ----------
        columns
            Their names; None for every column of the source with few distinct values.

        Raises
        ------
        ConfigError
            If a named column does not exist.
        """
        table = self._described
        if columns is None:
            kept = table.columns.drop(self.probability or [])
            columns = [c for c in kept if 2 <= table[c].nunique() <= MAX_VALUES]
        unknown = [c for c in columns if c not in table]
        if unknown:
            raise ConfigError(
                f"[evaluate] slices names {unknown}, but the items have {sorted(table.columns)}"
                f"{nearest(unknown[0], map(str, table.columns))}"
            )
        return {str(c): table[c].to_numpy() for c in columns}

    @cached_property
    def keys(self) -> list[str]:
        """The n item ids."""
        return self.items["item_id"].tolist()

    @cached_property
    def payload(self) -> Payload:
        """The n items themselves."""
        return load_payload(self.files.items, self.files.pixels, self.files.signals)

    def in_split(self, split: str) -> NDArray[np.bool_]:
        """(n,) which items belong to a split."""
        return (self.items["split"] == split).to_numpy(bool)

    @cached_property
    def gold(self) -> NDArray[np.int64]:
        """(n,) gold of dev and test, -1 elsewhere."""
        tables = [pd.read_parquet(p) for p in (self.files.gold_dev, self.files.gold_test)]
        known = pd.concat(tables).set_index("item_id")["gold"]
        return known.reindex(self.keys).fillna(ABSTAIN).to_numpy(np.int64)

    def rows(self, split: str) -> NDArray[np.int64]:
        """Rows of a split whose gold is known."""
        return np.flatnonzero(self.in_split(split) & (self.gold >= 0))

    @cached_property
    def chance(self) -> NDArray[np.float64] | None:
        """(n,) chance of each test item to be drawn, 1 elsewhere; None where all were drawn alike.

        Where no column is stated, draws from a pool that grew between them tell it.

        Raises
        ------
        ConfigError
            If the stated column does not exist, is no number or lacks test rows with gold.
        """
        if self.probability is None:
            return self._chance_by_draws
        table = self._described
        if self.probability not in table:
            raise ConfigError(
                f"[evaluate] probability names {self.probability!r}, but the items have "
                f"{sorted(table.columns)}{nearest(self.probability, map(str, table.columns))}"
            )
        stated = pd.to_numeric(table[self.probability], errors="coerce").to_numpy(np.float64)
        rows, is_test = self.rows("test"), self.in_split("test")
        usable = (stated[rows] > 0) & (stated[rows] <= 1)
        if not usable.all():
            raise ConfigError(
                f"[evaluate] probability = {self.probability!r} must hold a chance above 0 and at "
                f"most 1 for each test row with gold, but {int((~usable).sum())} of {len(rows)} "
                "rows hold none; state it, or leave the setting out if all were drawn alike"
            )
        return np.where(is_test & (stated > 0) & (stated <= 1), stated, 1.0)

    @cached_property
    def _chance_by_draws(self) -> NDArray[np.float64] | None:
        told = pd.read_parquet(self.files.gold_test).set_index("item_id")["chance"]
        rows = self.rows("test")
        chance = told.reindex(self.keys).to_numpy(np.float64)
        known = chance[rows]
        if not len(rows) or np.isnan(known).any() or np.ptp(known) < 1e-9:
            return None
        return np.where(self.in_split("test") & (chance > 0), chance, 1.0)

    @property
    def weighted_by(self) -> str | None:
        """What tells the chances that test rows are weighted by, None where they are not."""
        if self.chance is None or not len(self.rows("test")):
            return None
        return self.probability or "drawn from a pool that grew"

    def share(
        self, is_true: NDArray[np.bool_], rows: NDArray[np.int64], reason: str
    ) -> dict[str, Any]:
        """Return the share of ``rows`` for which (n,) ``is_true`` holds: value, low, high, n.

        Where gold was drawn with unequal chances, test rows count by the inverse of theirs. Without
        rows there is the ``reason``.
        """
        return share(is_true, self.chance, rows).as_dict() if len(rows) else missing(reason)

    def guessed(self, step: Step, rows: NDArray[np.int64]) -> float | None:
        """Return the share of ``rows`` whose label of the step is guessed, None without rows."""
        value: float | None = self.share(step.is_guessed, rows, "no gold")["value"]
        return value

    def compare(self, first: NDArray[np.bool_], second: NDArray[np.bool_], seed: int) -> Comparison:
        """Compare what is right (t,) on the test rows with gold, weighted as `share` does."""
        chance = self.chance_of(self.rows("test"))
        if chance is None:
            return compare_paired(first, second, seed=seed)
        return compare_weighted(first, second, chance)

    def chance_of(self, rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """Return the chances of some rows, None where all were drawn alike."""
        return None if self.chance is None else self.chance[rows]

    @cached_property
    def votes(self) -> NDArray[np.int16]:
        """(n, m) votes of the LFs."""
        return _array(self.files.votes)

    @cached_property
    def lfs(self) -> list[dict[str, Any]]:
        """What ``lfs.json`` says of each LF, in column order."""
        described: list[dict[str, Any]] = json.loads(self.files.lfs.read_text(encoding="utf-8"))
        return described

    @cached_property
    def features(self) -> NDArray[np.float32]:
        """(n, d) features, NaN where not present."""
        return _array(self.files.features)

    @cached_property
    def present(self) -> NDArray[np.bool_]:
        """(n,) whether the item has features."""
        return _array(self.files.present)

    @cached_property
    def probabilities(self) -> NDArray[np.float32]:
        """(n, K) of the classifier."""
        return _array(self.files.probabilities)

    @cached_property
    def out_of_fold(self) -> NDArray[np.float32]:
        """(n, K) of the classifier that the clean stage doubts labels by."""
        return _array(self.files.out_of_fold)

    @cached_property
    def bag_votes(self) -> NDArray[np.int16]:
        """(n,) votes of the bags."""
        return _array(self.files.bag_votes)

    @cached_property
    def by_bags(self) -> NDArray[np.bool_]:
        """(n,) on which items bags vote."""
        return np.asarray(self.bag_votes != ABSTAIN)

    @cached_property
    def choice(self) -> dict[str, Any]:
        """What ``choice.json`` says of the label model."""
        written: dict[str, Any] = json.loads(self.files.choice.read_text(encoding="utf-8"))
        return written

    @cached_property
    def weights(self) -> NDArray[np.float32]:
        """(n,) of the weak labels in training, after cleaning."""
        return _array(self.files.weights)

    @cached_property
    def by_hand(self) -> NDArray[np.int64]:
        """Rows whose label a person gave and that took part in training."""
        return np.flatnonzero(given_by_hand(self.files.weak_labels, self.weights))

    @cached_property
    def without_hand(self) -> NDArray[np.float32] | None:
        """(n, K) of the classifier taught without labels by hand; None where none taught it."""
        return None if self.files.without_hand is None else _array(self.files.without_hand)

    @cached_property
    def models(self) -> list[str]:
        """Label models, majority vote first; then each again with features."""
        stems = {path.stem for path in self.files.posteriors.glob("*.npy")} - {"chosen"}
        names = [stem for stem in stems if not stem.endswith(".covered")]
        return sorted(names, key=lambda name: ("+" in name, name != "majority_vote", name))

    def posterior(self, name: str) -> NDArray[np.float32]:
        """(n, K) of a label model."""
        return _array(self.files.posteriors / f"{name}.npy")

    def knows(self, name: str) -> NDArray[np.bool_]:
        """(n,) which items a label model had any evidence about."""
        return _array(self.files.posteriors / f"{name}.covered.npy")

    @cached_property
    def teaching(self) -> NDArray[np.bool_]:
        """(n,) which unlabeled items have features and a weak label."""
        return self.in_split("unlabeled") & self.present & self.knows("chosen")

    def head_taught_by_all(self) -> LinearHead:
        """Return a linear head that all weak labels taught; another fit of it begins there."""
        return copy(self._head_taught_by_all)

    @cached_property
    def _head_taught_by_all(self) -> LinearHead:
        return self.teach(LinearHead(tol=_LOOSE, warm_start=True), self.teaching)

    def teach(self, head: LinearHead, rows: NDArray[np.bool_] | NDArray[np.int64]) -> LinearHead:
        """Let the weak labels of these rows teach a head, each as much as it is sure of."""
        weak = self.posterior("chosen")[rows]
        return head.fit(self.features[rows], weak, weak.max(axis=1))


def _array(file: Path) -> NDArray[Any]:
    array: NDArray[Any] = np.load(file, allow_pickle=False)
    return array


def missing(reason: str) -> dict[str, Any]:
    """Return a share that could not be measured."""
    return {"value": None, "low": None, "high": None, "n": 0, "reason": reason}


def label_steps(run: Judged) -> list[Step]:
    """Return the labels after each step, in the order of the line.

    Every label model, each again after spreading over the features, the chosen posterior, what
    cleaning would keep of it, and the classifier.
    """

    def step(key: str, title: str, p: NDArray[np.float32], is_covered: NDArray[np.bool_]) -> Step:
        is_tied = (p >= p.max(axis=1, keepdims=True, initial=0.0) - TIE).sum(axis=1) > 1
        return Step(key, title, hard_labels(p, keys=run.keys), is_covered, ~is_covered | is_tied)

    steps = [
        step(name, model_name(name, start=True), run.posterior(name), run.knows(name))
        for name in run.models
    ]
    chosen = step("chosen", "Weak labels", run.posterior("chosen"), run.knows("chosen"))
    cleaned = replace(
        chosen,
        key="cleaned",
        title="Weak labels that cleaning keeps",
        is_covered=_kept(run, chosen),
    )
    classifier = step("classifier", "Classifier", run.probabilities, run.present)
    return [*steps, chosen, cleaned, classifier]


def _kept(run: Judged, chosen: Step) -> NDArray[np.bool_]:
    """Return which weak labels of dev and test the rule of the clean stage would keep.

    Cleaning itself looks at training rows alone. Here its rule is put to each gold split, with the
    probabilities of the same classifier, which was taught by neither.
    """
    kept = np.zeros(len(run.keys), dtype=bool)
    for split in GOLD_SPLITS:
        rows = run.rows(split)
        rows = rows[chosen.is_covered[rows] & run.present[rows]]
        kept[rows] = True
        if len(rows):
            kept[rows[find_issues(chosen.labels[rows], run.out_of_fold[rows])["row"]]] = False
    return kept

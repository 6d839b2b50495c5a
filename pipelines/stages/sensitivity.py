"""Ranges beside the headlines: what they would be with one thing done differently."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.report.words import model_name
from pipelines.stages.judged import Judged, Step
from weak_supervision.classifiers import LinearHead
from weak_supervision.evaluation import (
    Sensitivity,
    leave_one_out,
    sensitivity,
    shifted_balance,
    slice_accuracy,
)
from weak_supervision.label_models import MODELS, hard_labels
from weaklight.seeds import numpy_generator

__all__ = ["sensitivities", "slices"]

MAX_ROWS = 20_000  # beside test, of those that label models are fitted to again, at random
SEEDS = 5
KEPT = 0.8  # share of the weak labels that each redrawn classifier learns from


def sensitivities(run: Judged, steps: Sequence[Step], seed: int) -> list[dict[str, Any]]:
    """Return test accuracy as it is, its range, and the labels that flip, for each thing changed.

    * each LF left out, for majority vote and for the chosen label model before features come in;
    * each class a fifth more or less common than assumed, for weak labels and classifier;
    * a linear classifier taught by draws of 80 % of the weak labels, beside one taught by all.

    Without gold there are flips and no accuracies.
    """
    by_key = {step.key: step for step in steps}
    test = run.rows("test")
    chosen = run.posterior("chosen")
    base = run.choice["chosen"].partition("+")[0]  # before features
    if base not in MODELS or MODELS[base].needs_classifier:  # that one is not taught again
        base = "majority_vote"
    found = [
        _described(model_name(model, start=True), "one labelling function left out", without)
        for model in dict.fromkeys(["majority_vote", base])
        if (without := _leave_one_out(run, model, test, seed)) is not None
    ]
    for key in ("chosen", "classifier"):
        posterior = chosen if key == "chosen" else run.probabilities
        step = by_key[key]
        variants = {
            _named(run, name): hard_labels(p.astype(np.float32), keys=run.keys)
            for name, p in shifted_balance(posterior)
        }
        changed = _compare(run, step.labels, variants, test)
        found.append(_described(step.title, "a class 20 % more or less common", changed))
    redrawn = _redrawn(run, by_key["chosen"], test, seed)
    if redrawn is not None:
        what = f"taught by {100 * KEPT:.0f} % of the weak labels, {SEEDS} draws"
        found.append(_described("Linear classifier", what, redrawn))
    return found


def slices(run: Judged, step: Step, columns: Sequence[str] | None) -> list[dict[str, Any]]:
    """Return a step's accuracy on test by metadata column; all columns with few values if None."""
    test = run.rows("test")
    metadata = run.metadata(columns)
    if not len(test) or not metadata:
        return []
    columns_of_test = {name: values[test] for name, values in metadata.items()}
    judged = slice_accuracy(step.labels[test], run.gold[test], columns_of_test, run.chance_of(test))
    return [
        {"column": s.column, "slice": s.value, "verdict": s.verdict, **s.accuracy.as_dict()}
        for s in judged
    ]


def _leave_one_out(
    run: Judged, model: str, test: NDArray[np.int64], seed: int
) -> Sensitivity | None:
    if run.votes.shape[1] < 2:
        return None
    rows = np.arange(len(run.votes))
    others = np.setdiff1d(rows, test)
    if len(others) > MAX_ROWS:
        drawn = numpy_generator(seed, "sensitivity").choice(others, MAX_ROWS, replace=False)
        rows = np.sort(np.concatenate([test, drawn]))
    keys = [run.keys[row] for row in rows]
    bag_votes = run.bag_votes[rows, None]  # (n, 1): a voter that is never left out

    def label(votes: NDArray[np.int16]) -> NDArray[np.int64]:
        if run.by_bags.any():
            votes = np.column_stack([votes, bag_votes]).astype(np.int16)
        fitted = MODELS[model]().fit(
            votes,
            n_classes=len(run.classes),
            class_sets=run.class_sets,
            class_balance=run.choice["class_balance"],
        )
        return hard_labels(fitted.predict_proba(votes), keys=keys)

    gold = np.where(np.isin(rows, test), run.gold[rows], -1)
    names = [lf["name"] for lf in run.lfs]
    return leave_one_out(run.votes[rows], names, label, gold, run.chance_of(rows))


def _compare(
    run: Judged,
    labels: NDArray[np.int64],
    variants: dict[str, NDArray[np.int64]],
    test: NDArray[np.int64],
) -> Sensitivity:
    gold = np.full(len(labels), -1)
    gold[test] = run.gold[test]
    return sensitivity(labels, variants, gold, run.chance)


def _redrawn(run: Judged, chosen: Step, test: NDArray[np.int64], seed: int) -> Sensitivity | None:
    """Compare a linear head taught by all weak labels with such heads taught by a part of them."""
    usable = np.flatnonzero(run.teaching)
    if len(np.unique(chosen.labels[usable])) < 2:
        return None

    def labels_of(head: LinearHead) -> NDArray[np.int64]:
        return hard_labels(head.predict_proba(run.features), keys=run.keys)

    head = run.head_taught_by_all()
    labels, variants = labels_of(head), {}
    for number in range(SEEDS):
        draw = numpy_generator(seed, "sensitivity", "weak labels", number)
        rows = draw.choice(usable, max(2, round(KEPT * len(usable))), replace=False)
        variants[f"draw {number + 1}"] = labels_of(run.teach(head, rows))
    return _compare(run, labels, variants, test)


def _named(run: Judged, variant: str) -> str:
    """Put the class's name in place of its number."""
    _, number, change = variant.split(" ")
    return f"{run.classes[int(number)]} {change}"


def _described(title: str, what: str, found: Sensitivity) -> dict[str, Any]:
    low, high = found.span or (None, None)
    return {
        "title": title,
        "changed": what,
        "n_variants": len(found.variants),
        "value": found.accuracy,
        "low": low,
        "high": high,
        "most_flipped": max(found.flipped, default=0.0),
        "most_influential": found.most_influential,
    }

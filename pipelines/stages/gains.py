"""What each step of the line gained or lost: right labels on test after it, beside those before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.report.words import MIN_GUESSED, MIN_ROWS, has_own_labels_alone, model_name, percent
from pipelines.stages.judged import Judged, Step
from weak_supervision.classifiers import LinearHead
from weak_supervision.label_models import MajorityVote, hard_labels
from weaklight.contracts import ABSTAIN

__all__ = ["commonest_class", "gains"]

Labels = NDArray[np.int64]


def gains(run: Judged, steps: Sequence[Step], seed: int) -> list[dict[str, Any]]:
    """Return every step in the line's order; empty without gold on test.

    Each has ``key``, ``title``, ``before`` (what it is set against, in words), the accuracy after
    it (``value``, ``low``, ``high``, ``n``) and the paired comparison with what was before
    (``difference``, ``difference_low``, ``difference_high``, ``p_value``, ``verdict``). A step that
    this run did not take, or that has next to no vote on test, has a ``reason`` instead. Each step
    starts from the labels of the last one that was taken; where nearly all of those are guessed,
    from calling every item the same. Cleaning makes no labels: a linear classifier taught by those
    that are left is set against one taught by all.
    """
    test = run.rows("test")
    if not len(test):
        return []
    gold, labels = run.gold[test], {step.key: step.labels for step in steps}

    def step(
        key: str, title: str, before: str, other: Labels, after: Labels | None, reason: str = ""
    ) -> dict[str, Any]:
        about = {"key": key, "title": title, "before": before}
        if after is None:
            return {**about, "reason": reason}
        found = run.compare(after[test] == gold, other[test] == gold, seed)
        return {
            **about,
            **run.share(after == run.gold, test, ""),
            "difference": found.difference,
            "difference_low": found.low,
            "difference_high": found.high,
            "p_value": found.p_value,
            "verdict": found.verdict,
        }

    chosen, hybrid = run.choice["chosen"], run.choice["hybrid"]
    model = chosen.partition("+")[0]
    is_weighed = model != "majority_vote"
    alone, with_bags = _votes_alone(run, labels["majority_vote"])
    commonest = commonest_class(run, steps)
    same = np.full_like(alone, commonest)
    calling_same = f"calling every item {run.classes[commonest]}"
    by_key = {found.key: found for found in steps}
    enough = min(MIN_ROWS, len(test))

    def known(title: str, key: str) -> tuple[str, Labels]:
        """Return what a step is set against: labels of which most are guessed are no measure."""
        before = by_key[key]
        if before.is_covered[test].sum() < enough:
            return calling_same, same
        guessed = run.guessed(before, test) or 0.0
        guesses = f" ({percent(guessed, 0)} guessed)" if guessed >= MIN_GUESSED else ""
        return title + guesses, before.labels

    without = labels["classifier"]
    if run.without_hand is not None:
        without = hard_labels(run.without_hand, keys=run.keys)
    everything, kept = _cleaning(run, labels["chosen"])
    no_bags = (
        "cannot be told: they vote on no test item with gold"
        if run.by_bags.any()
        else "not taken: no bag votes"
    )
    n_voted = int((run.votes[test] != ABSTAIN).any(axis=1).sum())
    n_by_bags = int(run.by_bags[test].sum())
    if run.lfs:
        came = has_own_labels_alone(run.lfs)
        wins = "The functions vote, the majority wins"
        title = "The labels that the items came with" if came else wins
        told, few = alone if n_voted >= enough else None, _too_few_voted(n_voted, len(test))
        before = "those labels" if came else "functions alone"
        first = [
            step("vote", title, calling_same, same, told, few),
            step("bags", "Bags vote, too", before, alone, with_bags, no_bags),
        ]
    else:
        told = with_bags if n_by_bags >= enough else None
        few = _too_few_voted(n_by_bags, len(test)) if n_by_bags else no_bags
        first = [step("bags", "Bags vote", calling_same, same, told, few)]
    n_by_hand = f": {len(run.by_hand):,}" if len(run.by_hand) else ""
    return [
        *first,
        step(
            "label_model",
            f"Votes are weighed: {model_name(model)}" if is_weighed else "Votes are weighed",
            *known("majority vote", "majority_vote"),
            labels[model] if is_weighed else None,
            "not taken: majority vote was kept",
        ),
        step(
            "features",
            "The features are asked, too",
            *known(model_name(model), model),
            None if chosen == model else labels[chosen],
            "in the line above" if model == "joint" else "not taken: they were left out",
        ),
        step(
            "hybrid",
            "Pseudo-labels, round by round",
            *known(model_name(chosen), chosen),
            labels["chosen"] if hybrid else None,
            "not taken: [aggregate] hybrid is off",
        ),
        step(
            "clean",
            "Cleaning: a linear classifier taught by what is left",
            "the same taught by all weak labels",
            everything,
            kept,
            "nothing was left out",
        ),
        step(
            "train",
            "The classifier",
            *known("the weak labels that taught it", "chosen"),
            without,
        ),
        step(
            "hand",
            f"Labels by hand teach it, too{n_by_hand}",
            "the same classifier without them (they still shaped the weak labels)",
            without,
            None if run.without_hand is None else labels["classifier"],
            "in the line above: it was not trained a second time without them"
            if len(run.by_hand)
            else "not taken: nobody labelled items by hand",
        ),
    ]


def commonest_class(run: Judged, steps: Sequence[Step]) -> int:
    """Return the class that most unlabelled items have by majority vote, of bags only without LFs.

    Whoever knew no more than that would call every item so.
    """
    majority = next(step.labels for step in steps if step.key == "majority_vote")
    voted = _votes_alone(run, majority)[0] if run.lfs else majority
    return int(np.bincount(voted[run.in_split("unlabeled")]).argmax())


def _too_few_voted(n_voted: int, n_test: int) -> str:
    return f"cannot be told: {n_voted} of {n_test:,} test items have a vote"


def _votes_alone(run: Judged, majority: Labels) -> tuple[Labels, Labels | None]:
    """Return the majority of the functions, and of functions and bags if bags vote on test."""
    if not run.by_bags[run.rows("test")].any():
        return majority, None
    model = MajorityVote().fit(run.votes, n_classes=len(run.classes), class_sets=run.class_sets)
    return hard_labels(model.predict_proba(run.votes), keys=run.keys), majority


def _cleaning(run: Judged, weak: Labels) -> tuple[Labels, Labels | None]:
    """Return what a linear head says that all weak labels taught, and one by those that are left.

    The second is None where none was left out, or too few are left to teach.
    """
    kept = run.teaching & (run.weights > 0)
    if (run.teaching == kept).all() or len(np.unique(weak[kept])) < 2:
        return weak, None

    def labels_of(head: LinearHead) -> Labels:
        said = np.full(len(kept), ABSTAIN, dtype=np.int64)
        said[run.present] = head.predict_proba(run.features[run.present]).argmax(axis=1)
        return said

    by_all = run.head_taught_by_all()
    return labels_of(by_all), labels_of(run.teach(by_all, kept))

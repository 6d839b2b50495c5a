"""Evaluate: how good the labels are at every step, and what they are worth. Reads gold of test.

Everything is measured on dev and test side by side: experts tune LFs on dev, so test is the number
to believe. ``docs/report.md`` describes ``evaluation.json`` key by key.

Try it: ``weaklight report``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labeling_functions import analyse, find_problems
from pipelines.encoders import BASELINES
from pipelines.report.words import MOSTLY_GUESSED, has_own_labels_alone
from pipelines.sections import EvaluateConfig
from pipelines.stages.base import StageResult, Work
from pipelines.stages.baselines import NO_TEST_GOLD, Rival, crossover, gold_only_curve, rivals
from pipelines.stages.gains import commonest_class, gains
from pipelines.stages.judged import (
    GOLD_SPLITS,
    EvaluateInputs,
    Judged,
    Step,
    label_steps,
    missing,
)
from pipelines.stages.sensitivity import sensitivities, slices
from weak_supervision.evaluation import (
    MIN_ROWS,
    Share,
    calibration,
    confusion_matrix,
)
from weak_supervision.gold_check import check_with_gold
from weak_supervision.label_models import TIE_RULE
from weaklight.contracts import ABSTAIN, SPLITS, expand_votes
from weaklight.intervals import Proportion

__all__ = ["EvaluateInputs", "evaluate"]

_OF_GOLD = ["correct", "gold_n", "accuracy", "low", "high"]  # told by split, see _right_votes


def evaluate(inputs: EvaluateInputs, config: EvaluateConfig, work: Work) -> StageResult:
    """Judge every step of the line against gold, with baselines on the same rows.

    Returns
    -------
    Outputs ``evaluation`` (``evaluation.json``) and ``lf_table`` (``lf_table.parquet``); metrics
    are the values of the headline.

    Notes
    -----
    About 60 trainings of the linear head, 52 of them on labels by hand alone: 9 s of one core at
    n=10,000, d=512, K=10.
    """
    run = Judged(inputs, work.classes, work.class_sets, config.probability)
    work.progress(0, 5, "judging the labels of every step")
    steps = label_steps(run)
    work.progress(1, 5, "training on gold alone")
    curve = gold_only_curve(run, config, work.seed)
    work.progress(2, 5, "training the other baselines")
    others = rivals(run, curve, config, work.seed)
    work.progress(3, 5, "analysing the labelling functions")
    _lf_table(run, steps).to_parquet(work.out / "lf_table.parquet", index=False)

    work.progress(4, 5, "doing it all again a little differently")
    ranges = sensitivities(run, steps, work.seed)

    headline = _headline(run, steps, others)
    has_gold = len(run.rows("test")) > 0
    result = {
        "word": "accuracy" if has_gold else "agreement",
        "tie_rule": TIE_RULE,
        "classes": list(run.classes),
        "rows": _row_counts(run),
        "weighted_by": run.weighted_by,
        "headline": headline,
        "steps": _steps(run, steps),
        "gains": gains(run, steps, work.seed),
        "cleaning": {split: _cleaning(run, steps, split) for split in GOLD_SPLITS},
        "classifier": _classifier(run, steps[-1]),
        "calibration": _calibration(run, work.seed),
        "comparisons": _comparisons(run, steps, others, work.seed),
        "crossover": crossover(run, curve, others, steps[-1], config, work.seed),
        "agreement": _agreement(run, steps),
        "slices": slices(run, steps[-1], config.slices),
        "sensitivity": ranges,
        "lf_findings": _lf_findings(run),
        "choice_check": _choice_check(run),
    }
    text = json.dumps(result, indent=1, allow_nan=False) + "\n"
    (work.out / "evaluation.json").write_text(text, encoding="utf-8")
    work.progress(5, 5, "done")
    return StageResult(
        outputs={"evaluation": "evaluation.json", "lf_table": "lf_table.parquet"},
        metrics={entry["key"]: entry["value"] for entry in headline},
        notes=() if has_gold else (f"{NO_TEST_GOLD}: the report speaks of agreement",),
    )


def _choice_check(run: Judged) -> str:
    """Say what dev gold thinks of the choice that was made without it."""
    names = [*run.models, "chosen"]
    dev = np.where(run.in_split("dev"), run.gold, ABSTAIN)
    posteriors = {name: run.posterior(name) for name in names}
    return check_with_gold(posteriors, "chosen", dev, keys=run.keys)


def _proportion(measured: Share, reason: str) -> dict[str, Any]:
    return measured.as_dict() if measured.n else missing(reason)


def _row_counts(run: Judged) -> dict[str, int]:
    counts = {split: int(run.in_split(split).sum()) for split in SPLITS}
    gold = {f"{split}_gold": len(run.rows(split)) for split in GOLD_SPLITS}
    voted = int((run.votes != ABSTAIN).any(axis=1).sum())
    return {"items": len(run.keys), "voted": voted, **counts, **gold}


def _headline(run: Judged, steps: Sequence[Step], others: Sequence[Rival]) -> list[dict[str, Any]]:
    """Return the numbers that benchmarks and the app read, all on test."""
    test, by_key = run.rows("test"), {step.key: step for step in steps}
    majority = by_key["majority_vote"]
    reached = test[majority.is_covered[test]]
    in_test = run.in_split("test")
    counted = np.flatnonzero(in_test if in_test.any() else np.ones_like(in_test))
    if run.chance is not None and len(test):
        counted = test  # the others have no chance stated
    # without LFs bags are the only voters
    voted = (run.votes != ABSTAIN).any(axis=1) if run.lfs else run.by_bags

    def right(step: Step, rows: NDArray[np.int64], reason: str = NO_TEST_GOLD) -> dict[str, Any]:
        return run.share(step.labels == run.gold, rows, reason)

    def of_all(step: Step) -> dict[str, Any]:
        return {**right(step, test), "guessed": run.guessed(step, test)}

    n_by_hand = {other.key: other.n_by_hand for other in others}
    entries = [
        ("majority_vote_accuracy", "Majority vote, all items", of_all(majority)),
        (
            "coverage",
            "Items that came with a label"
            if has_own_labels_alone(run.lfs)
            else f"Items that a {'labelling function' if run.lfs else 'bag'} votes on",
            run.share(voted, counted, "no items"),
        ),
        (
            "covered_accuracy",
            "Majority vote, covered items",
            right(
                majority, reached, "no covered test item has gold" if len(test) else NO_TEST_GOLD
            ),
        ),
        ("posterior_accuracy", "Weak labels", of_all(by_key["chosen"])),
        ("classifier_accuracy", "Classifier", right(by_key["classifier"], test)),
    ]
    for other in others:
        measured = missing(other.reason)
        if other.labels is not None:
            said = np.full(len(run.keys), ABSTAIN)
            said[test] = other.labels
            measured = run.share(said == run.gold, test, other.reason)
        entries.append((other.key, other.title, measured))
    return [
        {
            "key": key,
            "title": title,
            "split": "all" if key == "coverage" and not in_test.any() else "test",
            "n_by_hand": n_by_hand.get(key),
            **measured,
        }
        for key, title, measured in entries
    ]


def _steps(run: Judged, steps: Sequence[Step]) -> list[dict[str, Any]]:
    def measured(step: Step, split: str) -> dict[str, Any]:
        rows = run.rows(split)
        reached, right = rows[step.is_covered[rows]], step.labels == run.gold
        no_label = f"no {split} item has a label at this step"
        no_gold = f"no gold on the {split} split"
        return {
            "overall": (
                missing("cleaning leaves labels out; see the kept ones")
                if step.key == "cleaned"
                else {**run.share(right, rows, no_gold), "guessed": run.guessed(step, rows)}
            ),
            "coverage": run.share(step.is_covered, rows, no_gold),
            "covered": run.share(right, reached, no_label),
        }

    return [
        {"key": s.key, "title": s.title, **{split: measured(s, split) for split in GOLD_SPLITS}}
        for s in steps
    ]


def _cleaning(run: Judged, steps: Sequence[Step], split: str) -> dict[str, Any]:
    """Return how often a doubted label is wrong, and how many of the wrong ones are doubted."""
    by_key = {step.key: step for step in steps}
    rows = run.rows(split)
    rows = rows[by_key["chosen"].is_covered[rows] & run.present[rows]]
    is_doubted, is_wrong = ~by_key["cleaned"].is_covered, by_key["chosen"].labels != run.gold
    return {
        "precision": run.share(is_wrong, rows[is_doubted[rows]], f"no label of {split} is doubted"),
        "recall": run.share(
            is_doubted, rows[is_wrong[rows]], f"no label of {split} is known to be wrong"
        ),
    }


def _classifier(run: Judged, step: Step) -> dict[str, Any]:
    """Return what is mistaken for what, on test; on dev where test has no gold."""
    split = "test" if len(run.rows("test")) else "dev"
    rows = run.rows(split)
    matrix = confusion_matrix(
        run.gold[rows], step.labels[rows], len(run.classes), run.chance_of(rows)
    )
    per_class = zip(run.classes, matrix.recall, matrix.precision, strict=True)
    return {
        "split": split,
        "confusion": matrix.counts.tolist(),
        "confusion_shares": matrix.shares.tolist(),
        "per_class": [
            {
                "class": name,
                "recall": _proportion(recall, f"no {split} item of this class"),
                "precision": _proportion(precision, "never said"),
            }
            for name, recall, precision in per_class
        ],
        "worst": [
            {
                "gold": run.classes[gold],
                "label": run.classes[label],
                "count": int(matrix.counts[gold, label]),
                "share": float(matrix.shares[gold, label]),
            }
            for gold, label in matrix.worst()
        ],
    }


def _calibration(run: Judged, seed: int) -> dict[str, Any]:
    test = run.rows("test")
    if len(test) == 0:
        return {"reason": NO_TEST_GOLD}
    if len(test) < MIN_ROWS:
        return {"reason": f"only {len(test)} test items have gold"}
    found = calibration(
        run.probabilities[test], run.gold[test], probability=run.chance_of(test), seed=seed
    )
    bins = [
        {
            "confidence": b.confidence,
            **b.accuracy.as_dict(),
            "band_low": b.low,
            "band_high": b.high,
        }
        for b in found.bins
    ]
    return {
        **asdict(found),
        "accuracy": found.accuracy.as_dict(),
        "bins": bins,
        "is_within_band": found.is_within_band,
        "verdict": found.verdict,
    }


def _comparisons(
    run: Judged, steps: Sequence[Step], others: Sequence[Rival], seed: int
) -> list[dict[str, Any]]:
    """Return paired comparisons on the test rows; one that cannot be made says why."""
    test = run.rows("test")
    labels: dict[str, NDArray[np.int64] | None] = {s.key: s.labels[test] for s in steps}
    labels |= {other.key: other.labels for other in others}
    titles = {s.key: s.title for s in steps} | {other.key: other.title for other in others}
    reasons = {other.key: other.reason for other in others}
    pairs = [("classifier", "majority_vote"), ("classifier", "chosen")]
    pairs += [("classifier", o.key) for o in others if not o.key.startswith("knn")]
    if len(test) and (run.guessed(steps[0], test) or 0.0) > MOSTLY_GUESSED:
        commonest = commonest_class(run, steps)
        titles["commonest"] = f"calling every item {run.classes[commonest]}"
        labels["commonest"] = np.full(len(test), commonest)
        pairs.insert(0, ("classifier", "commonest"))
    pairs.append(("knn_ssl", f"knn_{BASELINES[run.payload.kind][0]}"))
    compared = []
    for first, second in pairs:
        entry: dict[str, Any] = {
            "first": first,
            "second": second,
            "first_title": titles[first],
            "second_title": titles[second],
        }
        one, two = labels[first], labels[second]
        if len(test) == 0 or one is None or two is None:
            entry["reason"] = reasons.get(second) or NO_TEST_GOLD
        else:
            gold = run.gold[test]
            found = run.compare(one == gold, two == gold, seed)
            entry |= {**asdict(found), "verdict": found.verdict}
        compared.append(entry)
    return compared


def _agreement(run: Judged, steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Return what can be said without gold: who agrees with whom. Never an accuracy."""
    by_key = {step.key: step for step in steps}
    weak, classifier = by_key["chosen"], by_key["classifier"]
    majority = by_key["majority_vote"]
    # (K + s, K) -> which vote values have a class in common
    table = expand_votes(len(run.classes), run.class_sets) > 0
    compatible = table @ table.T
    agreeing = pairs = 0
    for j in range(run.votes.shape[1]):
        for k in range(j):
            both = (run.votes[:, j] != ABSTAIN) & (run.votes[:, k] != ABSTAIN)
            agreeing += int(compatible[run.votes[both, j], run.votes[both, k]].sum())
            pairs += int(both.sum())

    def same(one: Step, two: Step) -> Proportion:
        rows = one.is_covered & two.is_covered
        return Proportion(int((one.labels[rows] == two.labels[rows]).sum()), int(rows.sum()))

    found = [
        ("lf_pairs", "Two voters on one item agree", Proportion(agreeing, pairs)),
        ("weak_majority", "Weak labels agree with the majority vote", same(weak, majority)),
        ("classifier_weak", "Classifier agrees with the weak labels", same(classifier, weak)),
    ]
    return [
        {"key": key, "title": title, **_proportion(measured, "nothing to compare")}
        for key, title, measured in found
        if key != "lf_pairs" or len(run.lfs) > 1
    ]


def _lf_findings(run: Judged) -> list[dict[str, Any]]:
    """Return what is suspicious about the LFs: by their votes on all items, and by gold of dev."""
    found = find_problems(
        run.votes,
        [lf["name"] for lf in run.lfs],
        classes=run.classes,
        class_sets=run.class_sets,
        gold=np.where(run.in_split("dev"), run.gold, ABSTAIN),
        is_unlabeled=run.in_split("unlabeled"),
    )
    return [finding.as_dict() for finding in found]


def _lf_table(run: Judged, steps: Sequence[Step]) -> pd.DataFrame:
    """Return one row per LF: what it covers, and how often it is right on dev and on test."""
    chosen = next(step for step in steps if step.key == "chosen")
    shared = analyse(
        run.votes,
        [lf["name"] for lf in run.lfs],
        classes=run.classes,
        class_sets=run.class_sets,
        posterior=run.posterior("chosen"),
        labels=np.where(chosen.is_covered, chosen.labels, ABSTAIN),
    ).drop(columns=_OF_GOLD)
    sides = [_right_votes(run, split).set_index(shared.index) for split in GOLD_SPLITS]
    about = pd.DataFrame(
        {key: [lf.get(key) for lf in run.lfs] for key in ("description", "n_errors", "note")},
        index=shared.index,
    )
    return pd.concat([shared, *sides, about], axis=1).reset_index()


def _right_votes(run: Judged, split: str) -> pd.DataFrame:
    """Return how often each LF's votes on a split are right, NaN where it has none with gold."""
    rows = run.rows(split)
    members = expand_votes(len(run.classes), run.class_sets) > 0  # (V, K)
    judged = []
    for votes in run.votes.T:
        voted = rows[votes[rows] != ABSTAIN]
        judged.append(run.share(members[votes, run.gold], voted, "no vote with gold"))
    table = pd.DataFrame(judged, columns=["value", "n", "low", "high"], dtype=float)
    return table.astype({"n": int}).rename(columns={"value": "accuracy"}).add_prefix(f"{split}_")

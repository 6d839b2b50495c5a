"""Bags: turn bag labels into votes on instances, cross-fitted.

Try it: ``weaklight run --only bags``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from pipelines.config import BagsConfig
from pipelines.stages.base import StageResult, Work
from weak_supervision.bags import bag_votes, cross_fit_instances
from weaklight.contracts import ABSTAIN
from weaklight.intervals import Proportion

__all__ = ["BagsInputs", "bags"]


@dataclass(frozen=True)
class BagsInputs:
    """Upstream files of the stage."""

    items: Path
    bag_labels: Path
    features: Path
    present: Path


def bags(inputs: BagsInputs, config: BagsConfig, work: Work) -> StageResult:
    """Score the instances of each bag by models that never saw the bag, and let them vote.

    Without bags, without ``[bags] positive`` or with bags of one label only there is nothing to
    learn from: every vote abstains and the summary says why.
    """
    items = pd.read_parquet(inputs.items, columns=["item_id", "bag_id"])
    labels = pd.read_parquet(inputs.bag_labels)
    present = np.load(inputs.present, allow_pickle=False)
    votes = np.full(len(items), ABSTAIN, dtype=np.int16)
    scores = np.full(len(items), np.nan, dtype=np.float32)
    summary: dict[str, Any] = {
        "n_bags": len(labels),
        "positive": config.positive,
        "method": config.method,
    }
    reason = _nothing_to_learn(labels, config)
    if reason is None:
        order = {bag: i for i, bag in enumerate(labels["bag_id"])}
        bag_index = np.array([order.get(b, -1) for b in items["bag_id"]], dtype=np.int64)
        bag_index[~present] = -1
        y = labels["bag_label"].to_numpy(dtype=np.int64)
        work.progress(0, 1, f"multiple-instance learning ({config.method})")
        features = np.load(inputs.features, allow_pickle=False)
        scores, bag_proba = cross_fit_instances(
            features, bag_index, y, folds=config.folds, seed=work.seed, method=config.method
        )
        positive, negative = _vote_values(config, work)
        votes = bag_votes(scores, bag_index, y, positive_vote=positive, negative_vote=negative)
        correct = int(((bag_proba >= 0.5) == (y == 1)).sum())
        summary |= {
            "n_positive": int(y.sum()),
            "n_instances": int((bag_index >= 0).sum()),
            "n_votes": int((votes != ABSTAIN).sum()),
            "bag_accuracy": Proportion(correct, len(y)).as_dict(),
            "bag_auc": float(roc_auc_score(y, bag_proba)),
            "protocol": f"{config.folds}-fold over bags; each bag scored by a model without it",
        }
    else:
        summary["reason"] = reason
    np.save(work.out / "bag_votes.npy", votes)
    np.save(work.out / "instance_scores.npy", scores)
    (work.out / "bags.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    return StageResult(
        outputs={
            "votes": "bag_votes.npy",
            "scores": "instance_scores.npy",
            "summary": "bags.json",
        },
        metrics={
            "n_bags": len(labels),
            "n_votes": int((votes != ABSTAIN).sum()),
            "bag_auc": summary.get("bag_auc"),
        },
        notes=(reason,) if reason is not None else (),
    )


def _nothing_to_learn(labels: pd.DataFrame, config: BagsConfig) -> str | None:
    if labels.empty:
        return "no bags in this project"
    if config.positive is None:
        return "bags have labels, but [bags] positive does not say what they mean: not used"
    counts = labels["bag_label"].value_counts()
    if len(counts) < 2 or counts.min() < config.folds:
        return (
            f"bags of both labels are needed, at least {config.folds} of each, "
            f"but there are {counts.to_dict()}: not used"
        )
    return None


def _vote_values(config: BagsConfig, work: Work) -> tuple[int, int]:
    """Return what a positive and a negative instance votes for."""
    names = [*work.classes, *(s.name for s in work.class_sets)]
    positive = names.index(str(config.positive))
    complement = f"not {config.positive}"
    if complement in names:
        return positive, names.index(complement)
    # The complement is a single class and needs no set of its own.
    sets = {s.name: s.members for s in work.class_sets}
    members = sets.get(str(config.positive), (positive,))
    (rest,) = (i for i in range(len(work.classes)) if i not in members)
    return positive, rest


def read_votes(votes: Path, bag_votes_file: Path) -> tuple[NDArray[np.int16], bool]:
    """Return LF votes with the bags' votes as one more column, and whether there is one."""
    lf_votes = np.load(votes, allow_pickle=False)
    of_bags = np.load(bag_votes_file, allow_pickle=False)
    if (of_bags == ABSTAIN).all():
        return lf_votes, False
    return np.column_stack([lf_votes, of_bags]).astype(np.int16), True

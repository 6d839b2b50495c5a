"""Bags: turn labels of bags into votes on items, cross-fitted.

A bag is either several items of one ``bag_id``, whose scores vote on each of them; or each item is
a bag of its own parts, and the bag's probability votes on the item.

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

from pipelines.instances import cut, embed_instances
from pipelines.payload import load_payload
from pipelines.sections import BagsConfig
from pipelines.stages.base import StageResult, Work
from weak_supervision.bags import bag_votes, cross_fit_instances, posterior_votes
from weak_supervision.label_models import MajorityVote
from weaklight.contracts import ABSTAIN
from weaklight.intervals import Proportion

__all__ = ["BagsInputs", "bags"]

UNKNOWN = -1


@dataclass(frozen=True)
class BagsInputs:
    """Upstream files of the stage."""

    items: Path
    bag_labels: Path
    features: Path
    present: Path
    votes: Path
    encoder: Path
    pixels: Path | None = None
    signals: Path | None = None


@dataclass(frozen=True)
class _Bags:
    """N instances in bags.

    Attributes
    ----------
    ids : (n_bags,) of the bags
    labels : (n_bags,) int64: 1 holds a positive, 0 holds none, -1 unknown
    is_known : (n_bags,) bool: the label came with the bag; the others are the majority of votes
    index : (N,) int64: the bag of each instance, -1 for none
    features : (N, d) float32
    places : where each instance lies in its item, None where the instances are the items
    """

    ids: NDArray[np.object_]
    labels: NDArray[np.int64]
    is_known: NDArray[np.bool_]
    index: NDArray[np.int64]
    features: NDArray[np.float32]
    places: pd.DataFrame | None = None


def bags(inputs: BagsInputs, config: BagsConfig, work: Work) -> StageResult:
    """Score the instances of each bag by models that never saw the bag, and let the items vote.

    Without bags, without ``[bags] positive`` or with bags of one label only there is nothing to
    learn from: every vote abstains and the summary says why.

    Raises
    ------
    ConfigError
        If ``[bags] instances`` does not suit the kind of items.
    """
    items = pd.read_parquet(inputs.items, columns=["item_id", "bag_id", "split", "sha256"])
    votes = np.full(len(items), ABSTAIN, dtype=np.int16)
    scores = np.full(len(items), np.nan, dtype=np.float32)
    of_bags = pd.DataFrame({"bag_id": [], "label": [], "probability": []})
    instances = pd.DataFrame({"item_id": [], "score": []})
    summary: dict[str, Any] = {
        "n_bags": 0,
        "positive": config.positive,
        "method": config.method,
        "instances": config.instances,
    }
    if config.instances == "items":
        found = _of_items(inputs, items)
    else:
        found = _of_parts(inputs, items, config, work)
    summary["n_bags"] = len(found.ids)
    reason = _nothing_to_learn(found.labels, config)
    if reason is None:
        instance_scores, proba = cross_fit_instances(
            found.features, found.index, found.labels,
            folds=config.folds, seed=work.seed, method=config.method, progress=work.progress,
        )  # fmt: skip
        says = _vote_values(config, work)
        if found.places is None:
            scores = instance_scores
            votes = bag_votes(
                scores, found.index, found.labels, positive_vote=says[0], negative_vote=says[1]
            )
        else:
            votes = posterior_votes(
                proba, found.labels, found.is_known, positive_vote=says[0], negative_vote=says[1]
            )
            names = items["item_id"].to_numpy()[found.index]
            instances = found.places.drop(columns="row").assign(score=instance_scores)
            instances.insert(0, "item_id", names)
        of_bags = pd.DataFrame({"bag_id": found.ids, "label": found.labels, "probability": proba})
        summary |= _judged(found, proba, votes, config)
    else:
        summary["reason"] = reason
    np.save(work.out / "bag_votes.npy", votes)
    np.save(work.out / "instance_scores.npy", scores)
    of_bags.to_parquet(work.out / "bags.parquet", index=False)
    instances.to_parquet(work.out / "instances.parquet", index=False)
    (work.out / "bags.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    return StageResult(
        outputs={
            "votes": "bag_votes.npy",
            "scores": "instance_scores.npy",
            "bags": "bags.parquet",
            "instances": "instances.parquet",
            "summary": "bags.json",
        },
        metrics={
            "n_bags": summary["n_bags"],
            "n_votes": int((votes != ABSTAIN).sum()),
            "bag_auc": summary.get("bag_auc"),
        },
        notes=(_told(summary) if reason is None else reason,),
    )


def _told(summary: dict[str, Any]) -> str:
    """Say how well bags are told apart by models that did not see them."""
    right, labels = summary["bag_accuracy"], summary["labels"]
    return (
        f"{summary['method']} is right on {right['value']:.1%} of {right['n']:,} bags whose label "
        f"is {labels} ({right['low']:.1%} to {right['high']:.1%}, AUC {summary['bag_auc']:.3f}), "
        f"each judged without it; {summary['n_votes']:,} items get a vote"
    ).replace("%", " %")


def _of_items(inputs: BagsInputs, items: pd.DataFrame) -> _Bags:
    """Return the bags that ``bag_id`` names; items without features lie in none."""
    known = pd.read_parquet(inputs.bag_labels)
    index = pd.Index(known["bag_id"]).get_indexer(items["bag_id"])
    index[~np.load(inputs.present, allow_pickle=False)] = UNKNOWN
    return _Bags(
        known["bag_id"].to_numpy(dtype=object),
        known["bag_label"].to_numpy(dtype=np.int64),
        np.ones(len(known), dtype=np.bool_),
        index.astype(np.int64),
        np.load(inputs.features, allow_pickle=False),
    )


def _of_parts(inputs: BagsInputs, items: pd.DataFrame, config: BagsConfig, work: Work) -> _Bags:
    """Return each item as the bag of its parts, labelled by its ``bag_label``, else by the votes.

    Labels of items that are kept for judging are not read: they would be gold.
    """
    payload = load_payload(inputs.items, inputs.pixels, inputs.signals)
    places = cut(payload, config)
    known = pd.read_parquet(inputs.bag_labels).set_index("bag_id")["bag_label"]
    labels = known.reindex(items["item_id"]).fillna(UNKNOWN).to_numpy(dtype=np.int64)
    is_known = (labels != UNKNOWN) & (items["split"] == "unlabeled").to_numpy(dtype=np.bool_)
    voted = _voted(np.load(inputs.votes, allow_pickle=False), config, work)
    sha256 = items["sha256"].to_numpy(dtype=str)
    return _Bags(
        items["item_id"].to_numpy(dtype=object),
        np.where(is_known, labels, voted),
        is_known,
        places["row"].to_numpy(dtype=np.int64),
        embed_instances(payload, places, sha256, inputs.encoder, work),
        places,
    )


def _voted(votes: NDArray[np.int16], config: BagsConfig, work: Work) -> NDArray[np.int64]:
    """Return what most votes say of each item, (n,): 1 positive, 0 not, -1 a tie or no vote."""
    model = MajorityVote().fit(votes, n_classes=len(work.classes), class_sets=work.class_sets)
    share = model.predict_proba(votes)[:, _positive_classes(config, work)].sum(axis=1)
    voted = np.where(np.isclose(share, 0.5), UNKNOWN, share > 0.5)
    return np.where((votes != ABSTAIN).any(axis=1), voted, UNKNOWN).astype(np.int64)


def _judged(
    found: _Bags, proba: NDArray[np.float32], votes: NDArray[np.int16], config: BagsConfig
) -> dict[str, Any]:
    """Return what the summary says of how well bags are told apart."""
    labelled = (found.labels != UNKNOWN) & np.isfinite(proba)
    y = found.labels[labelled] == 1
    correct = int(((proba[labelled] >= 0.5) == y).sum())
    return {
        "labels": "known" if found.is_known[labelled].all() else "voted",
        "n_labelled": len(y),
        "n_positive": int(y.sum()),
        "n_instances": int((found.index >= 0).sum()),
        "n_votes": int((votes != ABSTAIN).sum()),
        "bag_accuracy": Proportion(correct, len(y)).as_dict(),
        "bag_auc": float(roc_auc_score(y, proba[labelled])),
        "protocol": f"{config.folds}-fold over bags; each bag scored by a model without it",
    }


def _nothing_to_learn(labels: NDArray[np.int64], config: BagsConfig) -> str | None:
    if not len(labels):
        return "no bags in this project"
    if config.positive is None:
        return "bags have labels, but [bags] positive does not say what they mean: not used"
    counts = {label: int((labels == label).sum()) for label in (0, 1)}
    if min(counts.values()) < config.folds:
        return (
            f"bags of both labels are needed, at least {config.folds} of each, "
            f"but there are {counts}: not used"
        )
    return None


def _positive_classes(config: BagsConfig, work: Work) -> list[int]:
    """Return the classes that ``[bags] positive`` names."""
    sets = {s.name: s.members for s in work.class_sets}
    name = str(config.positive)
    return list(sets[name]) if name in sets else [work.classes.index(name)]


def _vote_values(config: BagsConfig, work: Work) -> tuple[int, int]:
    """Return what a positive and a negative item votes for."""
    names = [*work.classes, *(s.name for s in work.class_sets)]
    positive = names.index(str(config.positive))
    complement = f"not {config.positive}"
    if complement in names:
        return positive, names.index(complement)
    # The complement is a single class and needs no set of its own.
    members = _positive_classes(config, work)
    (rest,) = (i for i in range(len(work.classes)) if i not in members)
    return positive, rest

"""The orders in which unlabelled items are offered for review.

Try it: ``review_queue(RunView.latest(Project.open("my_project")), "least confident")``.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.lf_queries import settling_first
from pipelines.queries import Rows, RunView
from weaklight.contracts import ABSTAIN, expand_votes
from weaklight.errors import DataError
from weaklight.seeds import numpy_generator

__all__ = ["QUEUES", "TAKES_TWO", "review_queue"]

# With the reason to choose each.
QUEUES = {
    "least confident": "Labels that the sources are least sure of come first.",
    "most useful": "Unsure items that stand for many others: what teaches the most per label.",
    "functions disagree": "Items where the most voters contradict the majority come first.",
    "settles conflicts": "Each answer speaks for the most items on which voters contradict.",
    "cleaning issues": "Labels that the features contradict, worst first.",
    "uncovered": "Items without a vote: where a new function would help.",
    "random": "A random draw: what the labels look like on the whole, good or bad.",
}
TAKES_TWO = ("functions disagree", "settles conflicts")  # voters, to contradict one another


def review_queue(view: RunView, order: str, seed: int = 0) -> Rows:
    """Return the unlabelled items in an order of :data:`QUEUES`.

    Items of dev and test never appear, nor those whose label came with the source.

    Parameters
    ----------
    order
        One of :data:`QUEUES`; ties keep the order of the source.
    seed
        Seed of the random order, to be named wherever its result is.
    """
    if order not in QUEUES:
        raise DataError(f"expected one of the orders {list(QUEUES)}, but came {order!r}")
    is_unlabeled: NDArray[np.bool_] = view.splits == "unlabeled"
    if came := view.path("ingest", "labeled"):
        is_unlabeled[view.rows_of(pd.read_parquet(came)["item_id"])] = False
    rows: Rows = np.flatnonzero(is_unlabeled)
    if order == "random":
        return numpy_generator(seed, "review queue").permutation(rows)
    if order == "most useful":
        path = view.path("train", "label_next")
        if path is None:  # a run from before there was such an order
            return rows[:0]
        useful = view.rows_of(pd.read_parquet(path)["item_id"])
        return useful[is_unlabeled[useful]]
    if order == "cleaning issues":
        doubted = view.rows_of(list(view.issues_by_id))
        return doubted[is_unlabeled[doubted]]
    if order == "settles conflicts":
        return settling_first(view, rows)
    confidence = view.weak["confidence"].to_numpy(np.float64)
    if order == "functions disagree":
        contradicted = _contradicted(view)
        rows = rows[contradicted[rows] > 0]
        return rows[np.lexsort((confidence[rows], -contradicted[rows]))]
    if order == "uncovered":
        has_vote = (view.votes[rows] != ABSTAIN).any(axis=1)
        if view.bag_votes is not None:
            has_vote |= view.bag_votes[rows] != ABSTAIN
        rows = rows[~has_vote]
    else:
        rows = rows[view.labels[rows] != ABSTAIN]
    return rows[np.argsort(confidence[rows], kind="stable")]


def _contradicted(view: RunView) -> NDArray[np.float64]:
    """Return (n,) the share of an item's voters that exclude the class with the most support."""
    n_classes = len(view.classes)
    weight = np.vstack([expand_votes(n_classes, view.class_sets), np.zeros(n_classes)])
    mass = np.zeros((len(view.items), n_classes))
    for column in view.votes.T:
        mass += weight[column]  # -1 picks the row of zeros
    top = mass.argmax(axis=1)
    excludes = np.zeros(len(view.items))
    for column in view.votes.T:
        excludes += (column != ABSTAIN) & (weight[column, top] == 0)
    voters = (view.votes != ABSTAIN).sum(axis=1)
    return np.asarray(excludes / np.maximum(voters, 1))

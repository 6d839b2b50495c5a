"""The vocabulary every room shares: abstain, splits, class sets and the checks on arrays.

Try it: ``python -c "from weaklight.contracts import ABSTAIN; print(ABSTAIN)"``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weaklight.errors import DataError

__all__ = [
    "ABSTAIN",
    "ROLES",
    "SOURCE_SPLITS",
    "SPLITS",
    "TIE",
    "ClassSet",
    "Votes",
    "check_posterior",
    "check_votes",
    "expand_votes",
]

ABSTAIN = -1
TIE = 1e-5  # probabilities closer than this are a tie, as in snorkel.utils.probs_to_preds
SPLITS = ("unlabeled", "dev", "calibration", "test")
# What a source may say: the gold of "labeled" rows teaches. From ingest on they are unlabeled items
# that a person has labelled already, as in review.
SOURCE_SPLITS = ("labeled", *SPLITS)
ROLES = SPLITS[1:]  # what gold may be used for; an item has one role for good

Votes = NDArray[np.int16]


@dataclass(frozen=True)
class ClassSet:
    """A named set of classes an LF or a bag may vote for, such as "footwear".

    The s-th class set of a project has vote value ``K + s`` where K is the number of classes.
    """

    name: str
    members: tuple[int, ...]


def check_votes(votes: NDArray[np.generic], n_classes: int, n_sets: int = 0) -> Votes:
    """Return ``votes`` as (n, m) int16 or say what is wrong with it.

    Parameters
    ----------
    votes
        (n, m) integers: -1 abstains, 0..K-1 a class, K..K+n_sets-1 a class set.
    n_classes
        K, at least 1.
    n_sets
        How many class sets exist beside the classes.

    Raises
    ------
    DataError
        If the array is not two-dimensional, not integer, or holds a value out of range.
    """
    array = np.asarray(votes)
    if array.ndim != 2:
        raise DataError(
            f"votes must have two dimensions (items, LFs), but came with shape {array.shape}; "
            "pass a matrix, reshape(-1, 1) for a single LF"
        )
    if array.dtype.kind not in "iu":
        raise DataError(
            f"votes must be integers with -1 for abstain, but came as {array.dtype}; "
            "map class names to ids first and NaN to -1"
        )
    top = n_classes + n_sets - 1
    if array.size and (array.min() < ABSTAIN or array.max() > top):
        raise DataError(
            f"votes must lie between -1 and {top} ({n_classes} classes, {n_sets} class sets), "
            f"but run from {array.min()} to {array.max()}; check the list of classes"
        )
    return np.ascontiguousarray(array, dtype=np.int16)


def check_posterior(posterior: NDArray[np.floating], n_classes: int) -> NDArray[np.float32]:
    """Return ``posterior`` as (n, K) float32 whose rows sum to 1, or say what is wrong with it.

    Raises
    ------
    DataError
        If the shape is wrong, a value is NaN or negative, or a row does not sum to 1 within 1e-3.
    """
    array = np.asarray(posterior, dtype=np.float32)
    if array.ndim != 2 or array.shape[1] != n_classes:
        raise DataError(
            f"a posterior must have shape (n, {n_classes}), but came with {array.shape}; "
            "one column per class in the project's order"
        )
    if not np.isfinite(array).all() or (array < 0).any():
        raise DataError(
            "a posterior must be finite and not negative, but holds NaN or negative values; "
            "look at the model that made it"
        )
    sums = array.sum(axis=1)
    if array.size and np.abs(sums - 1).max() > 1e-3:
        worst = int(np.abs(sums - 1).argmax())
        raise DataError(
            f"each posterior row must sum to 1, but row {worst} sums to {sums[worst]:.4f}; "
            "normalise it first"
        )
    return array


def expand_votes(n_classes: int, class_sets: tuple[ClassSet, ...] = ()) -> NDArray[np.float64]:
    """Return what each vote value says about the classes.

    Returns
    -------
    (K + n_sets, K) float64, rows sum to 1: row v spreads one vote of value v evenly over the
    classes it names. A class set of three gives each of them a third.
    """
    table = np.zeros((n_classes + len(class_sets), n_classes))
    table[np.arange(n_classes), np.arange(n_classes)] = 1.0
    for offset, class_set in enumerate(class_sets):
        table[n_classes + offset, list(class_set.members)] = 1.0 / len(class_set.members)
    return table

"""Accuracy of labels against gold, on all items, on the covered ones and per class.

Try it::

    from weak_supervision.evaluation import accuracy
    print(accuracy([0, 1], [0, 0]))
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from weaklight.contracts import ABSTAIN, check_posterior
from weaklight.errors import DataError
from weaklight.intervals import Proportion

__all__ = [
    "MIN_ROWS",
    "TIE_RULE",
    "Quality",
    "accuracy",
    "class_accuracy",
    "hard_labels",
    "labels_and_gold",
    "quality",
]

# Below 20 rows a Wilson interval spans 40 points or more: a number would mislead, so none is shown.
MIN_ROWS = 20

# Snorkel's and WRENCH's rule, keyed by item id instead of row so that row order does not matter.
TIE_RULE = (
    "a tie goes to one of the tied classes by the SHA-1 of the item id; "
    "an item without any evidence counts as a tie between all classes"
)
_TIE_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Quality:
    """How good a set of labels is on the rows whose gold is known.

    Attributes
    ----------
    overall : right labels among all rows; ties broken by :data:`TIE_RULE`
    coverage : share of rows that had any evidence
    covered : right labels among the covered rows
    """

    overall: Proportion
    coverage: Proportion
    covered: Proportion


def hard_labels(posterior: NDArray[np.floating], keys: Sequence[object]) -> NDArray[np.int64]:
    """Return the most probable class of each row; ties are broken by :data:`TIE_RULE`.

    Parameters
    ----------
    posterior
        (n, K) floats, rows sum to 1.
    keys
        n item ids; the label of a row depends on its own posterior and key alone.

    Returns
    -------
    (n,) int64 class ids, never -1.

    Notes
    -----
    O(n K) time; only tied rows are hashed.

    References
    ----------
    Snorkel 0.10, ``probs_to_preds(tie_break_policy="random")``; with ``keys = range(n)`` the result
    is the same.

    Examples
    --------
    >>> hard_labels(np.array([[0.2, 0.8], [0.9, 0.1]]), ["a", "b"])
    array([1, 0])
    """
    posterior = check_posterior(posterior, np.asarray(posterior).shape[-1])
    if len(keys) != len(posterior):
        raise DataError(
            f"expected one key per row, but came {len(keys)} keys for {len(posterior)} rows; "
            "pass the item ids of the same rows"
        )
    labels: NDArray[np.int64] = posterior.argmax(axis=1).astype(np.int64)
    tied = posterior >= posterior.max(axis=1, keepdims=True, initial=0) - _TIE_TOLERANCE
    for row in np.flatnonzero(tied.sum(axis=1) > 1).tolist():
        candidates = np.flatnonzero(tied[row])
        digest = hashlib.sha1(str(keys[row]).encode(), usedforsecurity=False).hexdigest()
        labels[row] = candidates[int(digest, 16) % len(candidates)]
    return labels


def accuracy(labels: ArrayLike, gold: ArrayLike) -> Proportion:
    """Return the share of right labels; a label of -1 is wrong, a gold of -1 is left out.

    Examples
    --------
    >>> print(accuracy([0, 1, -1, 0], [0, 0, 1, -1]))
    0.333 [0.061, 0.792] n=3
    """
    left, right = labels_and_gold(labels, gold)
    return Proportion(int((left == right).sum()), len(right))


def class_accuracy(labels: ArrayLike, gold: ArrayLike, n_classes: int) -> tuple[Proportion, ...]:
    """Return, per gold class, the share of its rows that are labelled right (recall), with n.

    A class with fewer than :data:`MIN_ROWS` rows has "too few" to print a number; that is for the
    reader of ``n`` to say.
    """
    left, right = labels_and_gold(labels, gold)
    return tuple(
        Proportion(int((left[right == c] == c).sum()), int((right == c).sum()))
        for c in range(n_classes)
    )


def quality(labels: ArrayLike, gold: ArrayLike, is_covered: ArrayLike) -> Quality:
    """Return accuracy overall, coverage, and accuracy on the covered rows.

    Parameters
    ----------
    labels
        (n,) ints, a class id in every row (break ties first, see :func:`hard_labels`).
    gold
        (n,) ints, -1 where unknown; those rows are left out.
    is_covered
        (n,) bool: some evidence reached the row.
    """
    known = np.asarray(gold) >= 0
    left, right = labels_and_gold(labels, gold)
    reached = np.asarray(is_covered, dtype=bool)[known]
    hits = left == right
    return Quality(
        overall=Proportion(int(hits.sum()), len(hits)),
        coverage=Proportion(int(reached.sum()), len(reached)),
        covered=Proportion(int(hits[reached].sum()), int(reached.sum())),
    )


def labels_and_gold(
    labels: ArrayLike, gold: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return labels and gold of the rows whose gold is known, as int64.

    Raises
    ------
    DataError
        If the two differ in length or have more than one dimension.
    """
    left, right = np.asarray(labels), np.asarray(gold)
    if left.shape != right.shape or left.ndim != 1:
        raise DataError(
            f"labels and gold must be two lists of one length, but came with shapes {left.shape} "
            f"and {right.shape}; align both with the items"
        )
    known = right > ABSTAIN
    return left[known].astype(np.int64), right[known].astype(np.int64)

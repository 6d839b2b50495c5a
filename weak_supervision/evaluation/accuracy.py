"""Accuracy of labels against gold, on all items, on the covered ones and per class.

Try it::

    from weak_supervision.evaluation import accuracy
    print(accuracy([0, 1], [0, 0]))
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from weak_supervision.evaluation.weighted import Share, drawn_with, share
from weaklight.contracts import ABSTAIN
from weaklight.errors import DataError

__all__ = [
    "MIN_ROWS",
    "Quality",
    "accuracy",
    "class_accuracy",
    "quality",
    "with_gold",
]

# Below 20 rows a Wilson interval spans 40 points or more: a number would mislead, so none is shown.
MIN_ROWS = 20


@dataclass(frozen=True)
class Quality:
    """How good a set of labels is on the rows whose gold is known.

    Attributes
    ----------
    overall : right labels among all rows; ties broken beforehand
    coverage : share of rows that had any evidence
    covered : right labels among the covered rows
    """

    overall: Share
    coverage: Share
    covered: Share


def accuracy(labels: ArrayLike, gold: ArrayLike, probability: ArrayLike | None = None) -> Share:
    """Return the share of right labels; a label of -1 is wrong, a gold of -1 is left out.

    Parameters
    ----------
    labels, gold
        (n,) class ids.
    probability
        (n,) chance of each row to be drawn, see :func:`share`; None where all were drawn alike.

    Raises
    ------
    DataError
        If the lengths differ, or a probability of a row with gold is not in (0, 1].

    Examples
    --------
    >>> print(accuracy([0, 1, -1, 0], [0, 0, 1, -1]))
    0.333 [0.061, 0.792] n=3
    """
    left, right, chance = with_gold(labels, gold, probability)
    return share(left == right, chance)


def class_accuracy(
    labels: ArrayLike, gold: ArrayLike, n_classes: int, probability: ArrayLike | None = None
) -> tuple[Share, ...]:
    """Return, per gold class, the share of its rows that are labelled right (recall), with n.

    A class with fewer than :data:`MIN_ROWS` rows has "too few" to print a number; that is for the
    reader of ``n`` to say. ``probability`` as in :func:`accuracy`.
    """
    left, right, chance = with_gold(labels, gold, probability)
    return tuple(share(left == c, chance, right == c) for c in range(n_classes))


def quality(
    labels: ArrayLike,
    gold: ArrayLike,
    is_covered: ArrayLike,
    probability: ArrayLike | None = None,
) -> Quality:
    """Return accuracy overall, coverage, and accuracy on the covered rows.

    Parameters
    ----------
    labels
        (n,) ints, a class id in every row (break ties first, as `label_models.hard_labels` does).
    gold
        (n,) ints, -1 where unknown; those rows are left out.
    is_covered
        (n,) bool: some evidence reached the row.
    probability
        As in :func:`accuracy`.
    """
    known = np.asarray(gold) >= 0
    left, right, chance = with_gold(labels, gold, probability)
    reached = np.asarray(is_covered, dtype=bool)[known]
    hits = left == right
    return Quality(
        overall=share(hits, chance),
        coverage=share(reached, chance),
        covered=share(hits, chance, reached),
    )


def with_gold(
    labels: ArrayLike, gold: ArrayLike, probability: ArrayLike | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64] | None]:
    """Return labels, gold (int64) and chances to be drawn of the rows whose gold is known.

    Raises
    ------
    DataError
        If they differ in length or have more than one dimension.
    """
    left, right = np.asarray(labels), np.asarray(gold)
    if left.shape != right.shape or left.ndim != 1:
        raise DataError(
            f"labels and gold must be two lists of one length, but came with shapes {left.shape} "
            f"and {right.shape}; align both with the items"
        )
    known = right > ABSTAIN
    chance = drawn_with(probability, len(known), known)
    return left[known].astype(np.int64), right[known].astype(np.int64), chance

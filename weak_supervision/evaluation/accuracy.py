"""Accuracy of labels against gold, on all items, on the covered ones and per class.

Try it::

    from weak_supervision.evaluation import accuracy
    print(accuracy([0, 1], [0, 0]))
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from weaklight.contracts import ABSTAIN
from weaklight.errors import DataError
from weaklight.intervals import Proportion

__all__ = [
    "MIN_ROWS",
    "Quality",
    "accuracy",
    "class_accuracy",
    "labels_and_gold",
    "quality",
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

    overall: Proportion
    coverage: Proportion
    covered: Proportion


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
        (n,) ints, a class id in every row (break ties first, as `label_models.hard_labels` does).
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

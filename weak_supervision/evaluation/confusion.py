"""What is mistaken for what.

Try it::

    from weak_supervision.evaluation import confusion_matrix
    print(confusion_matrix(gold, labels, n_classes=10).worst())
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from weak_supervision.evaluation.accuracy import labels_and_gold
from weaklight.errors import DataError
from weaklight.intervals import Proportion

__all__ = ["ConfusionMatrix", "confusion_matrix"]


@dataclass(frozen=True)
class ConfusionMatrix:
    """Counts of (gold, label) pairs.

    Attributes
    ----------
    counts : (K, K) int64, rows are gold, columns are labels
    abstained : (K,) int64, rows of each gold class that got no label
    """

    counts: NDArray[np.int64]
    abstained: NDArray[np.int64]

    def recall(self) -> tuple[Proportion, ...]:
        """Of each gold class, how much was found."""
        totals = self.counts.sum(axis=1) + self.abstained
        return tuple(
            Proportion(int(h), int(t)) for h, t in zip(self.counts.diagonal(), totals, strict=True)
        )

    def precision(self) -> tuple[Proportion, ...]:
        """Of each class given as a label, how much was right."""
        return tuple(
            Proportion(int(h), int(t))
            for h, t in zip(self.counts.diagonal(), self.counts.sum(axis=0), strict=True)
        )

    def worst(self, k: int = 5) -> list[tuple[int, int, int]]:
        """Return the k most frequent mistakes as (gold, label, count), most frequent first."""
        wrong = self.counts - np.diag(self.counts.diagonal())
        order = np.argsort(-wrong, axis=None, kind="stable")[:k]
        pairs = zip(*np.unravel_index(order, wrong.shape), strict=True)
        return [(int(g), int(p), int(wrong[g, p])) for g, p in pairs if wrong[g, p]]


def confusion_matrix(gold: ArrayLike, labels: ArrayLike, n_classes: int) -> ConfusionMatrix:
    """Count what each gold class was labelled as.

    Parameters
    ----------
    gold
        (n,) ints, -1 where unknown; those rows are left out.
    labels
        (n,) ints, -1 where the model abstains.
    n_classes
        K.

    Raises
    ------
    DataError
        If a value is K or above.

    Examples
    --------
    >>> confusion_matrix([0, 0, 1, -1], [0, 1, -1, 1], 2).counts
    array([[1, 1],
           [0, 0]])
    """
    left, right = labels_and_gold(labels, gold)
    if left.size and max(left.max(), right.max()) >= n_classes:
        raise DataError(
            f"expected class ids below {n_classes}, but came {max(left.max(), right.max())}; "
            "check the list of classes"
        )
    counts = np.zeros((n_classes, n_classes), dtype=np.int64)
    given = left >= 0
    np.add.at(counts, (right[given], left[given]), 1)
    return ConfusionMatrix(counts, np.bincount(right[~given], minlength=n_classes))

"""What is mistaken for what.

Try it::

    from weak_supervision.evaluation import confusion_matrix
    print(confusion_matrix(gold, labels, n_classes=10).worst())
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from weak_supervision.evaluation.accuracy import with_gold
from weak_supervision.evaluation.weighted import Share, row_weights, share
from weaklight.errors import DataError

__all__ = ["ConfusionMatrix", "confusion_matrix"]


@dataclass(frozen=True)
class ConfusionMatrix:
    """How often each (gold, label) pair occurs.

    Attributes
    ----------
    counts : (K, K) int64, rows are gold, columns are labels
    abstained : (K,) int64, rows of each gold class that got no label
    shares : (K, K) float64, the share of the pool that each pair is; sums to 1 where all are
        labelled
    recall : of each gold class, how much was found
    precision : of each class given as a label, how much was right
    """

    counts: NDArray[np.int64]
    abstained: NDArray[np.int64]
    shares: NDArray[np.float64]
    recall: tuple[Share, ...]
    precision: tuple[Share, ...]

    def worst(self, k: int = 5) -> list[tuple[int, int]]:
        """Return the k most frequent mistakes as (gold, label), the largest share first."""
        wrong = self.shares - np.diag(self.shares.diagonal())
        order = np.argsort(-wrong, axis=None, kind="stable")[:k]
        pairs = zip(*np.unravel_index(order, wrong.shape), strict=True)
        return [(int(g), int(p)) for g, p in pairs if wrong[g, p]]


def confusion_matrix(
    gold: ArrayLike, labels: ArrayLike, n_classes: int, probability: ArrayLike | None = None
) -> ConfusionMatrix:
    """Count what each gold class was labelled as.

    Parameters
    ----------
    gold
        (n,) ints, -1 where unknown; those rows are left out.
    labels
        (n,) ints, -1 where the model abstains.
    n_classes
        K.
    probability
        (n,) chance of each row to be drawn, see :func:`share`; None where all were drawn alike.

    Raises
    ------
    DataError
        If a value is K or above, the lengths differ, or a probability is not in (0, 1].

    Notes
    -----
    O(n K) time.

    Examples
    --------
    >>> matrix = confusion_matrix([0, 0, 1, -1], [0, 1, -1, 1], 2)
    >>> matrix.counts
    array([[1, 1],
           [0, 0]])
    >>> print(matrix.recall[0])
    0.500 [0.095, 0.905] n=2
    """
    left, right, chance = with_gold(labels, gold, probability)
    if left.size and max(left.max(), right.max()) >= n_classes:
        raise DataError(
            f"expected class ids below {n_classes}, but came {max(left.max(), right.max())}; "
            "check the list of classes"
        )
    counts = np.zeros((n_classes, n_classes), dtype=np.int64)
    shares = np.zeros((n_classes, n_classes))
    given = left >= 0
    pairs = (right[given], left[given])
    np.add.at(counts, pairs, 1)
    np.add.at(shares, pairs, row_weights(chance, len(left))[given] / max(len(left), 1))
    hits = left == right
    return ConfusionMatrix(
        counts,
        np.bincount(right[~given], minlength=n_classes),
        shares,
        recall=tuple(share(hits, chance, right == c) for c in range(n_classes)),
        precision=tuple(share(hits, chance, left == c) for c in range(n_classes)),
    )

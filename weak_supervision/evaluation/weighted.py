"""Accuracy when some kinds of items were more likely to be labelled by hand than others.

Gold that was drawn with unequal chances, such as ten rows a class, is no picture of the pool. Each
row then counts for as many pool rows as it stands for: the inverse of its chance of being drawn.

Try it::

    from weak_supervision.evaluation import weighted_accuracy
    print(weighted_accuracy(labels, gold, probability))
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from weak_supervision.evaluation.accuracy import labels_and_gold
from weak_supervision.evaluation.compare import Comparison, pair
from weaklight.errors import DataError
from weaklight.intervals import wilson_share

__all__ = ["WeightedProportion", "compare_weighted", "weighted_accuracy"]


@dataclass(frozen=True)
class WeightedProportion:
    """A weighted share, with the number of rows that would tell as much if drawn equally.

    Attributes
    ----------
    value : the share, None without a row
    low, high : 95 % interval (Wilson's, at the effective number of rows)
    n : rows
    effective_n : rows of a simple random sample with the same standard error
    """

    value: float | None
    low: float
    high: float
    n: int
    effective_n: float

    def __str__(self) -> str:
        if self.value is None:
            return "no rows"
        return (
            f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}] n={self.n}, "
            f"worth {self.effective_n:.0f}"
        )


def weighted_accuracy(
    labels: ArrayLike, gold: ArrayLike, probability: ArrayLike
) -> WeightedProportion:
    """Return the accuracy on the whole pool, estimated from gold drawn with unequal chances.

    Parameters
    ----------
    labels, gold
        (n,) class ids; a label of -1 is wrong, a gold of -1 is left out.
    probability
        (n,) chance of each row to be drawn, in (0, 1]; only ratios matter.

    Raises
    ------
    DataError
        If a probability of a row with gold is not in (0, 1] or the lengths differ.

    Notes
    -----
    The ratio estimator of Hajek with its linearised variance. Where all rows are right, or wrong,
    that variance is zero and says nothing; Kish's ``(sum w)^2 / sum w^2`` bounds the effective n.

    References
    ----------
    Hajek 1971, in "Foundations of statistical inference"; Kish 1965, "Survey sampling", sec. 11.7;
    Korn and Graubard 1998 for intervals at an effective sample size.

    Examples
    --------
    >>> rare, common = [0.5] * 40, [0.05] * 40  # a rare class was drawn ten times as often
    >>> print(weighted_accuracy([1] * 40 + [0] * 40, [0] * 40 + [0] * 40, rare + common))
    0.909 [0.826, 0.955] n=80, worth 80
    """
    known = np.asarray(gold) >= 0
    left, right = labels_and_gold(labels, gold)
    weight = _weights(probability, known)
    n = len(weight)
    if n == 0:
        return WeightedProportion(None, 0.0, 1.0, 0, 0.0)
    hit = (left == right).astype(np.float64)
    value = float(weight @ hit)
    variance = float((weight**2) @ (hit - value) ** 2)
    kish = 1.0 / float(weight @ weight)
    effective = min(value * (1 - value) / variance, float(n)) if variance > 0 else kish
    low, high = wilson_share(value, effective)
    return WeightedProportion(value, low, high, n, effective)


def compare_weighted(
    first_is_right: ArrayLike, second_is_right: ArrayLike, probability: ArrayLike
) -> Comparison:
    """Compare two sets of labels on the same rows, each of which stands for 1 / chance of the pool.

    Parameters
    ----------
    first_is_right, second_is_right
        (n,) bool, aligned: whether each has the row right.
    probability
        (n,) chance of each row to be drawn, in (0, 1]; only ratios matter.

    Returns
    -------
    The difference on the pool; its interval and p-value are those of the normal distribution with
    the linearised variance, as exact counts mean nothing here. ``only_first`` and ``only_second``
    count rows as they were drawn.

    Raises
    ------
    DataError
        If the three are not aligned, there is no row or a probability is out of range.

    Notes
    -----
    Half a row is added to each side, as in `compare_paired`: where the two never disagree, the
    variance would be 0. O(n).

    Examples
    --------
    >>> first, second = [True] * 80, [True] * 40 + [False] * 40
    >>> found = compare_weighted(first, second, [0.5] * 40 + [0.05] * 40)
    >>> found.only_first, round(found.difference, 2), found.verdict
    (40, 0.91, 'better')
    """
    first, second = pair(first_is_right, second_is_right)
    weight = _weights(probability, np.ones(len(first), dtype=np.bool_))
    gap = first.astype(np.float64) - second
    difference = float(weight @ gap)
    kish = 1.0 / float(weight @ weight)
    variance = float((weight**2) @ (gap - difference) ** 2) + 1 / (kish * (kish + 2))
    error = variance**0.5
    half = NormalDist().inv_cdf(0.975) * error
    return Comparison(
        n=len(first),
        only_first=int((first & ~second).sum()),
        only_second=int((second & ~first).sum()),
        difference=difference,
        low=difference - half,
        high=difference + half,
        p_value=2 * NormalDist().cdf(-abs(difference) / error),
    )


def _weights(probability: ArrayLike, used: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the inverse chances of the rows that are used, summing to 1."""
    chance = np.asarray(probability, dtype=np.float64)
    if chance.shape != used.shape:
        raise DataError(
            f"expected one probability for each of {len(used)} rows, but came {chance.shape}"
        )
    chance = chance[used]
    if not ((chance > 0) & (chance <= 1)).all():
        raise DataError(
            "the chance of a row to be drawn must lie above 0 and at most at 1, but runs from "
            f"{chance.min():g} to {chance.max():g}; rows that could not be drawn have no gold"
        )
    weight = 1.0 / chance
    return np.asarray(weight / weight.sum())

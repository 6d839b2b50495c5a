"""Accuracy when some kinds of items were more likely to be labelled by hand than others.

Gold that was drawn with unequal chances, such as ten rows a class, is no picture of the pool. Each
row then counts for as many pool rows as it stands for: the inverse of its chance of being drawn.

Try it::

    from weak_supervision.evaluation import weighted_accuracy
    print(weighted_accuracy(labels, gold, probability))
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from weak_supervision.evaluation.accuracy import labels_and_gold
from weaklight.errors import DataError
from weaklight.intervals import wilson_share

__all__ = ["WeightedProportion", "weighted_accuracy"]


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
    chance = np.asarray(probability, dtype=np.float64)
    if chance.shape != known.shape:
        raise DataError(
            f"expected one probability for each of {len(known)} rows, but came {chance.shape}"
        )
    chance = chance[known]
    if not ((chance > 0) & (chance <= 1)).all():
        raise DataError(
            "the chance of a row to be drawn must lie above 0 and at most at 1, but runs from "
            f"{chance.min():g} to {chance.max():g}; rows that could not be drawn have no gold"
        )
    n = len(chance)
    if n == 0:
        return WeightedProportion(None, 0.0, 1.0, 0, 0.0)
    weight = 1.0 / chance
    weight /= weight.sum()
    hit = (left == right).astype(np.float64)
    value = float(weight @ hit)
    variance = float((weight**2) @ (hit - value) ** 2)
    kish = 1.0 / float(weight @ weight)
    effective = min(value * (1 - value) / variance, float(n)) if variance > 0 else kish
    low, high = wilson_share(value, effective)
    return WeightedProportion(value, low, high, n, effective)

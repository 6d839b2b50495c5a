"""Shares of the pool, estimated from gold that need not have been drawn with equal chances.

Gold that was drawn with unequal chances, such as ten rows a class, is no picture of the pool. Each
row then counts for as many pool rows as it stands for: the inverse of its chance of being drawn.
Every measure of this package takes these chances as ``probability`` and gets its weights here.

Try it::

    from weak_supervision.evaluation import share
    print(share(is_right, probability))
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from weak_supervision.evaluation.compare import Comparison, pair
from weaklight.errors import DataError
from weaklight.intervals import Proportion, wilson_share

__all__ = [
    "Share",
    "WeightedProportion",
    "chance_over_draws",
    "compare_weighted",
    "row_weights",
    "share",
]


@dataclass(frozen=True)
class WeightedProportion:
    """A weighted share, with the number of rows that would tell as much if drawn equally.

    Attributes
    ----------
    value : the share, None without a row
    n : rows
    effective_n : rows of a simple random sample with the same standard error
    """

    value: float | None
    n: int
    effective_n: float

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval: Wilson's, at the effective number of rows."""
        return (0.0, 1.0) if self.value is None else wilson_share(self.value, self.effective_n)

    def as_dict(self) -> dict[str, float | int | None]:
        """Return ``value``, ``low``, ``high`` and ``n`` for a JSON file."""
        low, high = self.interval
        return {"value": self.value, "low": low, "high": high, "n": self.n}

    def __str__(self) -> str:
        if self.value is None:
            return "no rows"
        low, high = self.interval
        return f"{self.value:.3f} [{low:.3f}, {high:.3f}] n={self.n}, worth {self.effective_n:.0f}"


Share = Proportion | WeightedProportion
PRIOR_ROWS = 4.0  # rows, half of them true, that a spread is guessed by; Agresti and Coull 1998
Rows = NDArray[np.bool_] | NDArray[np.intp] | slice  # a mask, row numbers or a range


def chance_over_draws(
    drawn: ArrayLike, counted: ArrayLike, since: ArrayLike
) -> NDArray[np.float64]:
    """Return the chance of each item to be in a sample that several draws have made.

    Parameters
    ----------
    drawn
        (k,) share of the items then left that each draw took, whatever it took them for.
    counted
        (k,) share of the items then left that each draw took for this sample and that are known by
        now; 0 for draws that took them for something else.
    since
        (n,) the first draw, from 0, at which the item was there.

    Returns
    -------
    (n,) float64: the sum, over the draws at which the item was there, of what was counted times the
    chance that no earlier one had taken it.

    Examples
    --------
    A tenth of a pool was drawn; the pool doubled, and a tenth of what is left was drawn:

    >>> chance_over_draws([0.1, 0.1], [0.1, 0.1], [0, 1]).round(2).tolist()
    [0.19, 0.1]
    """
    taken, kept = np.asarray(drawn, np.float64), np.asarray(counted, np.float64)
    chance = np.zeros(len(taken) + 1)  # from each draw on
    for k in reversed(range(len(taken))):
        chance[k] = kept[k] + (1 - taken[k]) * chance[k + 1]
    return np.asarray(chance[np.asarray(since, np.intp)])


def share(
    is_true: ArrayLike, probability: ArrayLike | None = None, rows: Rows = slice(None)
) -> Share:
    """Return the share of the pool for which something holds.

    Parameters
    ----------
    is_true
        (n,) bool: whether it holds for the row.
    probability
        (n,) chance of each row to be drawn, in (0, 1]; only ratios matter. None where all rows were
        drawn alike: the share is then the plain :class:`~weaklight.intervals.Proportion`.
    rows
        Which rows are looked at: all, or those of a class or a slice.

    Raises
    ------
    DataError
        If a probability of these rows is not in (0, 1] or the lengths differ.

    Notes
    -----
    The ratio estimator of Hajek with its linearised variance, and Wilson's interval at the
    effective n: the variance of one evenly drawn row over that of the estimate. Rows that count
    for much and err seldom have shown no error yet, which the variance takes for certainty; a
    guessed spread of 2 / (Kish's n + 4), which is what four more rows would add, enters both with
    Kish's ``(sum w)^2 / sum w^2`` rows. It vanishes as rows become many, and where all are true
    Kish's n is left.

    References
    ----------
    Hajek 1971, in "Foundations of statistical inference"; Kish 1965, "Survey sampling", sec. 11.7;
    Korn and Graubard 1998 for intervals at an effective sample size; Agresti and Coull 1998.

    Examples
    --------
    >>> rare, common = [0.5] * 40, [0.05] * 40  # a rare class was drawn ten times as often
    >>> print(share([False] * 40 + [True] * 40, rare + common))
    0.909 [0.826, 0.955] n=80, worth 80
    """
    everywhere = np.asarray(is_true, dtype=np.bool_)
    hit, chance = everywhere[rows], drawn_with(probability, len(everywhere), rows)
    n, n_true = len(hit), int(hit.sum())
    if chance is None:
        return Proportion(n_true, n)
    if n == 0:
        return WeightedProportion(None, 0, 0.0)
    weight = row_weights(chance, n) / n
    kish = 1.0 / float(weight @ weight)
    value = n_true / n if n_true in (0, n) else float(weight[hit].sum())
    variance = float((weight**2) @ (hit - value) ** 2)
    guessed = PRIOR_ROWS / 2 / (kish + PRIOR_ROWS)
    effective = (value * (1 - value) + guessed) / (variance + guessed / kish)
    return WeightedProportion(value, n, min(effective, float(n)))


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
    weight = row_weights(probability, len(first)) / len(first)
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


def row_weights(probability: ArrayLike | None, n: int) -> NDArray[np.float64]:
    """Return what each of n rows counts for, (n,) with mean 1; exactly 1 where drawn alike (None).

    Raises
    ------
    DataError
        If there are not n probabilities, or one is not in (0, 1].
    """
    chance = drawn_with(probability, n)
    if chance is None or n == 0:
        return np.ones(n)
    if not ((chance > 0) & (chance <= 1)).all():
        raise DataError(
            "the chance of a row to be drawn must lie above 0 and at most at 1, but runs from "
            f"{chance.min():g} to {chance.max():g}; rows that could not be drawn have no gold"
        )
    weight = 1.0 / chance
    return np.asarray(weight / weight.mean())


def drawn_with(
    probability: ArrayLike | None, n: int, rows: Rows = slice(None)
) -> NDArray[np.float64] | None:
    """Return the chances of some of n rows, None where all were drawn alike."""
    if probability is None:
        return None
    chance = np.asarray(probability, dtype=np.float64)
    if chance.shape != (n,):
        raise DataError(f"expected one probability for each of {n} rows, but came {chance.shape}")
    return np.asarray(chance[rows])

"""Which of two sets of labels is better, judged on the same rows.

Try it::

    from weak_supervision.evaluation import compare_paired
    print(compare_paired(first == gold, second == gold).verdict)
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import ArrayLike, NDArray

from weaklight.errors import DataError
from weaklight.seeds import numpy_generator

__all__ = ["Comparison", "compare_paired"]

N_DRAWS = 10_000


@dataclass(frozen=True)
class Comparison:
    """The difference in accuracy of two sets of labels on the same n rows.

    Attributes
    ----------
    only_first, only_second : rows that one alone has right
    difference : accuracy of the first minus accuracy of the second
    low, high : 95 % paired bootstrap interval of the difference
    p_value : exact McNemar test, two-sided
    """

    n: int
    only_first: int
    only_second: int
    difference: float
    low: float
    high: float
    p_value: float

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or ``no clear difference``: the interval decides."""
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "no clear difference"


def compare_paired(
    first_is_right: ArrayLike, second_is_right: ArrayLike, *, seed: int = 0
) -> Comparison:
    """Compare two sets of labels on the same rows.

    Parameters
    ----------
    first_is_right, second_is_right
        (n,) bool, aligned: whether each has the row right.
    seed
        For the bootstrap.

    Raises
    ------
    DataError
        If the two are not aligned or there is no row.

    Notes
    -----
    Resampling rows with replacement is a multinomial draw of the four outcomes (both right, only
    one, neither), so a draw costs O(1). Half a row is added to each outcome: where the two never
    disagree, a plain bootstrap would claim certainty.

    References
    ----------
    McNemar 1947; Efron and Tibshirani 1993, ch. 16; Agresti and Min 2005 for the half rows.

    Examples
    --------
    >>> result = compare_paired([True] * 60 + [False] * 40, [True] * 30 + [False] * 70)
    >>> result.only_first, result.only_second, round(result.difference, 2), result.verdict
    (30, 0, 0.3, 'better')
    """
    first, second = pair(first_is_right, second_is_right)
    n = len(first)
    only_first = int((first & ~second).sum())
    only_second = int((second & ~first).sum())
    outcomes = np.array([only_first, only_second, (first & second).sum(), (~first & ~second).sum()])
    draws = numpy_generator(seed, "compare_paired").multinomial(
        n, (outcomes + 0.5) / (n + 2), size=N_DRAWS
    )
    low, high = np.quantile((draws[:, 0] - draws[:, 1]) / n, [0.025, 0.975])
    return Comparison(
        n=n,
        only_first=only_first,
        only_second=only_second,
        difference=(only_first - only_second) / n,
        low=float(low),
        high=float(high),
        p_value=_mcnemar(only_first, only_second),
    )


def pair(first: ArrayLike, second: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return both as aligned (n,) bool, n >= 1, or say that they are not."""
    one, two = np.asarray(first, dtype=np.bool_), np.asarray(second, dtype=np.bool_)
    if one.shape != two.shape or one.ndim != 1 or one.size == 0:
        raise DataError(
            "expected two aligned lists of at least one row, but came with shapes "
            f"{one.shape} and {two.shape}; judge both on the same rows"
        )
    return one, two


def _mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact p-value: under no difference each disagreement is a fair coin."""
    trials = only_first + only_second
    tail = sum(comb(trials, k) for k in range(min(only_first, only_second) + 1))
    return min(1.0, float(2 * tail / 2**trials))

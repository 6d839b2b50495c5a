"""How many hand labels the weak labels are worth.

Train on ever more gold rows, measure on test, and see where that curve meets the accuracy that the
weak labels reach without any of them.

Try it::

    points = crossover_curve(fit, gold_test, n_gold=500, sizes=(20, 100), draws=5, seed=0)
    print(hand_labels_worth(points, weak, compare_paired(weak_is_right, all_is_right)).sentence)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np
from numpy.typing import ArrayLike, NDArray

from weak_supervision.evaluation.accuracy import accuracy
from weak_supervision.evaluation.compare import Comparison
from weak_supervision.evaluation.weighted import Share
from weaklight.errors import DataError
from weaklight.seeds import numpy_generator

__all__ = ["CrossoverPoint", "FitPredict", "Worth", "crossover_curve", "hand_labels_worth"]

# Given row numbers of the gold set, train on those rows alone and label every test row.
FitPredict = Callable[[NDArray[np.int64]], ArrayLike]


@dataclass(frozen=True)
class CrossoverPoint:
    """Accuracy on test after training on ``size`` gold rows, once per draw of those rows."""

    size: int
    accuracies: tuple[Share, ...]
    labels: tuple[NDArray[np.int64], ...]

    @property
    def mean(self) -> float:
        """Average accuracy over the draws."""
        return float(np.mean([a.value for a in self.accuracies]))

    @property
    def span(self) -> tuple[float, float]:
        """Worst and best accuracy over the draws."""
        values = [a.value or 0.0 for a in self.accuracies]
        return min(values), max(values)

    @property
    def median_draw(self) -> int:
        """Which draw has the (lower) median accuracy: the fair one to show alone."""
        order = np.argsort([a.value or 0.0 for a in self.accuracies], kind="stable")
        return int(order[(len(order) - 1) // 2])


@dataclass(frozen=True)
class Worth:
    """How many hand labels give the accuracy that the weak labels give.

    ``low`` and ``high`` follow from the interval of the paired comparison; None means that end lies
    outside the curve (below the smallest or above the largest size).
    """

    labels: int | None
    low: int | None
    high: int | None
    sentence: str


def crossover_curve(
    fit_predict: FitPredict,
    gold_test: ArrayLike,
    *,
    n_gold: int,
    sizes: Iterable[int],
    draws: int,
    probability: ArrayLike | None = None,
    seed: int,
) -> tuple[CrossoverPoint, ...]:
    """Measure training on gold rows alone, at several sizes.

    Parameters
    ----------
    fit_predict
        Gets (size,) int64 row numbers in 0..n_gold-1, ascending, and returns (t,) labels of the
        test rows.
    gold_test
        (t,) ints, the test gold.
    n_gold
        How many gold rows may be drawn from. It is always the last size; larger ones are left out.
    sizes
        Numbers of gold rows to train on.
    draws
        How many random subsets per size. Within a draw smaller subsets lie inside larger ones, so
        that the curve is not moved by the luck of fresh rows. All rows are trained on once.
    probability
        (t,) chance of each test row to be drawn, see :func:`share`; None where all were alike.
    seed
        For the draws.

    Raises
    ------
    DataError
        If there is no gold row or no test row.
    """
    truth = np.asarray(gold_test, dtype=np.int64)
    if n_gold < 1 or truth.size == 0:
        raise DataError(
            f"a crossover curve needs gold rows to train on and to test on, but came {n_gold} and "
            f"{truth.size}; add gold to the dev and test splits"
        )
    orders = [numpy_generator(seed, "crossover", d).permutation(n_gold) for d in range(draws)]
    points = []
    for size in [*sorted({s for s in sizes if 0 < s < n_gold}), n_gold]:
        subsets = orders if size < n_gold else orders[:1]
        labels = tuple(
            np.asarray(fit_predict(np.sort(order[:size])), dtype=np.int64) for order in subsets
        )
        judged = tuple(accuracy(x, truth, probability) for x in labels)
        points.append(CrossoverPoint(size, judged, labels))
    return tuple(points)


def hand_labels_worth(
    points: Sequence[CrossoverPoint],
    weak: Share,
    against_all: Comparison,
    *,
    n_by_hand: int = 0,
) -> Worth:
    """Read off where the gold-only curve reaches the accuracy of the weak labels.

    Parameters
    ----------
    points
        From `crossover_curve`.
    weak
        Accuracy of the classifier that the weak labels taught.
    against_all
        That classifier compared, row by row, with the one that all hand labels taught, which is the
        last point.
    n_by_hand
        How many labels by hand taught it, too; the sentence says so.

    Notes
    -----
    The means are made non-decreasing (more labels do not hurt but by chance) and interpolated in
    the logarithm of the size. Weak labels and curve are judged on the same rows, so the range is
    read off at the ends of the paired interval. That also has the last word at the end of the
    curve: more than all hand labels, or fewer than all, is said where the comparison is clear.

    Raises
    ------
    DataError
        If the curve has no point or the weak accuracy no row.
    """
    if not points or weak.value is None:
        raise DataError("expected a curve and a weak accuracy, but one is empty; add test gold")
    sizes = [p.size for p in points]
    means = np.maximum.accumulate([p.mean for p in points])
    ours = f" and {n_by_hand:,} by hand together" if n_by_hand else ""
    start = f"Your weak labels{ours} are worth"
    if against_all.verdict == "better":
        return Worth(None, None, None, f"{start} more than all {sizes[-1]:,} hand labels.")
    worth = _size_at(sizes, means, weak.value)
    is_worse = against_all.verdict == "worse"
    of_all = weak.value - against_all.difference
    low = _size_at(sizes, means, of_all + against_all.low)
    high = _size_at(sizes, means, of_all + against_all.high) if is_worse else None
    if worth is not None:
        much = f"about {worth:,} hand labels"
    elif weak.value > means[-1]:
        much = f"about as much as all {sizes[-1]:,} hand labels"
    else:
        much = f"fewer than {sizes[0]:,} hand labels"
    is_surely_below = is_worse and high is None
    span = "" if is_surely_below else f" ({_range(sizes, low, high)})"
    return Worth(worth, low, high, f"{start} {much}{span}.")


def _size_at(sizes: Sequence[int], means: NDArray[np.float64], target: float) -> int | None:
    """Return the size at which the curve first reaches ``target``, None outside the curve."""
    if not means[0] <= target <= means[-1]:
        return None
    right = int(np.argmax(means >= target))
    if right == 0:
        return sizes[0]
    share = (target - means[right - 1]) / (means[right] - means[right - 1])
    start, end = log(sizes[right - 1]), log(sizes[right])
    return _two_digits(exp(start + share * (end - start)))


def _two_digits(value: float) -> int:
    """Round to two digits: more would claim a precision that the curve does not have."""
    return int(float(f"{value:.2g}"))


def _range(sizes: Sequence[int], low: int | None, high: int | None) -> str:
    start = f"{low:,}" if low is not None else f"fewer than {sizes[0]:,}"
    end = f"{high:,}" if high is not None else f"more than {sizes[-1]:,}"
    return f"{start} to {end} by the 95 % interval"

"""Do stated probabilities mean what they say? Calibration error beside its null band.

The expected calibration error (ECE) of a *perfectly* calibrated model is not 0 on a finite sample
(0.02 to 0.07 at 500 rows with 15 bins), so it is always shown with the band that such a model would
show, by simulation. Only an ECE above the band speaks against the model.

Try it::

    from weak_supervision.evaluation import calibration
    print(calibration(probabilities, gold, seed=0).verdict)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from weak_supervision.evaluation.accuracy import MIN_ROWS
from weak_supervision.evaluation.weighted import Share, drawn_with, row_weights, share
from weaklight.contracts import check_posterior
from weaklight.errors import DataError
from weaklight.seeds import numpy_generator

__all__ = ["Calibration", "ReliabilityBin", "calibration"]

MAX_BINS = 15
N_SIMULATIONS = 1000
_DRAWS_AT_ONCE = 1 << 18  # simulated rows held at once: 2 MiB
_LOG_FLOOR = 1e-12  # one certain mistake costs 27.6 nats instead of an infinite log-loss


@dataclass(frozen=True)
class ReliabilityBin:
    """Rows of similar confidence: what was claimed, what was true, what chance allows.

    ``low`` and ``high`` hold 95 % of the accuracies that a perfectly calibrated model would show.
    """

    confidence: float
    accuracy: Share
    low: float
    high: float


@dataclass(frozen=True)
class Calibration:
    """Calibration of the top class.

    Attributes
    ----------
    n : rows
    ece : expected calibration error over bins of equally many rows
    null_mean, null_high : mean and 95th percentile of the ECE of a perfectly calibrated model
    brier : mean over rows of the squared distance to the one-hot gold, 0 (best) to 2
    log_loss : mean of -log of the probability given to the gold class, in nats
    mean_confidence : average stated probability of the top class
    bins : reliability points, ascending confidence
    """

    n: int
    ece: float
    null_mean: float
    null_high: float
    brier: float
    log_loss: float
    mean_confidence: float
    accuracy: Share
    bins: tuple[ReliabilityBin, ...]

    @property
    def is_within_band(self) -> bool:
        """Whether a perfectly calibrated model could well have shown this ECE."""
        return self.ece <= self.null_high

    @property
    def verdict(self) -> str:
        """Say in plain words what the numbers allow to claim."""
        if self.is_within_band:
            return (
                f"no sign of miscalibration: an ECE of {self.ece:.3f} lies within what a perfectly "
                f"calibrated model shows on {self.n:,} rows (up to {self.null_high:.3f})"
            )
        shift = self.mean_confidence - (self.accuracy.value or 0.0)
        direction = "overconfident" if shift > 0 else "underconfident"
        return (
            f"{direction}: an ECE of {self.ece:.3f} lies above what a perfectly calibrated model "
            f"shows on {self.n:,} rows (up to {self.null_high:.3f})"
        )


def calibration(
    probabilities: NDArray[np.floating],
    gold: ArrayLike,
    *,
    probability: ArrayLike | None = None,
    n_bins: int | None = None,
    seed: int,
) -> Calibration:
    """Measure the calibration of the most probable class.

    Parameters
    ----------
    probabilities
        (n, K) floats, rows sum to 1; from a model that never saw these gold labels.
    gold
        (n,) ints, -1 where unknown; those rows are left out.
    probability
        (n,) chance of each row to be drawn, see :func:`share`; None where all were drawn alike. All
        figures, those of the simulated models too, then count each row by its inverse.
    n_bins
        Bins of equally many rows; by default 15, fewer where one would hold under 20. Rows of equal
        confidence share a bin, so coarse posteriors fill fewer.
    seed
        For the simulated null band.

    Raises
    ------
    DataError
        If no row has gold, shapes disagree, or a probability is not in (0, 1].

    Notes
    -----
    O(n K + n S) time, O(n K) memory for S = 1000 simulations; O(n K S) time with chances.

    Chances that depend on the class make drawn rows right more or less often than stated. The
    simulated models therefore draw class k in proportion to its stated probability times the mean
    chance of its rows; without that a perfect model would be accused in up to 70 of 100 samples
    (classes drawn 5 : 1), with it in 2 to 7 of 100, whether chances go by class or by label.

    References
    ----------
    Roelofs et al. 2022, arXiv:2012.08668 (equal-mass bins, bias of ECE); Broecker and Smith 2007
    (consistency bars of a reliability diagram).
    """
    values, truth = np.asarray(probabilities), np.asarray(gold)
    if truth.ndim != 1 or len(values) != len(truth):
        raise DataError(
            f"expected one gold label per row of probabilities, but came {truth.shape} for "
            f"{values.shape}; align both with the items"
        )
    known = truth >= 0
    values = check_posterior(values, values.shape[-1])[known].astype(np.float64)
    truth, chance = truth[known].astype(np.int64), drawn_with(probability, len(known), known)
    n = len(truth)
    if n == 0:
        raise DataError("calibration needs rows with gold, but none came; add gold labels")
    if n_bins is None:
        n_bins = min(MAX_BINS, max(1, n // MIN_ROWS))
    weight = row_weights(chance, n)  # (n,) mean 1

    def mean(figure: NDArray[np.float64]) -> float:
        return float(np.average(figure, weights=weight))

    hits, confidence = values.argmax(axis=1) == truth, values.max(axis=1)
    order = np.argsort(confidence, kind="stable")
    # Rank of the first row with this confidence: ties stay together whatever the row order.
    rank = np.searchsorted(confidence[order], confidence[order], side="left")
    starts = np.unique(rank * n_bins // n, return_index=True)[1]
    bins = np.split(order, starts[1:])  # B lists of rows

    def per_bin(figure: NDArray[np.float64]) -> NDArray[np.float64]:  # (B,) sums
        return np.asarray(np.add.reduceat((weight * figure)[order], starts))

    mass, claimed, right = per_bin(np.ones(n)), per_bin(confidence), per_bin(hits * 1.0)
    edges, weights = _if_calibrated(values, truth, chance)
    null, low, high = _null(confidence[order], edges[order], weights[order], starts, seed)
    one_hot = np.eye(values.shape[1])[truth]
    return Calibration(
        n=n,
        ece=float(np.abs(right - claimed).sum() / n),
        null_mean=float(null.mean()),
        null_high=float(np.quantile(null, 0.95)),
        brier=mean(((values - one_hot) ** 2).sum(axis=1)),
        log_loss=mean(-np.log(np.maximum(values[np.arange(n), truth], _LOG_FLOOR))),
        mean_confidence=mean(confidence),
        accuracy=share(hits, chance),
        bins=tuple(
            ReliabilityBin(float(said), share(hits, chance, rows), float(lo), float(hi))
            for said, rows, lo, hi in zip(claimed / mass, bins, low, high, strict=True)
        ),
    )


def _if_calibrated(
    values: NDArray[np.float64], truth: NDArray[np.int64], chance: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return which gold a perfectly calibrated model would meet on the drawn rows.

    Returns
    -------
    Running sums over the classes, likeliest first, of the probability that a drawn row is of them,
    (n, K), and what the row would count for if it were, (n, K). A single column, and 1, where all
    were drawn alike: hits need to be told from misses alone.

    Notes
    -----
    A row's chance is the mean chance of its class (Hajek's estimate) times what is left of it.
    Among drawn rows class k is met in proportion to its stated probability times its mean chance.
    """
    n, n_classes = values.shape
    if chance is None:
        return values.max(axis=1, keepdims=True), np.ones((n, 1))
    drawn, pool = (np.bincount(truth, w, minlength=n_classes) for w in (None, 1 / chance))
    of_class = np.full(n_classes, n / pool.sum())
    np.divide(drawn, pool, out=of_class, where=pool > 0)
    met = values * of_class
    ranked = np.argsort(-values, axis=1, kind="stable")
    edges = np.take_along_axis(met / met.sum(axis=1, keepdims=True), ranked, axis=1).cumsum(axis=1)
    rest = chance / of_class[truth]
    return edges, 1 / (of_class[ranked] * rest[:, None])


def _null(
    confidence: NDArray[np.float64],
    edges: NDArray[np.float64],
    weights: NDArray[np.float64],
    starts: NDArray[np.intp],
    seed: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return simulated ECEs (S,), and where 95 % of the simulated accuracies lie per bin, (B,)."""
    generator = numpy_generator(seed, "calibration", "null")
    at_once = max(1, _DRAWS_AT_ONCE // len(confidence))
    eces, accuracies = [], []
    for first in range(0, N_SIMULATIONS, at_once):
        size = (min(at_once, N_SIMULATIONS - first), len(confidence))
        drawn = generator.random(size, dtype=np.float32)
        weight = np.broadcast_to(weights[:, -1], size)
        for rank in reversed(range(edges.shape[1] - 1)):
            weight = np.where(drawn < edges[:, rank], weights[:, rank], weight)
        right, claimed, mass = (  # (S, B) each
            np.add.reduceat(weight * figure, starts, axis=1)
            for figure in (drawn < edges[:, 0], confidence, 1.0)
        )
        eces.append(np.abs(right - claimed).sum(axis=1) / mass.sum(axis=1))
        accuracies.append(right / mass)
    low, high = np.quantile(np.concatenate(accuracies), [0.025, 0.975], axis=0)
    return np.concatenate(eces), low, high

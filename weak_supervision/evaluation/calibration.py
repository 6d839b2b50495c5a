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
from weaklight.contracts import check_posterior
from weaklight.errors import DataError
from weaklight.intervals import Proportion
from weaklight.seeds import numpy_generator

__all__ = ["Calibration", "ReliabilityBin", "calibration"]

MAX_BINS = 15
N_SIMULATIONS = 1000
_DRAWS_AT_ONCE = 1 << 18  # simulated rows held at once: 1 MiB
_LOG_FLOOR = 1e-12  # one certain mistake costs 27.6 nats instead of an infinite log-loss


@dataclass(frozen=True)
class ReliabilityBin:
    """Rows of similar confidence: what was claimed, what was true, what chance allows.

    ``low`` and ``high`` hold 95 % of the accuracies that a perfectly calibrated model would show.
    """

    confidence: float
    accuracy: Proportion
    low: float
    high: float


@dataclass(frozen=True)
class Calibration:
    """Calibration of the top class.

    Attributes
    ----------
    ece : expected calibration error over equal-mass bins
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
    accuracy: Proportion
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
    probabilities: NDArray[np.floating], gold: ArrayLike, *, n_bins: int | None = None, seed: int
) -> Calibration:
    """Measure the calibration of the most probable class.

    Parameters
    ----------
    probabilities
        (n, K) floats, rows sum to 1; from a model that never saw these gold labels.
    gold
        (n,) ints, -1 where unknown; those rows are left out.
    n_bins
        Equal-mass bins; by default 15, fewer where a bin would hold under 20 rows. Rows of equal
        confidence share a bin, so coarse posteriors fill fewer.
    seed
        For the simulated null band.

    Raises
    ------
    DataError
        If no row has gold, or shapes disagree.

    Notes
    -----
    O(n K + n S) time, O(n K) memory for S = 1000 simulations.

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
    values = check_posterior(values, values.shape[-1])[truth >= 0].astype(np.float64)
    truth = truth[truth >= 0].astype(np.int64)
    n = len(truth)
    if n == 0:
        raise DataError("calibration needs rows with gold, but none came; add gold labels")
    if n_bins is None:
        n_bins = min(MAX_BINS, max(1, n // MIN_ROWS))
    hits = values.argmax(axis=1) == truth
    confidence = values.max(axis=1)
    order = np.argsort(confidence, kind="stable")
    confidence, hits = confidence[order], hits[order]
    # Rank of the first row with this confidence: ties stay together whatever the row order.
    rank = np.searchsorted(confidence, confidence, side="left")
    _, starts, sizes = np.unique(rank * n_bins // n, return_index=True, return_counts=True)

    claimed = np.add.reduceat(confidence, starts)  # (B,) sums
    right = np.add.reduceat(hits.astype(np.int64), starts)  # (B,)
    simulated = _simulate_hits(confidence, starts, seed)  # (S, B) counts
    null = np.abs(simulated - claimed).sum(axis=1) / n
    low, high = np.quantile(simulated / sizes, [0.025, 0.975], axis=0)
    one_hot = np.eye(values.shape[1])[truth]
    return Calibration(
        n=n,
        ece=float(np.abs(right - claimed).sum() / n),
        null_mean=float(null.mean()),
        null_high=float(np.quantile(null, 0.95)),
        brier=float(((values - one_hot) ** 2).sum(axis=1).mean()),
        log_loss=float(-np.log(np.maximum(values[np.arange(n), truth], _LOG_FLOOR)).mean()),
        mean_confidence=float(confidence.mean()),
        accuracy=Proportion(int(hits.sum()), n),
        bins=tuple(
            ReliabilityBin(float(c / s), Proportion(int(r), int(s)), float(lo), float(hi))
            for c, r, s, lo, hi in zip(claimed, right, sizes, low, high, strict=True)
        ),
    )


def _simulate_hits(
    confidence: NDArray[np.float64], starts: NDArray[np.intp], seed: int
) -> NDArray[np.float64]:
    """Hits per bin of a model that is right exactly as often as it says, (S, B)."""
    generator = numpy_generator(seed, "calibration", "null")
    at_once = max(1, _DRAWS_AT_ONCE // len(confidence))
    blocks = []
    for first in range(0, N_SIMULATIONS, at_once):
        size = (min(at_once, N_SIMULATIONS - first), len(confidence))
        hits = generator.random(size, dtype=np.float32) < confidence
        blocks.append(np.add.reduceat(hits, starts, axis=1, dtype=np.int64))
    return np.concatenate(blocks).astype(np.float64)

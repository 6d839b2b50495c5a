"""The plain baseline of series: their level, shape and rhythm in a few numbers a channel.

Try it: ``summary_statistics([np.sin(np.arange(100.0))[:, None]]).shape``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["summary_statistics"]

N_PIECES = 16  # of the shape: what a thumbnail shows
N_BANDS = 8  # of the spectrum, each twice as wide as the one below
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def summary_statistics(series: Sequence[NDArray[np.floating]]) -> NDArray[np.float32]:
    """Return what a series is like, whatever its length.

    Parameters
    ----------
    series
        Each (T, C) finite, T >= 2, of any lengths and one C.

    Returns
    -------
    (n, C * 37) float32; for each channel: mean, standard deviation, slope, five quantiles, three
    autocorrelations (lags 1, 2, 4), skewness, kurtosis; means of 16 equal pieces of the series
    scaled to mean 0 and deviation 1; shares of its power in 8 bands of frequency.

    References
    ----------
    Keogh et al. 2001, "Dimensionality reduction for fast similarity search in large time series
    databases", KAIS 3(3): the means of equal pieces.
    """
    if not len(series):
        return np.empty((0, 0), np.float32)
    rows = [np.concatenate([_channel(c) for c in one.T.astype(np.float64)]) for one in series]
    return np.array(rows, np.float32)


def _channel(values: NDArray[np.float64]) -> NDArray[np.float64]:
    mean, std = values.mean(), values.std()
    unit = (values - mean) / max(std, 1e-12)
    time = np.linspace(-0.5, 0.5, len(values))
    slope = (time * unit).sum() / (time**2).sum()
    lags = [(unit[:-k] * unit[k:]).sum() / len(unit) if k < len(unit) else 0.0 for k in (1, 2, 4)]
    moments = [mean, std, slope, *np.quantile(values, _QUANTILES), *lags]
    shape = [(unit**3).mean(), (unit**4).mean()]
    return np.concatenate([moments, shape, _pieces(unit), _bands(unit)])


def _pieces(unit: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the means of equal pieces, which may share a value where they do not divide."""
    edges = np.linspace(0, len(unit), N_PIECES + 1)
    whole = np.concatenate([[0.0], np.cumsum(unit)])
    area = np.interp(edges, np.arange(len(unit) + 1), whole)
    return np.asarray(np.diff(area) / np.diff(edges))


def _bands(unit: NDArray[np.float64]) -> NDArray[np.float64]:
    power = np.abs(np.fft.rfft(unit)[1:]) ** 2
    octave = np.floor(-np.log2((np.arange(len(power)) + 1) / len(power))).astype(int)
    shares = np.bincount(np.minimum(octave, N_BANDS - 1), weights=power, minlength=N_BANDS)
    return np.asarray(shares / max(power.sum(), 1e-12))

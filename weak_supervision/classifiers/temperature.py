"""Temperature scaling: one number that makes a classifier as sure as it is right.

Try it: ``fit_temperature(logits_of_dev, gold_of_dev)``.
"""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

__all__ = ["MIN_DEV_ROWS", "fit_temperature", "is_at_bound"]

MIN_DEV_ROWS = 20  # below this a temperature would be noise
TEMPERATURES = (1e-3, 1e3)
logger = logging.getLogger(__name__)


def fit_temperature(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Return the divisor of the logits with the least log-loss on these rows.

    The target of a row is not its class alone, but its class at ``(n + 1) / (n + 2)`` and the rest
    spread over the other classes: rows that are all right would otherwise ask for a temperature of
    0, and n of them warrant no more than that.

    Parameters
    ----------
    logits
        (n, K) floats, K >= 2, or log-probabilities; of rows that the classifier was not trained on.
    labels
        (n,) class ids.

    Returns
    -------
    A number in 0.001..1000, with a warning where it ends at a bound; 1, with a warning, for fewer
    than 20 rows. The likeliest class of a row stays what it is.

    Notes
    -----
    O(n K) time and memory for each of some 30 temperatures tried.

    References
    ----------
    Guo et al. 2017, "On calibration of modern neural networks", arXiv:1706.04599, section 4.2: the
    temperature. Platt 1999, "Probabilistic outputs for support vector machines and comparisons to
    regularized likelihood methods", section 2.2: the targets, with all rows for those of a class,
    since one temperature speaks of all.
    """
    n_rows = len(labels)
    if n_rows < MIN_DEV_ROWS:
        logger.warning(
            "%d rows are too few to calibrate on (%d needed); temperature stays 1",
            n_rows,
            MIN_DEV_ROWS,
        )
        return 1.0
    exact = logits.astype(np.float64)
    targets = np.full(exact.shape, 1 / (n_rows + 2) / (exact.shape[1] - 1))
    targets[np.arange(n_rows), labels] = (n_rows + 1) / (n_rows + 2)

    def loss(log_temperature: float) -> float:
        log_p = log_softmax(exact / np.exp(log_temperature), axis=1)
        return -float((targets * log_p).sum(axis=1).mean())

    best = minimize_scalar(loss, bounds=tuple(np.log(TEMPERATURES)), method="bounded")
    temperature = float(np.exp(best.x))
    if is_at_bound(temperature):
        logger.warning(
            "the temperature ended at its bound, %.4g: the classifier's scores do not say how sure "
            "it may be on the %d rows that it was calibrated on",
            temperature,
            n_rows,
        )
    return temperature


def is_at_bound(temperature: float) -> bool:
    """Say whether a fitted temperature would have gone on but for its bounds."""
    lowest, highest = TEMPERATURES
    return not 1.01 * lowest < temperature < 0.99 * highest  # the search stops just short of them

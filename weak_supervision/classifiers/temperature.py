"""Temperature scaling: one number that makes a classifier as sure as it is right.

Try it: ``fit_temperature(logits_of_dev, gold_of_dev)``.
"""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

__all__ = ["MIN_DEV_ROWS", "fit_temperature"]

MIN_DEV_ROWS = 20  # below this a temperature would be noise
TEMPERATURES = (0.05, 20.0)
logger = logging.getLogger(__name__)


def fit_temperature(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Return the divisor of the logits with the least log-loss on these rows.

    Parameters
    ----------
    logits
        (n, K) floats, or log-probabilities; of rows that the classifier was not trained on.
    labels
        (n,) class ids.

    Returns
    -------
    A number in 0.05..20; 1, with a warning, for fewer than 20 rows. The likeliest class of a row
    stays what it is.

    References
    ----------
    Guo et al. 2017, "On calibration of modern neural networks", arXiv:1706.04599, section 4.2.
    """
    if len(labels) < MIN_DEV_ROWS:
        logger.warning(
            "%d dev rows are too few to calibrate on (%d needed); temperature stays 1",
            len(labels),
            MIN_DEV_ROWS,
        )
        return 1.0
    exact = logits.astype(np.float64)
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        log_p = log_softmax(exact / np.exp(log_temperature), axis=1)
        return -float(log_p[rows, labels].mean())

    best = minimize_scalar(loss, bounds=tuple(np.log(TEMPERATURES)), method="bounded")
    return float(np.exp(best.x))

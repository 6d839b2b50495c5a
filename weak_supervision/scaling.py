"""What features are divided by before a model learns from them.

Try it::

    mean = features.mean(axis=0)
    standardised = (features - mean) / scale_about(mean, features)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["scale_about"]

LEAST_SPREAD = 1e-6  # below it a feature is constant but for rounding, and is left as it is


def scale_about(
    mean: NDArray[np.floating],
    features: NDArray[np.floating],
    weights: NDArray[np.floating] | None = None,
) -> NDArray[np.floating]:
    """Return each feature's standard deviation, 1 for a feature that never changes.

    Parameters
    ----------
    mean
        (d,) floats, the mean of each feature.
    features
        (n, d) floats.
    weights
        (n,) floats >= 0 with a positive sum; None where all rows count alike.

    Returns
    -------
    (d,) floats above 0.

    Notes
    -----
    O(n d) time and memory.

    Examples
    --------
    >>> x = np.array([[1.0, 5.0], [3.0, 5.0]])
    >>> scale_about(x.mean(axis=0), x)
    array([1., 1.])
    """
    spread = np.sqrt(np.average((features - mean) ** 2, axis=0, weights=weights))
    return np.where(spread > LEAST_SPREAD, spread, 1.0)

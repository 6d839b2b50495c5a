"""Class balance: weights under which every class counts the same, however rare it is.

Try it: ``balanced_weights(targets, weights)``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["balanced_weights"]


def balanced_weights(
    targets: NDArray[np.floating], weights: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return row weights that give each class that occurs the same share of the whole.

    Parameters
    ----------
    targets
        (n, K) floats, rows sum to 1.
    weights
        (n,) floats, not negative.

    Returns
    -------
    (n,) float64 with the sum of ``weights``: each row times the mean of ``1 / share`` of the
    classes that its target names. With hard targets the classes balance exactly.

    Examples
    --------
    >>> balanced_weights(np.eye(2)[[0, 0, 0, 1]], np.ones(4)).round(3).tolist()
    [0.667, 0.667, 0.667, 2.0]
    """
    mass = weights @ targets  # (K,)
    factor = np.divide(1.0, mass, out=np.zeros(len(mass)), where=mass > 0)
    balanced = np.asarray(weights * (targets @ factor), dtype=np.float64)
    return balanced * float(weights.sum() / balanced.sum())

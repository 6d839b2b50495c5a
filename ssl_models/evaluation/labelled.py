"""Labelled rows: the check that every evaluation makes, and the stratified draw.

Try it: ``stratified_rows(labels, 0.1, numpy_generator(0, "few labels"))``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from weaklight.errors import DataError

__all__ = ["check_features", "check_labels", "stratified_rows"]


def check_features(features: NDArray[np.floating], name: str) -> NDArray[np.float32]:
    """Return ``features`` as (n, d) float32 or say what is wrong with them.

    Raises
    ------
    DataError
        If they are not two-dimensional and finite.
    """
    array = np.ascontiguousarray(features, dtype=np.float32)
    if array.ndim != 2 or not np.isfinite(array).all():
        raise DataError(
            f"{name} must be (n, d) and finite, but came with shape {array.shape} and "
            f"{int((~np.isfinite(array)).sum())} values that are not; leave such rows out"
        )
    return array


def check_labels(labels: NDArray[np.integer], n: int, n_classes: int) -> NDArray[np.int64]:
    """Return ``labels`` as (n,) int64 or say what is wrong with them.

    Raises
    ------
    DataError
        If there is none, not one a row, or one that is no class id.
    """
    array = np.asarray(labels)
    if n == 0 or array.shape != (n,):
        raise DataError(
            f"there must be at least one row and one label a row, but came {n} rows and labels of "
            f"shape {array.shape}"
        )
    if array.dtype.kind not in "iu" or array.min() < 0 or array.max() >= n_classes:
        raise DataError(f"labels must be class ids in 0..{n_classes - 1}; leave abstains (-1) out")
    return array.astype(np.int64)


def stratified_rows(
    labels: NDArray[np.integer],
    share: float,
    generator: np.random.Generator,
    *,
    leave_one: bool = False,
) -> NDArray[np.int64]:
    """Draw ``share`` of the rows of each class, at least one.

    Parameters
    ----------
    labels
        (n,) class ids.
    share
        0 < share <= 1. A class of c rows gives max(1, round(share c)).
    leave_one
        Whether a row of each class must stay behind; a class of one row then gives none.

    Returns
    -------
    (m,) int64, rising.

    Examples
    --------
    >>> rows = stratified_rows(np.array([0, 0, 0, 0, 1]), 0.5, np.random.default_rng(0))
    >>> np.array([0, 0, 0, 0, 1])[rows].tolist()
    [0, 0, 1]
    """
    if not 0 < share <= 1:
        raise DataError(f"a share of the rows must lie above 0 and up to 1, but is {share}")
    drawn = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        wanted = min(max(1, round(share * len(rows))), len(rows) - leave_one)
        drawn.append(generator.choice(rows, wanted, replace=False))
    return np.sort(np.concatenate(drawn)).astype(np.int64)

"""Which images are most like this one: nearest rows by cosine similarity.

Try it: ``nearest_rows(features, features[[17]], k=6, leave_out=[17]).rows``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weaklight.errors import DataError

__all__ = ["Nearest", "nearest_rows", "unit_rows"]

CHUNK_VALUES = 1 << 24  # similarities held at once: 64 MiB of float32
DECIMALS = 6  # float32 products of equal rows differ in the 7th decimal with where they fall


@dataclass(frozen=True)
class Nearest:
    """The most similar rows of each query, nearest first.

    Attributes
    ----------
    rows
        (q, k) int64 rows of the reference.
    similarity
        (q, k) float32 cosine in [-1, 1], to six decimals.
    """

    rows: NDArray[np.int64]
    similarity: NDArray[np.float32]


def nearest_rows(
    reference: NDArray[np.floating],
    query: NDArray[np.floating],
    *,
    k: int,
    leave_out: Sequence[int] | NDArray[np.integer] | None = None,
) -> Nearest:
    """Return the ``k`` reference rows of highest cosine similarity to each query.

    Parameters
    ----------
    reference
        (N, d) finite, any scale.
    query
        (q, d) finite; q may be 0.
    k
        1..N, or 1..N - 1 where a row is left out.
    leave_out
        (q,) for each query the reference row that it may not find: itself. None finds all.

    Returns
    -------
    Nearest
        Of equally similar rows the first comes first.

    Raises
    ------
    DataError
        If shapes do not fit, a value is not finite or k is out of its range.

    Notes
    -----
    Time O(q N d) and sorting; memory 64 MiB beside the inputs, whatever q and N.

    Examples
    --------
    >>> features = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    >>> nearest_rows(features, features[:1], k=2, leave_out=[0]).rows
    array([[2, 1]])
    """
    stored, asked = unit_rows(reference, "reference"), unit_rows(query, "query")
    most = len(stored) - (leave_out is not None)
    if stored.shape[1] != asked.shape[1] or not 1 <= k <= most:
        raise DataError(
            f"reference and query must share d and k lie in 1..{most}, but came {stored.shape}, "
            f"{asked.shape} and k = {k}; embed both with one encoder"
        )
    if leave_out is not None and len(leave_out) != len(asked):
        raise DataError(
            f"leave_out must name one row a query, but came {len(leave_out)} for {len(asked)}"
        )
    rows = np.empty((len(asked), k), np.int64)
    similarity = np.empty((len(asked), k), np.float32)
    step = max(1, CHUNK_VALUES // len(stored))
    for start in range(0, len(asked), step):
        part = slice(start, start + step)
        cosine = np.round(asked[part] @ stored.T, DECIMALS)  # (chunk, N)
        if leave_out is not None:
            cosine[np.arange(len(cosine)), leave_out[part]] = -np.inf
        rows[part] = np.argsort(-cosine, axis=1, kind="stable")[:, :k]
        similarity[part] = np.take_along_axis(cosine, rows[part], axis=1)
    return Nearest(rows, similarity)


def unit_rows(features: NDArray[np.floating], name: str) -> NDArray[np.float32]:
    """Return the rows at length 1; a row of zeros stays.

    Raises
    ------
    DataError
        If they are not (n, d) or not finite.
    """
    array = np.asarray(features, dtype=np.float32)
    if array.ndim != 2 or not np.isfinite(array).all():
        raise DataError(
            f"{name} must be (n, d) and finite, but came with shape {array.shape}; leave rows that "
            "are not `present` out"
        )
    length = np.linalg.norm(array, axis=1, keepdims=True)
    return np.asarray(array / np.maximum(length, 1e-12), np.float32)

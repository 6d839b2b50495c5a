"""Nearest rows by cosine similarity: exact in chunks, or through an index for a million rows.

Try it: ``search(unit[:5], None, unit, 3)`` for rows of length one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from weaklight.errors import ConfigError, DataError

__all__ = ["MAX_EXACT_ROWS", "approximate", "directions", "search"]

CHUNK_CELLS = 16_000_000  # similarities held at once: 64 MB of float32
MAX_EXACT_ROWS = 200_000  # ten minutes on one core with 384 features
CELLS_SEARCHED = 16
SPARE = 8  # candidates beyond k, so that near-ties at the edge are ranked after rounding
DECIMALS = 6  # float32 products of equal rows differ in the 7th decimal with the chunk they fall in


def directions(
    features: NDArray[np.floating], present: NDArray[np.bool_] | None, k: int
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return the (r,) rows that have a direction, and their unit vectors (r, d).

    Raises
    ------
    DataError
        If the shapes do not fit or k is not positive.
    """
    if features.ndim != 2 or k < 1:
        raise DataError(
            f"features must be (n, d) and k at least 1, but came {features.shape} and k={k}"
        )
    n_items = len(features)
    if present is not None and present.shape != (n_items,):
        raise DataError(
            f"present must have shape ({n_items},), one flag a row of features, "
            f"but came with {present.shape}; pass both from the same run of embed"
        )
    usable = np.isfinite(features).all(axis=1)
    if present is not None:
        usable &= present
    unit = features[usable].astype(np.float32)  # a copy
    norms = np.linalg.norm(unit, axis=1)
    usable[np.flatnonzero(usable)[norms == 0]] = False
    return np.flatnonzero(usable), unit[norms > 0] / norms[norms > 0, None]


def search(
    queries: NDArray[np.float32],
    own: NDArray[np.intp] | None,
    unit: NDArray[np.float32],
    k: int,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the k rows of ``unit`` nearest to each query, but not the query's own row.

    Parameters
    ----------
    queries, unit
        (q, d) and (n, d) float32 of length one.
    own
        (q,) row of each query in ``unit``; None where queries are no rows of it.
    k
        At most n, or n - 1 with ``own``.

    Returns
    -------
    Rows (q, k) and similarities (q, k), nearest first, ties by row.

    Notes
    -----
    Time O(q n d), memory 64 MB beside the result.
    """
    nearest = np.empty((len(queries), k), dtype=np.int64)
    similarity = np.empty((len(queries), k), dtype=np.float32)
    step = max(1, CHUNK_CELLS // max(len(unit), 1))
    for start in range(0, len(queries) if k else 0, step):
        part = slice(start, start + step)
        cosines = queries[part] @ unit.T  # (step, n)
        if own is not None:
            cosines[np.arange(len(cosines)), own[part]] = -np.inf
        nearest[part], similarity[part] = _nearest(cosines, k)
    return nearest, similarity


def approximate(unit: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return about the k nearest of each row of ``unit``, like `search`, through faiss.

    Raises
    ------
    ConfigError
        If faiss is not installed.

    References
    ----------
    Johnson, Douze and Jegou 2017, "Billion-scale similarity search with GPUs", arXiv:1702.08734.
    """
    try:
        import faiss
    except ImportError as error:
        raise ConfigError(
            f"{len(unit):,} items need an approximate neighbor index (exact up to "
            f'{MAX_EXACT_ROWS:,}), but faiss is not installed; run pip install "weaklight[ann]"'
        ) from error
    n_cells = int(4 * np.sqrt(len(unit)))
    quantizer = faiss.IndexFlatIP(unit.shape[1])
    index = faiss.IndexIVFFlat(quantizer, unit.shape[1], n_cells, faiss.METRIC_INNER_PRODUCT)
    index.train(unit[:: max(1, len(unit) // (40 * n_cells))])
    index.add(unit)
    index.nprobe = CELLS_SEARCHED
    similarity, nearest = index.search(unit, k + 1)
    # a row finds itself, and where twins push it out, the last neighbor goes in its place
    itself = nearest == np.arange(len(unit))[:, None]
    itself[~itself.any(axis=1), -1] = True
    # cells with too few rows leave gaps: the row itself, at similarity 0, carries no label along
    gap = nearest < 0
    nearest = np.where(gap, np.arange(len(unit))[:, None], nearest)
    similarity = np.where(gap, 0.0, similarity).astype(np.float32)
    return nearest[~itself].reshape(-1, k), similarity[~itself].reshape(-1, k)


def _nearest(cosines: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the k largest of each row and where they are, ties by column."""
    width = min(k + SPARE, cosines.shape[1])
    candidates = np.argpartition(cosines, -width, axis=1)[:, -width:]
    candidates.sort(axis=1)
    values = np.take_along_axis(cosines, candidates, axis=1).round(DECIMALS)
    order = np.argsort(-values, axis=1, kind="stable")
    index = np.take_along_axis(candidates, order, axis=1)
    value = np.take_along_axis(values, order, axis=1)
    if width < cosines.shape[1]:  # more ties than spare candidates: rank the whole row
        for row in np.flatnonzero(value[:, k - 1] == value[:, -1]):
            whole = cosines[row].round(DECIMALS)
            index[row, :k] = np.argsort(-whole, kind="stable")[:k]
            value[row, :k] = whole[index[row, :k]]
    return index[:, :k], value[:, :k]

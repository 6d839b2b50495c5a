"""Per-item caches: what was computed for an item's content is not computed again.

A cache is a folder of immutable chunk files, each holding keys (content digests) and one row of
numbers a key. New items cost only themselves; a killed run keeps the chunks it had finished.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.store import write_atomically

__all__ = ["cached_rows"]


def cached_rows(
    folder: Path,
    keys: NDArray[np.str_],
    compute: Callable[[NDArray[np.intp]], NDArray[np.floating]],
    *,
    chunk: int = 2048,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float32]:
    """Return one float32 row per key, computing only those that the cache lacks.

    Parameters
    ----------
    folder
        The cache: one folder per thing computed, its name holding every setting that matters.
    keys
        (n,) content digest of each item; equal keys share a row.
    compute
        Called with (c,) positions into ``keys``; returns (c, d). Each row must depend on its own
        item alone.
    chunk
        How many rows to compute before they are written; a kill loses at most these.

    Returns
    -------
    (n, d) float32 in the order of ``keys``.
    """
    rows_of: dict[str, NDArray[np.float32]] = {}
    for file in sorted(folder.glob("*.npz")) if folder.is_dir() else []:
        rows_of.update(_read_chunk(file))
    first_of = {key: i for i, key in reversed(list(enumerate(keys.tolist())))}
    missing = np.array(sorted(i for k, i in first_of.items() if k not in rows_of), dtype=np.intp)
    for start in range(0, len(missing), chunk):
        positions = missing[start : start + chunk]
        values = np.asarray(compute(positions), dtype=np.float32)
        names = keys[positions]
        _write_chunk(folder, names, values)
        rows_of.update(zip(names.tolist(), values, strict=True))
        if progress is not None:
            progress(start + len(positions), len(missing))
    width = len(next(iter(rows_of.values()))) if rows_of else 0
    out = np.empty((len(keys), width), dtype=np.float32)
    for i, key in enumerate(keys.tolist()):
        out[i] = rows_of[key]
    return out


def _write_chunk(folder: Path, names: NDArray[np.str_], values: NDArray[np.float32]) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, keys=names.astype("S"), values=values)
    name = hashlib.sha256("\n".join(names.tolist()).encode()).hexdigest()[:24]
    write_atomically(folder / f"{name}.npz", buffer.getvalue())


def _read_chunk(file: Path) -> dict[str, NDArray[np.float32]]:
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as stored:
            names = stored["keys"].astype(str).tolist()
            return dict(zip(names, stored["values"], strict=True))
    except (ValueError, OSError, KeyError, zipfile.BadZipFile):
        return {}  # a damaged chunk is computed again and replaced

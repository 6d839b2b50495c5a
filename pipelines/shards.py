"""Content-addressed arrays under ``<state>/shards/`` that ingests share, opened memory-mapped."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.store import write_atomically

__all__ = ["SHARD_ROWS", "open_shard", "write_shard"]

SHARD_ROWS = 16_384


def write_shard(listing: Path, block: NDArray[Any]) -> str:
    """Write an array once and return the sha256 that names it.

    Parameters
    ----------
    listing
        The file of an ingest artifact that will list the shard.
    """
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(block), allow_pickle=False)
    data = buffer.getvalue()
    sha256 = hashlib.sha256(data).hexdigest()
    path = _folder(listing) / f"{sha256}.npy"
    if not path.is_file() or path.stat().st_size != len(data):
        write_atomically(path, data)
    return sha256


def open_shard(listing: Path, sha256: str) -> NDArray[Any]:
    """Open the array that :func:`write_shard` named."""
    shard: NDArray[Any] = np.load(
        _folder(listing) / f"{sha256}.npy", mmap_mode="r", allow_pickle=False
    )
    return shard


def _folder(listing: Path) -> Path:
    # <state>/artifacts/ingest/<digest>/<listing>
    return listing.parents[3] / "shards"

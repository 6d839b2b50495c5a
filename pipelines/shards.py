"""Content-addressed arrays under ``<state>/shards/`` that ingests share, opened memory-mapped."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.store import write_atomically

__all__ = ["SHARD_ROWS", "listed_shards", "open_shard", "write_shard"]

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
    path = _path(listing, sha256)
    if not path.is_file() or path.stat().st_size != len(data):
        write_atomically(path, data)
    return sha256


def open_shard(listing: Path, sha256: str) -> NDArray[Any]:
    """Open the array that :func:`write_shard` named."""
    shard: NDArray[Any] = np.load(_path(listing, sha256), mmap_mode="r", allow_pickle=False)
    return shard


def listed_shards(listing: Path) -> set[Path]:
    """Return the files of the shards that a file of an ingest artifact lists."""
    entries = json.loads(listing.read_text(encoding="utf-8"))["shards"]
    return {_path(listing, entry["sha256"]) for entry in entries}


def _path(listing: Path, sha256: str) -> Path:
    # <state>/artifacts/ingest/<digest>/<listing>
    return listing.parents[3] / "shards" / f"{sha256}.npy"

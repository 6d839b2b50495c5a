"""Decoded images: content-addressed shards of uint8 pixels that ingests share.

An ingest's ``pixels.json`` lists its shards in order; the shards lie under ``<state>/shards/`` and
are memory-mapped, so a page or a stage reads only the rows it asks for.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.sections import Kind
from pipelines.shards import SHARD_ROWS, open_shard, write_shard

__all__ = ["Pixels", "load_pixels", "write_pixels"]


class Pixels:
    """(n, H, W, C) uint8 images, read on demand; indexing copies just the rows asked for.

    Examples
    --------
    >>> images = Pixels([np.zeros((2, 4, 4, 1), np.uint8), np.ones((1, 4, 4, 1), np.uint8)])
    >>> images.shape, int(images[2].max()), images[[2, 0]].shape
    ((3, 4, 4, 1), 1, (2, 4, 4, 1))
    """

    kind: Kind = "image"
    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, shards: list[NDArray[np.uint8]]) -> None:
        self._shards = shards
        self._starts = np.cumsum([0, *(len(s) for s in shards)])
        self.shape: tuple[int, ...] = (int(self._starts[-1]), *shards[0].shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def form(self) -> str:
        """What features of an image depend on beside its content and the encoder."""
        return "x".join(map(str, self.shape[1:]))

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        rows = np.arange(len(self))[key]
        if np.ndim(rows) == 0:
            shard = int(np.searchsorted(self._starts, rows, side="right")) - 1
            return np.array(self._shards[shard][int(rows) - self._starts[shard]])
        picked = np.empty((len(rows), *self.shape[1:]), dtype=np.uint8)
        of_shard = np.searchsorted(self._starts, rows, side="right") - 1
        for shard in np.unique(of_shard):
            here = of_shard == shard
            picked[here] = self._shards[shard][rows[here] - self._starts[shard]]
        return picked

    def take(self, rows: Any) -> NDArray[np.uint8]:
        """Return copies of the images of these rows."""
        return self[rows]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        whole = self[:]
        return whole if dtype is None else whole.astype(dtype)


def write_pixels(images: NDArray[np.uint8], file: Path) -> None:
    """Write decoded images as shards and list them in ``file`` (``<artifact>/pixels.json``)."""
    entries = []
    for start in range(0, len(images), SHARD_ROWS):
        block = images[start : start + SHARD_ROWS]
        entries.append({"sha256": write_shard(file, block), "rows": len(block)})
    text = json.dumps({"shape": list(images.shape), "shards": entries}, indent=1)
    file.write_text(text + "\n", encoding="utf-8")


def load_pixels(file: Path) -> Pixels:
    """Open the images that ``pixels.json`` lists, memory-mapped."""
    listing = json.loads(file.read_text(encoding="utf-8"))
    return Pixels([open_shard(file, entry["sha256"]) for entry in listing["shards"]])

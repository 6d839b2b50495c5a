"""Clips and series of any lengths: content-addressed shards that ingests share.

An ingest's ``signals.json`` says what they are and lists the shards, one behind the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.sections import Kind
from pipelines.shards import SHARD_ROWS, open_shard, write_shard

__all__ = ["Signals", "load_signals", "write_signals"]

Signal = NDArray[np.int16] | NDArray[np.float32]


class Signals:
    """n signals, read on demand.

    Attributes
    ----------
    kind : ``audio``: each (T,) int16; or ``series``: each (T, C) float32
    sample_rate : in hertz; 0 for series
    are_rows : whether each is a row of a table, whose columns are in no order
    """

    def __init__(
        self,
        kind: Kind,
        sample_rate: int,
        shards: Sequence[NDArray[Any]],
        lengths: Sequence[Sequence[int]],
        *,
        are_rows: bool = False,
    ) -> None:
        self.kind = kind
        self.sample_rate = sample_rate
        self.are_rows = are_rows
        self._shards = shards
        self._ends = [np.cumsum([0, *part]) for part in lengths]
        self._starts = np.cumsum([0, *map(len, lengths)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def form(self) -> str:
        """What features of a signal depend on beside its content and the encoder."""
        return f"{self.kind}-{self.sample_rate}"

    def __getitem__(self, row: int) -> Signal:
        shard = int(np.searchsorted(self._starts, row, side="right")) - 1
        place = int(row) - self._starts[shard]
        start, end = self._ends[shard][place : place + 2]
        return np.array(self._shards[shard][start:end])

    def take(self, rows: Iterable[int]) -> list[Signal]:
        """Return copies of the signals of these rows."""
        return [self[int(row)] for row in rows]


def write_signals(
    signals: Sequence[Signal],
    file: Path,
    *,
    kind: Kind,
    sample_rate: int = 0,
    are_rows: bool = False,
) -> None:
    """Write signals as shards and list them in ``file`` (``<artifact>/signals.json``)."""
    entries = []
    for start in range(0, len(signals), SHARD_ROWS):
        block = signals[start : start + SHARD_ROWS]
        lengths = [len(signal) for signal in block]
        entries.append({"sha256": write_shard(file, np.concatenate(block)), "lengths": lengths})
    described = {
        "kind": kind,
        "sample_rate": sample_rate,
        "are_rows": are_rows,
        "shards": entries,
    }
    file.write_text(json.dumps(described) + "\n", encoding="utf-8")


def load_signals(file: Path) -> Signals:
    """Open the signals that ``signals.json`` lists, memory-mapped."""
    listing = json.loads(file.read_text(encoding="utf-8"))
    return Signals(
        listing["kind"],
        listing["sample_rate"],
        [open_shard(file, entry["sha256"]) for entry in listing["shards"]],
        [entry["lengths"] for entry in listing["shards"]],
        are_rows=listing["are_rows"],
    )

"""What the items are: images, texts, clips or series, opened from what ingest wrote."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.pixels import Pixels, load_pixels
from pipelines.sections import Kind
from pipelines.signals import Signals, load_signals

__all__ = ["Payload", "Texts", "load_payload"]


@dataclass(frozen=True)
class Texts:
    """(n,) texts."""

    values: NDArray[np.object_]
    kind: Kind = "text"
    form: str = "text"

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, row: int) -> str:
        return str(self.values[row])

    def take(self, rows: Iterable[int]) -> list[str]:
        """Return the texts of these rows."""
        return [self[row] for row in rows]


Payload = Pixels | Signals | Texts


def load_payload(items: Path, pixels: Path | None, signals: Path | None) -> Payload:
    """Open the items; what ingest wrote beside ``items.parquet`` says what they are."""
    if pixels is not None:
        return load_pixels(pixels)
    if signals is not None:
        return load_signals(signals)
    return Texts(pd.read_parquet(items, columns=["text"])["text"].to_numpy(dtype=object))

"""Which attributes are measured on which kind of items, and by what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.decode import Decoded
from pipelines.sections import Kind

__all__ = ["Measurer", "measurer"]


@dataclass(frozen=True)
class Measurer:
    """What measures attributes.

    Attributes
    ----------
    version : names everything that the numbers depend on beside an item's content
    attributes : name -> a sentence on what it is
    rows : (c,) positions of items -> (c, len(attributes)) float32; each row by its item alone
    """

    version: str
    attributes: Mapping[str, str]
    rows: Callable[[NDArray[np.intp]], NDArray[np.float32]]

    @property
    def names(self) -> list[str]:
        """The attributes in the order of the columns."""
        return list(self.attributes)


def measurer(kind: Kind, decoded: Decoded) -> Measurer:
    """Return what measures these items."""
    if kind == "image":
        from pipelines import attributes as silhouette

        pixels: NDArray[np.uint8] = decoded.payload
        shape = "x".join(map(str, pixels.shape[1:]))
        return Measurer(
            f"v1-{shape}-{len(silhouette.ATTRIBUTES)}",
            silhouette.ATTRIBUTES,
            lambda rows: silhouette.measure(pixels[rows]).to_numpy(dtype=np.float32),
        )
    if kind == "text":
        from pipelines import text_attributes as text

        return Measurer(
            f"v1-text-{len(text.ATTRIBUTES)}",
            text.ATTRIBUTES,
            lambda rows: np.array([text.measure(decoded.payload[i]) for i in rows], np.float32),
        )
    from pipelines import signal_attributes as signal

    if kind == "audio":
        rate: int = decoded.facts["sample_rate"]
        return Measurer(
            f"v1-audio-{rate}-{len(signal.AUDIO)}",
            signal.AUDIO,
            lambda rows: np.array(
                [signal.measure_audio(decoded.payload[i], rate) for i in rows], np.float32
            ),
        )
    return Measurer(
        f"v1-series-{len(signal.SERIES)}",
        signal.SERIES,
        lambda rows: np.array(
            [signal.measure_series(decoded.payload[i]) for i in rows], np.float32
        ),
    )

"""An item inside the page: a small picture, the start of a text, a curve, a player."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipelines.exhibits import curve, data_uri, excerpt, sound
from pipelines.payload import Payload, Texts
from pipelines.pixels import Pixels
from pipelines.report import images

__all__ = ["shown"]

MOST_SECONDS = 5  # of a clip's sound: 80 KB at 8 kHz
CHARACTERS_A_PIXEL = 2.5  # a text gets the room that a picture of this side would have


def shown(payload: Payload, row: int, side: int) -> dict[str, Any]:
    """Return what the page shows of an item.

    Parameters
    ----------
    side
        Of a picture, in pixels.

    Returns
    -------
    ``src``, the data URI of a picture, or ``text``; for clips ``audio`` beside ``src``.
    """
    if isinstance(payload, Texts):
        return {"text": excerpt(payload[row], round(CHARACTERS_A_PIXEL * side))}
    if isinstance(payload, Pixels):
        return {"src": images.data_uri(images.thumbnail(payload[row], side))}
    signal = payload[row]
    picture = {"src": data_uri(curve(signal), "image/svg+xml")}
    if payload.kind != "audio":
        return picture
    heard = signal[: MOST_SECONDS * payload.sample_rate].astype(np.int16)
    return {**picture, "audio": data_uri(sound(heard, payload.sample_rate), "audio/wav")}

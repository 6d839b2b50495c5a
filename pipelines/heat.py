"""The scores of an item's parts laid over the item: an image, a text's paragraphs, a curve.

Free of heavy libraries: the report and the app draw the same.

Try it: ``heat_of(payload, row, places)``, where ``places`` are an item's rows of the ``bags``
stage's ``instances.parquet``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipelines.exhibits import data_uri, shaded_curve, shaded_picture
from pipelines.payload import Payload, Texts
from pipelines.pixels import Pixels

__all__ = ["Heat", "heat_of", "score_meaning"]

_MEANINGS = {
    "noisy_or": "the chance of one {part} to be {positive} by itself, if one such {part} is enough "
    "to make the {whole} {positive}",
    "mi_svm": "how far on the side of {positive} one {part} lies, which is no probability",
}
_ALONE = "what a {whole} of that {part} alone would be called, which is neither attention nor proof"


@dataclass(frozen=True)
class Heat:
    """An item under the scores of its parts.

    Attributes
    ----------
    low, high : the least and the largest score
    picture : data URI of an SVG; empty for a text
    pieces : a text in pieces, in order, each with its score, None for what lies between the
        parts; empty for a picture
    """

    low: float
    high: float
    picture: str = ""
    pieces: tuple[tuple[str, float | None], ...] = ()


def heat_of(payload: Payload, row: int, places: pd.DataFrame, picture: str = "") -> Heat:
    """Return one item under the scores of its parts.

    Parameters
    ----------
    places
        The item's parts: where they lie (see `pipelines.instances.cut`) and ``score``, 0 to 1, of
        which those without features are NaN and left out.
    picture
        Of an image its data URI, as large as it is to be seen.
    """
    places = places[places["score"].notna()]
    scores = places["score"].to_numpy(dtype=np.float64)
    low, high = float(scores.min(initial=1.0)), float(scores.max(initial=0.0))
    if isinstance(payload, Texts):
        spans = places.sort_values("start")[["start", "stop", "score"]]
        return Heat(low, high, pieces=_pieces(payload[row], spans))
    if isinstance(payload, Pixels):
        boxes = places[["top", "left", "height", "width"]].to_numpy(np.int64)
        _, height, width, _ = payload.shape
        drawn = shaded_picture(picture, (height, width), boxes, scores)
    else:
        drawn = shaded_curve(payload[row], places[["start", "stop"]].to_numpy(), scores)
    return Heat(low, high, data_uri(drawn, "image/svg+xml"))


def score_meaning(bags: Mapping[str, Any]) -> str:
    """Return what a score means, a clause about "it".

    Parameters
    ----------
    bags
        ``method``, ``positive`` and ``instances`` of the ``bags`` stage's summary.
    """
    part, whole = ("item", "bag") if bags["instances"] == "items" else ("part", "whole")
    meaning = _MEANINGS.get(bags["method"], _ALONE)
    return meaning.format(positive=bags["positive"], part=part, whole=whole)


def _pieces(text: str, spans: pd.DataFrame) -> tuple[tuple[str, float | None], ...]:
    pieces: list[tuple[str, float | None]] = []
    end = 0
    for start, stop, score in spans.itertuples(index=False):
        pieces += [(text[end:start], None), (text[start:stop], float(score))]
        end = stop
    return tuple((words, score) for words, score in [*pieces, (text[end:], None)] if words)

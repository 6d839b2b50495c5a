"""Heat maps of instance scores: over an image, beside paragraphs, behind a curve.

Try it: ``heat_of(payload, row, places)``, where ``places`` are an item's rows of the ``bags``
stage's ``instances.parquet``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.exhibits import data_uri as uri
from pipelines.exhibits import excerpt, shaded_curve
from pipelines.payload import Payload, Texts
from pipelines.pixels import Pixels
from pipelines.report.images import data_uri, enlarged
from ssl_models.pictures import as_rgb, contact_sheet, heat_overlay
from weak_supervision.bags import heat_map
from weaklight.seeds import numpy_generator

__all__ = ["heat_of", "heat_pictures"]

N_POSITIVE, N_NEGATIVE = 4, 2
MOST_PARTS = 12  # paragraphs of a text
CHARACTERS = 160  # of a paragraph
PANEL = 160  # pixels that a picture is enlarged to, at most


def heat_pictures(
    payload: Payload,
    bags: pd.DataFrame,
    instances: pd.DataFrame,
    may_show: NDArray[np.bool_],
    seed: int,
) -> list[dict[str, Any]]:
    """Return a few items that the bag classifier calls positive and a few that it does not.

    Parameters
    ----------
    bags, instances
        What the ``bags`` stage wrote; ``bags`` has one row an item where items are bags.
    may_show
        (n,) bool: which items may be drawn; the report shows unlabelled ones alone.

    Returns
    -------
    One of `heat_of` an item, with ``title`` and ``probability``, that of the whole item; empty
    where the items themselves are the instances.
    """
    if instances.empty:
        return []
    by_item = dict(list(instances.groupby("item_id", sort=False)))
    probability = bags["probability"].to_numpy()
    drawn = numpy_generator(seed, "report", "heat").permutation(np.flatnonzero(may_show))
    is_positive = probability[drawn] >= 0.5
    chosen = [*drawn[is_positive][:N_POSITIVE], *drawn[~is_positive][:N_NEGATIVE]]
    return [
        {
            "title": str(bags["bag_id"].iloc[row]),
            "probability": float(probability[row]),
            **heat_of(payload, int(row), by_item[bags["bag_id"].iloc[row]]),
        }
        for row in chosen
    ]


def heat_of(payload: Payload, row: int, places: pd.DataFrame) -> dict[str, Any]:
    """Return one item under the scores of its instances.

    Parameters
    ----------
    places
        The item's instances: where they lie (see `pipelines.instances.cut`) and ``score``, of
        which those without features are NaN.

    Returns
    -------
    ``low`` and ``high``, the least and the largest score, and either ``src``, a picture as data
    URI, or ``parts``, a list of paragraphs with ``text`` and ``score``, and ``n_more``, the number
    of paragraphs that are left out.
    """
    places = places[places["score"].notna()]
    scores = places["score"].to_numpy(dtype=np.float64)
    told = {"low": float(scores.min(initial=1.0)), "high": float(scores.max(initial=0.0))}
    if isinstance(payload, Texts):
        words = [payload[row][a:b] for a, b in places[["start", "stop"]].to_numpy(np.int64)]
        parts = [
            {"text": excerpt(text, CHARACTERS), "score": score}
            for text, score in zip(words, scores.tolist(), strict=True)
        ]
        return {**told, "parts": parts[:MOST_PARTS], "n_more": max(0, len(parts) - MOST_PARTS)}
    if isinstance(payload, Pixels):
        image = payload[row]
        heat = heat_map(
            scores,
            places[["top", "left"]].to_numpy(),
            (int(places["height"].iloc[0]), int(places["width"].iloc[0])),
            image.shape[:2],
        )
        pair = [enlarged(as_rgb(image), PANEL), enlarged(heat_overlay(image, heat), PANEL)]
        return {**told, "src": data_uri(contact_sheet(pair, columns=2))}
    spans = places[["start", "stop"]].to_numpy()
    return {**told, "src": uri(shaded_curve(payload[row], spans, scores), "image/svg+xml")}

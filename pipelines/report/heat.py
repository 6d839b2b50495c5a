"""Which instances of a bag are to blame: pictures for the report.

Try it: ``heat_pictures(payload, bags, instances, may_show, seed=0)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.exhibits import excerpt
from pipelines.heat import Heat, heat_of
from pipelines.payload import Payload
from pipelines.report.shown import shown
from weaklight.seeds import numpy_generator

__all__ = ["bag_pictures", "heat_pictures"]

N_POSITIVE, N_NEGATIVE = 4, 2
MOST_PARTS = 12  # paragraphs of a text
CHARACTERS = 160  # of a paragraph
MOST_ITEMS = 8  # of a bag of items
SIDE = 128  # pixels of an image, at most


def heat_pictures(
    payload: Payload,
    bags: pd.DataFrame,
    instances: pd.DataFrame,
    may_show: NDArray[np.bool_],
    seed: int,
) -> list[dict[str, Any]]:
    """Return a few items that are bags of parts, each under the scores of its parts.

    Parameters
    ----------
    bags, instances
        What the ``bags`` stage wrote; ``bags`` has one row an item where items are bags.
    may_show
        (n,) bool: which items may be drawn; the report shows unlabelled ones alone.

    Returns
    -------
    Items that the bag classifier calls positive, then items that it does not: ``title``,
    ``probability`` of the whole, ``label`` (1, 0, or -1 where none is known), ``low`` and ``high``,
    the least and the largest score, and either ``src``, the picture under its scores as data URI,
    beside ``plain``, an image without them, or ``parts``, paragraphs with ``text`` and ``score``,
    and ``n_more``, the number of those left out. Empty where the items themselves are the
    instances.
    """
    if instances.empty:
        return []
    by_item = dict(list(instances.groupby("item_id", sort=False)))
    pictures = []
    for row in _drawn(bags["probability"].to_numpy(), may_show, seed):
        item_id = bags["bag_id"].iloc[row]
        plain = shown(payload, row, SIDE)["src"] if payload.kind == "image" else ""
        heat = heat_of(payload, row, by_item[item_id], plain)
        pictures.append(
            {
                "title": str(item_id),
                "probability": float(bags["probability"].iloc[row]),
                "label": int(bags["label"].iloc[row]),
                "low": heat.low,
                "high": heat.high,
                **({"plain": plain} if plain else {}),
                **({"src": heat.picture} if heat.picture else _paragraphs(heat)),
            }
        )
    return pictures


def bag_pictures(
    payload: Payload,
    bags: pd.DataFrame,
    items: pd.DataFrame,
    scores: NDArray[np.floating],
    may_show: NDArray[np.bool_],
    seed: int,
) -> list[dict[str, Any]]:
    """Return a few bags of items, the items of each by their scores, highest first.

    Parameters
    ----------
    bags
        What the ``bags`` stage wrote, one row a bag.
    items
        (n,) ``item_id`` and ``bag_id``, which is missing for items outside bags.
    scores
        (n,) of the items, NaN outside bags and without features.
    may_show
        (n,) bool: which items may be drawn; a bag is drawn where all of its items may.

    Returns
    -------
    Bags that the bag classifier calls positive, then bags that it does not: ``title``,
    ``probability`` and ``label`` of the bag, ``instances``, each as `shown` with ``title`` and its
    score among ``lines``, and ``n_more``, the number of items left out. Empty where parts are the
    instances.
    """
    table = pd.DataFrame({"bag_id": items["bag_id"].to_numpy(), "score": scores})
    best_first = table[np.isfinite(scores)].sort_values("score", ascending=False, kind="stable")
    members = best_first.groupby("bag_id").groups
    is_whole = np.array([b in members and may_show[members[b]].all() for b in bags["bag_id"]], bool)
    pictures = []
    for number in _drawn(bags["probability"].to_numpy(), is_whole, seed):
        rows = members[bags["bag_id"].iloc[number]]
        pictures.append(
            {
                "title": str(bags["bag_id"].iloc[number]),
                "probability": float(bags["probability"].iloc[number]),
                "label": int(bags["label"].iloc[number]),
                "instances": [
                    {
                        **shown(payload, row, SIDE),
                        "title": str(items["item_id"].iloc[row]),
                        "lines": [("score", f"{scores[row]:.2f}")],
                    }
                    for row in rows[:MOST_ITEMS].tolist()
                ],
                "n_more": max(0, len(rows) - MOST_ITEMS),
            }
        )
    return pictures


def _drawn(probability: NDArray[np.floating], may_show: NDArray[np.bool_], seed: int) -> list[int]:
    """Return some positions of bags that are called positive, then some that are not."""
    drawn = numpy_generator(seed, "report", "heat").permutation(np.flatnonzero(may_show))
    is_positive = probability[drawn] >= 0.5
    return [*drawn[is_positive][:N_POSITIVE].tolist(), *drawn[~is_positive][:N_NEGATIVE].tolist()]


def _paragraphs(heat: Heat) -> dict[str, Any]:
    parts = [
        {"text": excerpt(text, CHARACTERS), "score": score}
        for text, score in heat.pieces
        if score is not None
    ]
    return {"parts": parts[:MOST_PARTS], "n_more": max(0, len(parts) - MOST_PARTS)}

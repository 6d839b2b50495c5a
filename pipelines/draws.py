"""What chance each item had to become gold, where gold was drawn at several times.

Items that came after the first draw had one chance less than those before. Figures of test then
count each row by the inverse of its chance, so that they speak of the whole pool.

Try it: ``python -c "from pipelines.draws import drawn_gold; help(drawn_gold)"``.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from pipelines.reviews import ReviewStore
from weak_supervision.evaluation import chance_over_draws

__all__ = ["drawn_gold"]


def drawn_gold(store: ReviewStore) -> pd.DataFrame:
    """Return the items that were drawn at random, as ``store.gold()`` does, with their ``chance``.

    Parameters
    ----------
    store
        Its log holds every draw with its frame, and since which draw each drawn item was there.

    Returns
    -------
    ``chance`` is a float for each item of test: its chance to be drawn in any draw for test, times
    the share of that draw that has been answered. NaN for other roles, and for all where a draw
    does not say since when its items were there.
    """
    gold, log = store.gold(), store.draws()
    draws: list[dict[str, Any]] = [json.loads(text) for text in log["new"]]
    for k, draw in enumerate(draws):  # an earlier version did not record it
        draw.setdefault("arrived", None if k else {})
    chance = pd.Series(np.nan, index=gold.index)
    is_test = gold["role"] == "test"
    if is_test.any() and all(draw["arrived"] is not None for draw in draws):
        place = gold["batch"].map({batch: k for k, batch in enumerate(log["batch"])})
        n_answered = place[gold["label"].notna()].value_counts()
        frame = np.array([draw["frame"] for draw in draws])
        drawn = np.array([draw["n"] for draw in draws]) / frame
        known = np.array([n_answered.get(k, 0) for k in range(len(draws))]) / frame
        for_test = [draw["role"] == "test" for draw in draws]
        arrived = {item_id: k for draw in draws for item_id, k in draw["arrived"].items()}
        since = [arrived.get(item_id, 0) for item_id in gold.loc[is_test, "item_id"]]
        chance[is_test] = chance_over_draws(drawn, known * for_test, since)
    return gold.assign(chance=chance)

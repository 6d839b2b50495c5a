"""What chance each item had to become gold, where gold was drawn at several times.

Items that came after the first draw had one chance less than those before. Figures of test then
count each row by the inverse of its chance, so that they speak of the whole pool.

Try it: ``python -c "from pipelines.draws import gold_chances; help(gold_chances)"``.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from pipelines.reviews import GOLD_QUEUE, ReviewStore
from weak_supervision.evaluation import chance_over_draws

__all__ = ["gold_chances"]


def gold_chances(store: ReviewStore, role: str = "test") -> pd.Series:
    """Return the chance of each item that was drawn for a role to be its gold by now.

    Parameters
    ----------
    store
        Its log holds every draw with its frame, and since which draw each drawn item was there.

    Returns
    -------
    (n,) float by ``item_id``: the chance to be drawn in any draw for the role, times the share of
    that draw that has been answered; NaN where a draw does not say since when its items were there.
    """
    log = store.draws()
    items = store.current(("set_role",), queue=GOLD_QUEUE).set_index("item_id")
    answered = store.current(queue=GOLD_QUEUE).set_index("item_id")["new"].dropna().index
    place = items["batch"].map({batch: k for k, batch in enumerate(log["batch"])})
    draws: list[dict[str, Any]] = [json.loads(text) for text in log["new"]]
    for k, draw in enumerate(draws):  # an earlier version did not record it
        draw.setdefault("arrived", None if k else {})
    n_answered = place[place.index.isin(answered)].value_counts()
    drawn = np.array([d["n"] / d["frame"] for d in draws])
    counted = np.array(
        [n_answered.get(k, 0) / d["frame"] * (d["role"] == role) for k, d in enumerate(draws)]
    )
    ours = items.index[items["new"] == role]
    if not len(ours) or any(d["arrived"] is None for d in draws):
        return pd.Series(np.nan, index=ours)
    arrived = {item_id: k for d in draws for item_id, k in d["arrived"].items()}
    since = np.array([arrived.get(item_id, 0) for item_id in ours])
    return pd.Series(chance_over_draws(drawn, counted, since), index=ours)

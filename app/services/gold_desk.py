"""The desk for gold: items drawn at random, answered without a suggestion, kept to measure by."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from pipelines.reviews import GOLD_QUEUE, ReviewEvent, ReviewStore
from weaklight.errors import DataError

__all__ = ["GoldDesk"]


@dataclass(frozen=True)
class GoldDesk:
    """One reviewer who answers drawn items.

    Attributes
    ----------
    store : where events go
    reviewer : the reviewer's name
    classes : the answers
    run_id : the run whose items are shown; none of its labels are
    items : ids of the newest items: what was drawn and is gone from them is asked of nobody
    """

    store: ReviewStore
    reviewer: str
    classes: tuple[str, ...]
    run_id: str
    items: frozenset[str]

    def progress(self) -> pd.DataFrame:
        """Return, for each role, how many items were ``drawn`` and how many are ``answered``.

        Items that are ``gone`` are in neither count.
        """
        gold = self.store.gold()
        is_there = gold["item_id"].isin(self.items)
        counts = {
            "drawn": is_there,
            "answered": is_there & gold["label"].notna(),
            "gone": ~is_there,
        }
        return gold.assign(**counts).groupby("role", as_index=False)[list(counts)].sum()

    def open_items(self) -> list[str]:
        """Return the items that wait for an answer, in the order of the draw.

        That order is random, so those answered are a fair sample at any time. What this reviewer
        skipped is left out.
        """
        drawn = self.store.current(("set_role",), queue=GOLD_QUEUE).sort_values("id")["item_id"]
        gold = self.store.gold()
        answered = set(gold.loc[gold["label"].notna(), "item_id"])
        skipped = self.store.current(("skip",), queue=GOLD_QUEUE)
        mine = set(skipped.loc[skipped["reviewer"] == self.reviewer, "item_id"])
        done = answered | mine
        return [str(i) for i in drawn if i in self.items and i not in done]

    def answer(self, item_id: str, label: str) -> int:
        """Record an item's true class.

        Raises
        ------
        DataError
            If there is no such class, or the item was not drawn.
        """
        if label not in self.classes:
            raise DataError(f"no class is called {label!r}; known: {list(self.classes)}")
        return self._record("relabel", item_id, label)

    def skip(self, item_id: str) -> int:
        """Leave an item to somebody else."""
        return self._record("skip", item_id, None)

    def undo(self) -> list[str]:
        """Take back the reviewer's last action and return the items it was about."""
        return [event.item_id for event in self.store.undo(self.reviewer)]

    def _record(self, action: str, item_id: str, new: str | None) -> int:
        if item_id not in set(self.store.gold()["item_id"]):
            raise DataError(f"item {item_id} was not drawn; only items drawn at random are gold")
        return self.store.record(
            ReviewEvent(
                item_id, self.reviewer, action, new=new, run_id=self.run_id, queue=GOLD_QUEUE
            )
        )

"""The reviewer's desk: turns what a person does into review events, written at once.

Items of the dev and test splits are refused: their labels must not reach training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from pipelines.queries import RunView
from pipelines.reviews import ReviewEvent, ReviewStore
from weaklight.errors import DataError
from weaklight.words import counted

__all__ = ["Desk", "Standing"]


@dataclass(frozen=True)
class Standing:
    """What people have settled so far, one read of the review store.

    Attributes
    ----------
    decisions : item id -> (action, class name or None), by any reviewer
    passed : items that this reviewer skipped or flagged, and that nobody settled
    n_mine : decisions that stand and are this reviewer's
    drawn : items drawn at random to measure by, which are answered on a page of their own
    waiting : those of them without an answer yet, whose weak labels nobody is to see before
    notes : item id -> (reviewer, text) of the newest note that stands
    """

    decisions: dict[str, tuple[str, str | None]]
    passed: frozenset[str]
    n_mine: int
    drawn: frozenset[str]
    waiting: frozenset[str]
    notes: dict[str, tuple[str, str]]

    @classmethod
    def read(cls, store: ReviewStore, reviewer: str) -> Standing:
        """Read the current view of the store."""
        current, remarks = store.current(), store.current(("skip", "flag"))
        gold = store.gold()
        decisions = {
            str(item_id): (str(action), None if pd.isna(new) else str(new))
            for item_id, action, new in current[["item_id", "action", "new"]].itertuples(
                index=False, name=None
            )
        }
        mine = remarks.loc[remarks["reviewer"] == reviewer, "item_id"]
        return cls(
            decisions=decisions,
            passed=frozenset(mine) - decisions.keys(),
            n_mine=int((current["reviewer"] == reviewer).sum()),
            drawn=frozenset(gold["item_id"]),
            waiting=frozenset(gold.loc[gold["label"].isna(), "item_id"]),
            notes={
                str(r.item_id): (str(r.reviewer), str(r.new))
                for r in store.current(("comment",)).itertuples()
            },
        )

    def is_done(self, item_id: str) -> bool:
        """Say whether an item need not be offered again."""
        return item_id in self.decisions or item_id in self.passed

    def label_of(self, item_id: str, weak: str | None) -> str | None:
        """Return the label that counts: the human one where there is one."""
        action, label = self.decisions.get(item_id, ("", weak))
        return None if action == "exclude" else label


@dataclass(frozen=True)
class Desk:
    """One reviewer at work on one run.

    Attributes
    ----------
    view : the run whose labels the reviewer sees
    store : where events go
    reviewer : the reviewer's name
    queue : the order in which items are offered, or the page they were picked on
    """

    view: RunView
    store: ReviewStore
    reviewer: str
    queue: str

    def standing(self) -> Standing:
        """Return what is settled so far."""
        return Standing.read(self.store, self.reviewer)

    def accept(self, item_ids: Sequence[str]) -> list[int]:
        """Confirm the items' labels; all of them must have one."""
        return self._record("accept", item_ids, keep_label=True)

    def relabel(self, item_ids: Sequence[str], label: str) -> list[int]:
        """Give the items this class."""
        if label not in self.view.classes:
            raise DataError(f"no class is called {label!r}; known: {list(self.view.classes)}")
        return self._record("relabel", item_ids, label)

    def exclude(self, item_ids: Sequence[str]) -> list[int]:
        """Keep the items out of training."""
        return self._record("exclude", item_ids)

    def skip(self, item_ids: Sequence[str]) -> list[int]:
        """Leave the items to somebody else."""
        return self._record("skip", item_ids)

    def flag(self, item_ids: Sequence[str]) -> list[int]:
        """Mark the items as needing a second look."""
        return self._record("flag", item_ids)

    def comment(self, item_id: str, text: str) -> None:
        """Keep a remark on any item; an empty one is none."""
        if text := text.strip():
            self.store.record(
                ReviewEvent(
                    item_id,
                    self.reviewer,
                    "comment",
                    new=text,
                    run_id=self.view.run_id,
                    queue=self.queue,
                )
            )

    def undo(self) -> list[str]:
        """Take back the reviewer's last action and return the items it was about."""
        return [event.item_id for event in self.store.undo(self.reviewer)]

    def _record(
        self,
        action: str,
        item_ids: Sequence[str],
        label: str | None = None,
        *,
        keep_label: bool = False,
    ) -> list[int]:
        rows = self.view.rows_of(list(item_ids))
        held_out = [i for i, row in zip(item_ids, rows, strict=True)
                    if self.view.splits[row] != "unlabeled"]  # fmt: skip
        if held_out:
            raise DataError(
                f"{counted(len(held_out), 'item belongs', 'items belong')} to dev or test and "
                f"cannot be labelled here, such as {held_out[:3]}; take them out of the selection"
            )
        standing = self.standing()
        if drawn := sorted(standing.drawn.intersection(item_ids)):
            raise DataError(
                f"{counted(len(drawn), 'item was', 'items were')} drawn at random to measure by, "
                f"such as {drawn[:3]}; answer them on the page Gold"
            )
        events = []
        for item_id, row in zip(item_ids, rows, strict=True):
            old = standing.label_of(item_id, self.view.class_name(int(self.view.labels[row])))
            if keep_label and old is None:
                raise DataError(f"item {item_id} has no label to accept; give it a class instead")
            events.append(
                ReviewEvent(
                    item_id=item_id,
                    reviewer=self.reviewer,
                    action=action,
                    old=old,
                    new=old if keep_label else label,
                    run_id=self.view.run_id,
                    queue=self.queue,
                )
            )
        return self.store.record_many(events)

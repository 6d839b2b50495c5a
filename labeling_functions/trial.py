"""Judging LFs on a sample: what each got wrong, and what it read there.

Try it: ``weaklight lf check``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labeling_functions.drill import drill
from labeling_functions.functions import ItemFunction, LabelingFunction
from labeling_functions.record import Item, items_of
from weaklight.contracts import ABSTAIN, ClassSet, Votes

__all__ = ["Mistake", "examples_of", "mistakes", "without_examples"]


@dataclass(frozen=True)
class Mistake:
    """An item on which an LF is wrong: what it said, what is true, and what it read there."""

    item_id: str
    said: int
    gold: int
    read: Mapping[str, Any]


def without_examples(
    votes: Votes, lfs: Sequence[LabelingFunction], item_ids: pd.Series[Any]
) -> Votes:
    """Return the votes less those of each LF on its own examples, on which it is always right."""
    judged = votes.copy()
    for j, lf in enumerate(lfs):
        if examples := examples_of(lf):
            judged[item_ids.isin(list(examples)).to_numpy(), j] = ABSTAIN
    return judged


def examples_of(lf: LabelingFunction) -> tuple[str, ...]:
    """Return the ids of the items that an LF was made from: a prototype's examples."""
    return (*getattr(lf, "positives", ()), *getattr(lf, "negatives", ()))


def mistakes(
    lf: LabelingFunction,
    votes: NDArray[np.integer],
    table: pd.DataFrame,
    gold: NDArray[np.integer],
    *,
    classes: Sequence[str],
    class_sets: Sequence[ClassSet] = (),
    at_most: int = 5,
) -> list[Mistake]:
    """Return the first items on which an LF's votes (n,) are wrong, with what it read there."""
    column = np.asarray(votes, np.int16)[:, None]
    rows = drill(column, gold, 0, classes=classes, class_sets=class_sets)["wrong"][:at_most]
    return [
        Mistake(str(table["item_id"].iloc[row]), int(votes[row]), int(gold[row]), read)
        for row, read in zip(rows, _readings(lf, table.iloc[rows]), strict=True)
    ]


def _readings(lf: LabelingFunction, table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return, per row, the values that the LF read there."""
    if isinstance(lf, ItemFunction):
        notes = [_NotingItem(item) for item in items_of(table)]
        for note in notes:
            with suppress(Exception):  # only what it reads matters here; errors were reported
                lf(note)
        return [note.noted for note in notes]
    columns = [c for c in lf.columns or () if c in table and c != "item_id"]
    if not columns and "text" in table:  # it judges features; the text shows what they are of
        columns = ["text"]
    return [{str(k): v for k, v in row.items()} for row in table[columns].to_dict("records")]


class _NotingItem:
    """An item that keeps note of the values asked of it."""

    def __init__(self, item: Item) -> None:
        self._item = item
        self.noted: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._item, name)
        self.noted[name] = value
        return value

    def __getitem__(self, name: str) -> Any:
        value = self.noted[name] = self._item[name]
        return value

"""Trying LFs on a sample, in this process: votes, times, and what each got wrong.

Try it: ``weaklight lf check``.
"""

from __future__ import annotations

import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labeling_functions.apply import LFReport, apply_lfs
from labeling_functions.drill import drill
from labeling_functions.functions import ItemFunction, LabelingFunction
from labeling_functions.record import Item, items_of
from labeling_functions.templates.features import EncodeText
from weaklight.contracts import ABSTAIN, ClassSet, Votes

__all__ = ["Mistake", "Trial", "examples_of", "mistakes", "try_lfs", "without_examples"]


@dataclass(frozen=True)
class Mistake:
    """An item on which an LF is wrong: what it said, what is true, and what it read there."""

    item_id: str
    said: int
    gold: int
    read: Mapping[str, Any]


@dataclass(frozen=True)
class Trial:
    """What LFs said of a sample.

    Attributes
    ----------
    votes : (n, m) int16
    reports : one an LF
    overstayed : by LF that ran too long and so abstains, the line at which it was stopped
    """

    votes: Votes
    reports: list[LFReport]
    overstayed: dict[str, str]


def try_lfs(
    lfs: Sequence[LabelingFunction],
    table: pd.DataFrame,
    *,
    classes: Sequence[str],
    class_sets: Sequence[ClassSet] = (),
    features: NDArray[np.floating] | None = None,
    encode_text: EncodeText | None = None,
    time_limit_s: float = 10.0,
) -> Trial:
    """Run LFs on a table, here and now.

    Parameters
    ----------
    table, classes, class_sets, features, encode_text
        As in ``apply_lfs``.
    time_limit_s
        Most processor time of one LF, so that a busy machine stops none. An alarm signal ends
        loops in Python, where this is the process's main thread; ``apply_lfs`` with workers ends
        any LF, one that waits for something as well.
    """
    overstayed: dict[str, str] = {}
    while True:
        left = [lf for lf in lfs if lf.name not in overstayed]
        try:
            with _alarm(time_limit_s) as rearm:
                result = apply_lfs(
                    left,
                    table,
                    classes=classes,
                    class_sets=class_sets,
                    features=features,
                    encode_text=encode_text,
                    workers=0,
                    progress=lambda done, total, name: rearm(),
                )
            break
        except _OverstayedError as alarm:
            lf = _culprit(alarm) or left[0]
            overstayed[lf.name] = _where(lf, alarm)
    votes = np.full((len(table), len(lfs)), ABSTAIN, np.int16)
    votes[:, [j for j, lf in enumerate(lfs) if lf.name not in overstayed]] = result.votes
    return Trial(votes, result.reports, overstayed)


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


class _OverstayedError(BaseException):
    """The alarm rang; no ``Exception``, so that an LF's own handlers let it pass."""


@contextmanager
def _alarm(seconds: float) -> Iterator[Callable[[], None]]:
    """Raise ``_OverstayedError`` after so much processor time; what it yields counts anew."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise _OverstayedError

    def arm() -> None:
        signal.setitimer(signal.ITIMER_PROF, seconds)

    before = signal.signal(signal.SIGPROF, ring)
    try:
        arm()
        yield arm
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _culprit(alarm: BaseException) -> LabelingFunction | None:
    """Return the LF that was running when the alarm rang."""
    for frame, _ in traceback.walk_tb(alarm.__traceback__):
        lf = frame.f_locals.get("self")
        if isinstance(lf, LabelingFunction):
            return lf
    return None


def _where(lf: LabelingFunction, alarm: BaseException) -> str:
    """Return the line of the expert's file at which the alarm found the LF."""
    for frame in reversed(traceback.extract_tb(alarm.__traceback__)):
        path = Path(frame.filename)
        if lf.origin is not None and path.parent == lf.origin.folder:
            return f"{path.name}, line {frame.lineno}"
    return "" if lf.origin is None else f"{lf.origin.file}, line {lf.origin.line}"

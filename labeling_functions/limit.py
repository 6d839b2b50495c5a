"""The time limit of an LF, by the clock on the wall: one that waits is stopped, too.

An alarm signal ends loops in Python, sleeps, and waits for a network or a lock; what runs on in C
and heeds no signal is left to the parent of a worker process, which kills it.

Try it: ``run_within(5.0, lf, table, ballot)``.
"""

from __future__ import annotations

import math
import signal
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from labeling_functions.ballot import Ballot, RowVotes
    from labeling_functions.functions import LabelingFunction, RowFunction

__all__ = ["Overstayed", "reach", "run_within"]


@dataclass(frozen=True)
class Overstayed:
    """The LF ran longer than its limit and was stopped; ``place`` says where, if that is known."""

    place: str = ""


class _OverstayedError(BaseException):
    """The time is over; no ``Exception``, so that most handlers in an LF let it pass."""


@dataclass
class _Clock:
    deadline: float
    row: int | None = None
    is_running: bool = True


_clock: ContextVar[_Clock | None] = ContextVar("_clock", default=None)


def reach(row: int) -> None:
    """Note that the LF has come to this row of its table, and end it if its time is over.

    It ends, row by row, what the alarm cannot: an LF whose bare ``except:`` catches the alarm, or
    one that runs in another thread than the main one.
    """
    if (clock := _clock.get()) is not None:
        if time.monotonic() >= clock.deadline:
            raise _OverstayedError
        clock.row = row


def run_within(
    limit_s: float, lf: RowFunction, table: pd.DataFrame, ballot: Ballot
) -> RowVotes | Overstayed:
    """Run an LF on a table in this process, for at most ``limit_s`` seconds; infinity: no alarm."""
    if math.isinf(limit_s):
        return lf.run(table, ballot)
    clock = _Clock(time.monotonic() + limit_s)
    token = _clock.set(clock)
    try:
        with _alarm(limit_s, clock):
            return lf.run(table, ballot)
    except _OverstayedError as stopped:
        return Overstayed(_place(lf, table, clock.row, stopped))
    finally:
        _clock.reset(token)


@contextmanager
def _alarm(limit_s: float, clock: _Clock) -> Iterator[None]:
    """Raise ``_OverstayedError`` after ``limit_s`` seconds; only the main thread can be rung."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        if clock.is_running:
            raise _OverstayedError

    handler = signal.signal(signal.SIGALRM, ring)
    timer = signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        clock.is_running = False
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, handler)


def _place(
    lf: LabelingFunction, table: pd.DataFrame, row: int | None, stopped: BaseException
) -> str:
    """Return the item, and the line of the expert's file, at which the LF was stopped."""
    item = "" if row is None or "item_id" not in table else f"item {table['item_id'].iloc[row]}"
    lines = [
        f"{Path(frame.filename).name}, line {frame.lineno}"
        for frame in traceback.extract_tb(stopped.__traceback__)
        if lf.origin is not None and Path(frame.filename).parent == lf.origin.folder
    ]
    return f"{item} ({lines[-1]})" if item and lines else item or "".join(lines[-1:])

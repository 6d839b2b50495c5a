"""One pass over the items: votes that cost nothing are cast on the way, the others become tasks.

Try it: ``apply_lfs``; there is no other way in.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from labeling_functions.ballot import Ballot
from labeling_functions.cache import VoteCache, row_keys
from labeling_functions.direct import Column, DirectVoter, is_direct
from labeling_functions.functions import LabelingFunction, RowFunction
from labeling_functions.limit import Overstayed, run_within
from labeling_functions.shards import Items, Shard
from labeling_functions.workers import Outcome, Part, Task

__all__ = ["VoteStream", "run_here"]


class VoteStream:
    """Reads the items once, shard by shard.

    Parameters
    ----------
    columns
        One per LF; direct votes and cached ones are entered here.
    item_keys
        As in ``apply_lfs``.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        items: Items,
        ballot: Ballot,
        item_keys: ArrayLike | str | None,
        cache_dir: Path | None,
        shard_rows: int,
        progress: Callable[[int, int, str], None] | None,
    ) -> None:
        self._columns = columns
        self._items = items
        self._ballot = ballot
        self._key_column = item_keys if isinstance(item_keys, str) else "item_id"
        self._keys = None if item_keys is None or isinstance(item_keys, str) else item_keys
        self._shard_rows = shard_rows
        self._progress = progress
        self._row_lfs = [i for i, c in enumerate(columns) if isinstance(c.lf, RowFunction)]
        self._direct = DirectVoter(columns, self._row_lfs, items, ballot, cache_dir)
        self._has_direct = any(is_direct(columns[place].lf) for place in self._row_lfs)
        self._n_done = 0
        for place in self._row_lfs:
            lf = columns[place].lf
            if cache_dir is not None and lf.digest and not is_direct(lf):
                columns[place].cache = VoteCache(Path(cache_dir), lf, ballot, items.dtypes)

    def tasks(self) -> Iterator[Task]:
        """Yield what is left to run once direct and cached votes are entered."""
        if not self._row_lfs:
            return
        for shard in self._items.shards(self._columns_to_read(), self._shard_rows):
            left = self._look_up(shard, self._waiting(shard))
            self._n_done += len(self._row_lfs) - len(left)
            if self._has_direct:
                self._tell("templates")
            yield from self._as_tasks(shard, left)

    def save(self) -> None:
        """Keep the votes of templates for the next run, once all tasks are done."""
        self._direct.save()

    def count(self, name: str) -> None:
        """Tell that one LF is done on one shard."""
        self._n_done += 1
        self._tell(name)

    def _tell(self, name: str) -> None:
        if self._progress is not None:
            n_shards = -(-self._items.n_rows // self._shard_rows)
            self._progress(self._n_done, n_shards * len(self._row_lfs), name)

    def _columns_to_read(self) -> list[str]:
        """Return what some LF reads: all where one does not say, or names one that is not there.

        What goes wrong is then said beside the columns that there are.
        """
        declared = [self._columns[place].lf.columns for place in self._row_lfs]
        known = self._items.columns
        wanted = {name for names in declared for name in names or ()}
        if None in declared or not wanted <= set(known):
            wanted = set(known)
        needs_keys = any(column.cache is not None for column in self._columns)
        names = [name for name in known if name in wanted]
        extra = [self._key_column] if needs_keys and self._keys is None else []
        return list(dict.fromkeys([*names, *extra])) or ["item_id"]

    def _waiting(self, shard: Shard) -> dict[int, NDArray[np.int64]]:
        """Let the templates vote; return the rows that wait for a child process, by LF."""
        waiting = dict.fromkeys(self._row_lfs, np.arange(shard.n_rows)) | self._direct.vote(shard)
        return {place: inside for place, inside in waiting.items() if len(inside)}

    def _look_up(
        self, shard: Shard, waiting: dict[int, NDArray[np.int64]]
    ) -> dict[int, tuple[NDArray[np.int64], NDArray[np.uint64] | None]]:
        """Enter what is cached; return the rows that are not, with their keys, by LF."""
        needed: dict[tuple[str, ...] | None, NDArray[np.bool_]] = {}
        for place, inside in waiting.items():
            if self._columns[place].cache is not None:
                rows = needed.setdefault(
                    self._columns[place].lf.columns, np.zeros(shard.n_rows, bool)
                )
                rows[inside] = True
        keys_by_columns = {
            names: self._row_keys(shard, names, rows) for names, rows in needed.items()
        }
        left: dict[int, tuple[NDArray[np.int64], NDArray[np.uint64] | None]] = {}
        for place, inside in waiting.items():
            column = self._columns[place]
            keys = None
            if column.cache is not None:
                keys = keys_by_columns[column.lf.columns][inside]
                known, is_known = column.cache.look_up(keys)
                hits = np.flatnonzero(is_known)
                column.rows.put(shard.start + inside[hits], known.take(hits))
                inside, keys = inside[~is_known], keys[~is_known]
            if len(inside):
                left[place] = inside, keys
        return left

    def _row_keys(
        self, shard: Shard, names: tuple[str, ...] | None, rows: NDArray[np.bool_]
    ) -> NDArray[np.uint64]:
        """Return the (n, 2) keys of the shard's rows, computed for ``rows`` alone."""
        if self._keys is None:
            items = shard.frame[self._key_column][rows]
        else:
            span = slice(shard.start, shard.start + shard.n_rows)
            items = pd.Series(np.asarray(self._keys)[span][rows])
        keys = np.zeros((shard.n_rows, 2), np.uint64)
        keys[rows] = row_keys(shard.visible(self._items.columns)[rows], names, items.astype(str))
        return keys

    def _as_tasks(
        self,
        shard: Shard,
        left: dict[int, tuple[NDArray[np.int64], NDArray[np.uint64] | None]],
    ) -> Iterator[Task]:
        if not left:
            return
        needed = np.zeros(shard.n_rows, bool)
        for inside, _ in left.values():
            needed[inside] = True
        part = Part(shard.number, shard.visible(self._items.columns)[needed].reset_index(drop=True))
        place_in_part = np.cumsum(needed) - 1
        for place, (inside, keys) in left.items():
            yield Task(place, part, place_in_part[inside], shard.start + inside, keys)


def run_here(
    tasks: Iterable[Task],
    lfs: Sequence[LabelingFunction],
    ballot: Ballot,
    *,
    time_limit_s: float,
    should_skip: Callable[[Task], bool],
) -> Generator[tuple[Task, Outcome], None, None]:
    """Yield each task with its outcome, run in this process."""
    for task in tasks:
        lf, frame = lfs[task.lf_index], task.part.frame
        assert isinstance(lf, RowFunction)
        if should_skip(task):
            yield task, Overstayed()
        else:
            rows = frame.iloc[task.inside].reset_index(drop=True)
            yield task, run_within(time_limit_s, lf, rows, ballot)

"""Applying LFs to a table of items: one column of votes each, errors isolated, nothing run twice.

Try it::

    result = apply_lfs(load_folder(Path("lfs")), items, classes=("bag", "boot"))
    result.votes, result.reports
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from labeling_functions.ballot import Ballot, Problem, RowVotes
from labeling_functions.cache import VoteCache, row_keys
from labeling_functions.functions import LabelingFunction, RowFunction
from labeling_functions.prototypes import PrototypeFunction
from labeling_functions.worker import decode_table, encode_table
from labeling_functions.workers import Outcome, Overstayed, Task, WorkerDied, run_tasks
from weaklight.contracts import ABSTAIN, ClassSet, Votes
from weaklight.errors import DataError, LabelingError

__all__ = ["ApplyResult", "LFReport", "apply_lfs"]

MAX_OVERSTAYS = 3  # shards on which an LF may run out of time before it is not tried again

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class LFReport:
    """What is to be said about one LF beside its votes; plain JSON through ``as_dict``.

    ``n_errors`` counts the rows on which it abstains because something went wrong: it raised, or
    its answer was not understood. Rows that were not reached in time are counted apart.
    """

    name: str
    description: str
    author: str
    tags: tuple[str, ...]
    digest: str
    columns: tuple[str, ...] | None
    n_votes: int
    n_errors: int
    first_traceback: str | None
    timed_out_shards: int
    timed_out_rows: int
    note: str

    def as_dict(self) -> dict[str, Any]:
        """Return the report for a JSON file."""
        return asdict(self)


@dataclass(frozen=True)
class ApplyResult:
    """Votes (n, m) int16 and a report per LF, in the order of the LFs."""

    votes: Votes
    reports: list[LFReport]


@dataclass
class _Column:
    """The state of one LF while votes come in."""

    lf: LabelingFunction
    rows: RowVotes
    cache: VoteCache | None = None
    keys: NDArray[np.uint64] | None = None
    overstayed_shards: int = 0
    overstayed_rows: int = 0


def apply_lfs(
    lfs: Sequence[LabelingFunction],
    table: pd.DataFrame,
    *,
    classes: Sequence[str],
    class_sets: Sequence[ClassSet] = (),
    features: NDArray[np.floating] | None = None,
    item_keys: ArrayLike | None = None,
    cache_dir: Path | None = None,
    time_limit_s: float = 30.0,
    workers: int = 2,
    shard_rows: int = 16_384,
    progress: Progress | None = None,
) -> ApplyResult:
    """Let every LF vote on every item.

    Parameters
    ----------
    lfs
        From ``load_folder``: the workers load the same files.
    table
        n rows with ``item_id`` (unique text) and the columns that LFs read. Every column reaches
        the LFs, so it must hold no gold.
    features : (n, d) float, in the table's row order
        For prototypes only; they abstain without.
    item_keys : (n,) str
        Content digest of each item, part of the key under which its votes are cached, with the
        values of the columns that the LF reads; the item's id by default.
    cache_dir
        Where votes are kept; None keeps none. Prototypes are always computed, being cheaper than
        a look-up.
    time_limit_s
        Longest run of one LF on one shard. An LF that overstays abstains there and is not cached;
        after ``MAX_OVERSTAYS`` such shards it is not tried again in this call.
    workers
        Number of child processes. 0 runs the LFs in this process, with no time limit: for
        notebooks, tests and LFs that were not loaded from a folder.
    shard_rows
        Rows per task; memory beyond the table is bounded by it.
    progress
        Called from this thread as ``progress(done, total, message)``.

    Returns
    -------
    The same votes and reports for any number of workers, and with or without a cache, if every LF
    judges a row by that row alone and none overstays.

    Raises
    ------
    LabelingError
        If two LFs share a name, or LFs to be run in workers were not loaded from a folder.
    DataError
        If the table, the features or the keys do not fit together.
    StorageError
        If the cache cannot be written.
    """
    ballot = Ballot(tuple(classes), tuple(class_sets))
    n = len(table)
    keys = _check_inputs(lfs, table, features, item_keys, workers)
    columns = [_Column(lf, RowVotes.abstaining(n)) for lf in lfs]
    tasks: list[Task] = []
    keys_by_columns: dict[tuple[str, ...] | None, NDArray[np.uint64]] = {}
    for index, column in enumerate(columns):
        lf = column.lf
        if isinstance(lf, PrototypeFunction):
            column.rows = lf.run(table["item_id"].tolist(), features, ballot)
            continue
        is_missing = np.ones(n, bool)
        if cache_dir is not None and lf.digest:
            if lf.columns not in keys_by_columns:
                keys_by_columns[lf.columns] = row_keys(table, lf.columns, keys)
            column.keys = keys_by_columns[lf.columns]
            column.cache = VoteCache(Path(cache_dir), lf, ballot, table)
            column.rows, is_known = column.cache.look_up(column.keys)
            is_missing = ~is_known
        for start in range(0, n, shard_rows):
            rows = start + np.flatnonzero(is_missing[start : start + shard_rows])
            if len(rows):
                tasks.append(Task(index, start // shard_rows, rows.astype(np.int64)))
    tasks.sort(key=lambda task: task.shard)  # stable: a shard's LFs stay in order
    with closing(_run(tasks, columns, table, ballot, time_limit_s, workers)) as outcomes:
        for done, (task, outcome) in enumerate(outcomes, start=1):
            column = columns[task.lf_index]
            _take(column, task, outcome)
            if progress is not None:
                progress(done, len(tasks), column.lf.name)
    votes = np.full((n, len(lfs)), ABSTAIN, np.int16)
    for index, column in enumerate(columns):
        votes[:, index] = column.rows.votes
    return ApplyResult(votes, [_report(column, time_limit_s) for column in columns])


def _check_inputs(
    lfs: Sequence[LabelingFunction],
    table: pd.DataFrame,
    features: NDArray[np.floating] | None,
    item_keys: ArrayLike | None,
    workers: int,
) -> NDArray[np.str_]:
    """Return the items' keys, or say what does not fit."""
    repeated = [name for name, count in Counter(lf.name for lf in lfs).items() if count > 1]
    if repeated or any(not lf.name for lf in lfs):
        raise LabelingError(
            f"every LF needs a name of its own, but {repeated or 'one'} "
            f"{'came more than once' if repeated else 'has none'}; give name="
        )
    homeless = [
        lf.name for lf in lfs if lf.origin is None and not isinstance(lf, PrototypeFunction)
    ]
    if workers > 0 and homeless:
        raise LabelingError(
            f"workers load LFs from their files, but {', '.join(homeless)} came from none; "
            "save them in lfs/ and use load_folder, or pass workers=0 (no time limit)"
        )
    if "item_id" not in table or not table.columns.is_unique or not table["item_id"].is_unique:
        raise DataError(
            "the items need a column item_id of unique values, and no column twice, but came with "
            f"{', '.join(map(str, table.columns))}; ingest writes such a table"
        )
    if features is not None and (features.ndim != 2 or len(features) != len(table)):
        raise DataError(
            f"features must have shape ({len(table)}, d), one row per item, but came with "
            f"{features.shape}; embed the same items"
        )
    keys = np.asarray(table["item_id"] if item_keys is None else item_keys).astype(str)
    if keys.shape != (len(table),):
        raise DataError(
            f"item_keys must hold {len(table)} texts, one per item, but came with shape "
            f"{keys.shape}; pass one digest per row"
        )
    return keys


def _run(
    tasks: list[Task],
    columns: list[_Column],
    table: pd.DataFrame,
    ballot: Ballot,
    time_limit_s: float,
    workers: int,
) -> Generator[tuple[Task, Outcome], None, None]:
    """Return an iterator over (task, outcome), from child processes or from this one."""
    needed: dict[int, NDArray[np.int64]] = {}
    for task in tasks:
        needed[task.shard] = np.union1d(needed.get(task.shard, task.rows), task.rows)

    def shard_table(shard: int) -> pd.DataFrame:
        rows = needed[shard]
        return table.iloc[rows].set_axis(rows, axis="index")

    if workers == 0:
        return _run_here(tasks, columns, shard_table, ballot)
    return run_tasks(
        tasks,
        [column.lf for column in columns],
        shard_table,
        ballot,
        time_limit_s=time_limit_s,
        workers=workers,
        should_skip=lambda task: columns[task.lf_index].overstayed_shards >= MAX_OVERSTAYS,
    )


def _run_here(
    tasks: list[Task],
    columns: list[_Column],
    shard_table: Callable[[int], pd.DataFrame],
    ballot: Ballot,
) -> Generator[tuple[Task, Outcome], None, None]:
    current = -1
    for task in tasks:
        if task.shard != current:
            rows = shard_table(task.shard)
            # through Arrow and back, so that LFs see the same types as in a worker
            current, positions, shard = task.shard, rows.index, decode_table(encode_table(rows))
        lf = columns[task.lf_index].lf
        assert isinstance(lf, RowFunction)
        part = shard.iloc[np.searchsorted(positions, task.rows)].reset_index(drop=True)
        yield task, lf.run(part, ballot)


def _take(column: _Column, task: Task, outcome: Outcome) -> None:
    """Enter what came back from a task; cache it unless it depends on the clock or the shard."""
    if isinstance(outcome, Overstayed):
        column.overstayed_shards += 1
        column.overstayed_rows += len(task.rows)
    elif isinstance(outcome, WorkerDied):
        problem = Problem("raised", f"the worker process {outcome.reason}")
        column.rows.fail(task.rows, problem)
    else:
        column.rows.put(task.rows, outcome)
        if column.cache is not None and column.keys is not None and outcome.is_row_wise:
            column.cache.store(column.keys[task.rows], outcome)


def _report(column: _Column, time_limit_s: float) -> LFReport:
    lf, rows = column.lf, column.rows
    first_traceback = None
    counts: list[tuple[Problem, int]] = []
    for place, problem in enumerate(rows.problems, start=1):
        counts.append((problem, int((rows.trouble == place).sum())))
    raised = [place for place, p in enumerate(rows.problems, start=1) if p.kind == "raised"]
    guilty = np.flatnonzero(np.isin(rows.trouble, raised))
    if len(guilty):
        first_traceback = rows.problems[rows.trouble[guilty[0]] - 1].text
    n_votes = int((rows.votes != ABSTAIN).sum())
    sentences = []
    if column.overstayed_shards:
        sentences.append(
            f"ran longer than {time_limit_s:g} s on {column.overstayed_shards} shards, "
            f"so it abstains on {column.overstayed_rows} rows"
        )
    if len(guilty):
        sentences.append(f"raised on {len(guilty)} rows")
    for problem, count in sorted(counts, key=lambda pair: (-pair[1], pair[0].text)):
        if problem.kind == "unknown" and count:
            answer, _, hint = problem.text.partition("; ")
            sentences.append(
                f"returned unknown class {answer} {count} times" + (f" ({hint})" if hint else "")
            )
        elif problem.kind != "raised" and count:
            sentences.append(problem.text)
    if not n_votes and len(rows.votes):
        sentences.append("never votes")
    return LFReport(
        name=lf.name,
        description=lf.description,
        author=lf.author,
        tags=lf.tags,
        digest=lf.digest,
        columns=lf.columns,
        n_votes=n_votes,
        n_errors=int((rows.trouble > 0).sum()),
        first_traceback=first_traceback,
        timed_out_shards=column.overstayed_shards,
        timed_out_rows=column.overstayed_rows,
        note="; ".join(sentences),
    )

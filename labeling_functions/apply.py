"""Applying LFs to a table of items: one column of votes each, errors isolated, nothing run twice.

Try it::

    result = apply_lfs(load_folder(Path("lfs")), items, classes=("bag", "boot"))
    result.votes, result.reports
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.dataset as ds
from numpy.typing import ArrayLike, NDArray

from labeling_functions.ballot import Ballot, Problem
from labeling_functions.direct import Column
from labeling_functions.functions import LabelingFunction, RowFunction
from labeling_functions.limit import Overstayed
from labeling_functions.shards import Items, open_items
from labeling_functions.stream import VoteStream, run_here
from labeling_functions.templates import EncodeText, FeatureTemplate
from labeling_functions.workers import Outcome, Task, WorkerDied, run_tasks
from weaklight.contracts import ABSTAIN, ClassSet, Votes
from weaklight.errors import DataError, LabelingError
from weaklight.progress import Progress

__all__ = ["ApplyResult", "LFReport", "apply_lfs"]

TIME_LIMIT_S = 30.0  # in a child process
MAX_OVERSTAYS = 3  # shards on which an LF may run out of time before it is not tried again


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
    is_soft: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the report for a JSON file."""
        return asdict(self)


@dataclass(frozen=True)
class ApplyResult:
    """Votes (n, m) int16 and a report per LF, in the order of the LFs.

    ``soft_votes`` holds, by LF name, the (n, K) float32 probabilities of soft LFs; rows sum to 1,
    a row of NaN says nothing. Their votes are the likeliest classes, where these are likely enough.
    """

    votes: Votes
    reports: list[LFReport]
    soft_votes: dict[str, NDArray[np.float32]]


def apply_lfs(
    lfs: Sequence[LabelingFunction],
    table: pd.DataFrame | Path | ds.Dataset | Items,
    *,
    classes: Sequence[str],
    class_sets: Sequence[ClassSet] = (),
    features: NDArray[np.floating] | None = None,
    encode_text: EncodeText | None = None,
    item_keys: ArrayLike | str | None = None,
    cache_dir: Path | None = None,
    time_limit_s: float | None = None,
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
        n rows with ``item_id`` (unique text) and the columns that LFs read: a frame, a Parquet
        file or folder, an Arrow dataset, or ``ParquetItems`` side by side. Of files, only the
        declared columns are read, a shard at a time. Every column may reach the LFs, so it must
        hold no gold.
    features : (n, d) float, in the table's row order
        For prototypes and zero-shot LFs only; they abstain without.
    encode_text
        For zero-shot LFs: maps k texts to (k, d) float in the space of ``features``.
    item_keys : (n,) str, or the name of a column
        Content digest of each item, part of the key under which its votes are cached, with the
        values of the columns that the LF reads; the item's id by default.
    cache_dir
        Where votes are kept; None keeps none. Votes of code are found again item by item, those of
        templates by whole shards, whose columns are digested.
    time_limit_s
        Longest run of one LF on one shard, by the clock on the wall. An LF that overstays abstains
        there and is not cached; after ``MAX_OVERSTAYS`` such shards it is not tried again in this
        call. None: ``TIME_LIMIT_S`` in child processes, and no limit in this one.
    workers
        Number of child processes for LFs that are code, and for regular expressions on the texts
        that only ``re`` can judge; none is started where there are none. 0 runs all LFs in this
        process: for notebooks, tests and LFs that were not loaded from a folder. A time limit then
        stops what an alarm signal can interrupt.
    shard_rows
        Rows per task. Memory beyond votes and table is bounded by it.
    progress
        Called from this thread as ``progress(done, total, message)``, once for each LF and shard
        that is not cached.

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
    items = open_items(table)
    _check_lfs(lfs, workers)
    _check_items(items, features, item_keys)
    votes = np.full((items.n_rows, len(lfs)), ABSTAIN, np.int16, order="F")
    columns = [Column.over(lf, votes[:, index], ballot) for index, lf in enumerate(lfs)]
    for column in columns:
        if isinstance(column.lf, FeatureTemplate):
            ids = items.values("item_id").tolist()
            voted = column.lf.run(ids, features, ballot, encode_text=encode_text)
            column.rows.put(slice(None), voted)
    stream = VoteStream(columns, items, ballot, item_keys, cache_dir, shard_rows, progress)
    if time_limit_s is None:
        time_limit_s = TIME_LIMIT_S if workers else math.inf

    def should_skip(task: Task) -> bool:
        return columns[task.lf_index].overstayed_shards >= MAX_OVERSTAYS

    if workers == 0:
        outcomes = run_here(
            stream.tasks(), lfs, ballot, time_limit_s=time_limit_s, should_skip=should_skip
        )
    else:
        outcomes = run_tasks(
            stream.tasks(),
            lfs,
            ballot,
            time_limit_s=time_limit_s,
            workers=workers,
            should_skip=should_skip,
        )
    with closing(outcomes):
        for task, outcome in outcomes:
            _take(columns[task.lf_index], task, outcome)
            stream.count(columns[task.lf_index].lf.name)
    stream.save()
    return ApplyResult(
        votes=np.ascontiguousarray(votes),
        reports=[_report(column, time_limit_s) for column in columns],
        soft_votes={c.lf.name: c.rows.soft for c in columns if c.rows.soft is not None},
    )


def _check_lfs(lfs: Sequence[LabelingFunction], workers: int) -> None:
    repeated = [name for name, count in Counter(lf.name for lf in lfs).items() if count > 1]
    if repeated or any(not lf.name for lf in lfs):
        raise LabelingError(
            f"every LF needs a name of its own, but {repeated or 'one'} "
            f"{'came more than once' if repeated else 'has none'}; give name="
        )
    homeless = [
        lf.name
        for lf in lfs
        if lf.origin is None and isinstance(lf, RowFunction) and not lf.is_direct
    ]
    if workers > 0 and homeless:
        raise LabelingError(
            f"workers load LFs from their files, but {', '.join(homeless)} came from none; "
            "save them in lfs/ and use load_folder, or pass workers=0"
        )


def _check_items(
    items: Items, features: NDArray[np.floating] | None, item_keys: ArrayLike | str | None
) -> None:
    names = items.columns
    if (
        "item_id" not in names
        or len(set(names)) < len(names)
        or not items.values("item_id").is_unique
    ):
        raise DataError(
            "the items need a column item_id of unique values, and no column twice, but came with "
            f"{', '.join(names)}; ingest writes such a table"
        )
    if features is not None and (features.ndim != 2 or len(features) != items.n_rows):
        raise DataError(
            f"features must have shape ({items.n_rows}, d), one row per item, but came with "
            f"{features.shape}; embed the same items"
        )
    if item_keys is None or isinstance(item_keys, str):
        return
    if np.shape(item_keys) != (items.n_rows,):
        raise DataError(
            f"item_keys must hold {items.n_rows} texts, one per item, but came with shape "
            f"{np.shape(item_keys)}; pass one digest per row"
        )


def _take(column: Column, task: Task, outcome: Outcome) -> None:
    """Enter what came back from a task; cache it unless it depends on the clock or the shard."""
    if isinstance(outcome, Overstayed):
        column.overstayed_shards += 1
        column.overstayed_rows += len(task.rows)
        column.overstayed_at = column.overstayed_at or outcome.place
    elif isinstance(outcome, WorkerDied):
        problem = Problem("raised", f"the worker process {outcome.reason}")
        column.rows.fail(task.rows, problem)
    else:
        column.rows.put(task.rows, outcome)
        if column.cache is not None and task.keys is not None and outcome.is_row_wise:
            column.cache.store(task.keys, outcome)


def _report(column: Column, time_limit_s: float) -> LFReport:
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
        n_times = column.overstayed_shards
        sentences.append(
            f"ran longer than {time_limit_s:g} s"
            + (f" on {n_times} shards of items" if n_times > 1 else "")
            + (f" and was stopped at {column.overstayed_at}" if column.overstayed_at else "")
            + f", so it abstains on {column.overstayed_rows:,} items"
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
        is_soft=lf.is_soft,
    )

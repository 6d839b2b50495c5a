"""Running LFs in child processes, so that none can hang, crash or poison the run.

Each worker is a fresh interpreter (``worker.serve``), not a fork: the parent may hold torch's
threads. An LF that overstays its limit is stopped by an alarm in its worker, which says where, or
else by killing the worker, the one way that stops everything. Either way a new worker takes over,
because what was broken off may have left its process in any state.

Try it: ``apply_lfs(load_folder(Path("lfs")), items, classes=classes, time_limit_s=1.0)``.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labeling_functions.ballot import Ballot, RowVotes
from labeling_functions.functions import LabelingFunction
from labeling_functions.limit import Overstayed
from labeling_functions.worker import encode_table
from weaklight.errors import LabelingError

__all__ = ["Task", "WorkerDied", "run_tasks"]

START_LIMIT_S = 120.0  # imports and the LF files, on a busy machine
REPORT_S = 2.0  # beyond the limit, for a worker to say where it stopped an LF
AHEAD = 4  # tasks per worker that are ready before it asks
POLL_S = 0.2  # how soon a worker notices that nobody wants its answer
_BOOT = (
    "import sys; sys.path[:] = {path!r}; from labeling_functions.worker import serve; serve({fd})"
)


@dataclass(frozen=True)
class Part:
    """The rows of one shard that some LF must see; it lives as long as a task needs it."""

    shard: int
    frame: pd.DataFrame

    @cached_property
    def encoded(self) -> bytes:
        """The rows as the workers read them."""
        return encode_table(self.frame)


@dataclass(frozen=True)
class Task:
    """One LF on some rows of one part.

    Attributes
    ----------
    inside : positions in the part's frame, ascending
    rows : the same rows' positions in the whole table
    keys : the rows' keys in the cache, where the LF is cached
    """

    lf_index: int
    part: Part
    inside: NDArray[np.int64]
    rows: NDArray[np.int64]
    keys: NDArray[np.uint64] | None = None


@dataclass(frozen=True)
class WorkerDied:
    """The LF took its process down with it."""

    reason: str


Outcome = RowVotes | Overstayed | WorkerDied


def run_tasks(
    tasks: Iterable[Task],
    lfs: Sequence[LabelingFunction],
    ballot: Ballot,
    *,
    time_limit_s: float,
    workers: int,
    should_skip: Callable[[Task], bool],
) -> Generator[tuple[Task, Outcome], None, None]:
    """Yield each task with its outcome, in order of completion.

    Parameters
    ----------
    tasks
        In the order in which they start; those of one part together, so that a worker gets the
        part once. They are asked for in this thread, a few ahead of the workers.
    should_skip
        Asked before a task starts; a skipped task counts as overstayed.

    Raises
    ------
    LabelingError
        If the workers cannot load the LFs, or the files changed since they were loaded.
    """
    waiting: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[Task, Outcome] | BaseException] = queue.SimpleQueue()
    stop = threading.Event()

    def work() -> None:
        worker = Worker(lfs, ballot, stop)
        try:
            while not stop.is_set() and (task := waiting.get()) is not None:
                if should_skip(task):
                    done.put((task, Overstayed()))
                    continue
                done.put((task, worker.run(task, time_limit_s)))
        except BaseException as error:  # handed to the caller's thread
            done.put(error)
        finally:
            worker.close()

    threads: list[threading.Thread] = []
    coming = iter(tasks)
    n_open = 0
    try:
        while True:
            while n_open < AHEAD * workers and (task := next(coming, None)) is not None:
                waiting.put(task)
                n_open += 1
                if len(threads) < workers:
                    name = f"lf-worker-{len(threads)}"
                    threads.append(threading.Thread(target=work, name=name, daemon=True))
                    threads[-1].start()
            if not n_open:
                return
            result = done.get()
            if isinstance(result, BaseException):
                raise result
            n_open -= 1
            yield result
    finally:
        stop.set()
        for _ in threads:
            waiting.put(None)
        for thread in threads:
            thread.join()


class Worker:
    """One child process, started when needed and again after it was killed.

    Parameters
    ----------
    stop
        Once set, the worker gives up waiting for its process.
    """

    def __init__(
        self, lfs: Sequence[LabelingFunction], ballot: Ballot, stop: threading.Event
    ) -> None:
        self._lfs = lfs
        self._ballot = ballot
        self._stop = stop
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._shard = -1

    def run(self, task: Task, time_limit_s: float) -> Outcome:
        """Run one task; the limit counts from the moment the LF itself starts."""
        try:
            connection = self._connection or self._start()
            lf = self._lfs[task.lf_index]
            assert lf.origin is not None
            request: dict[str, Any] = {
                "folder": str(lf.origin.folder),
                "name": lf.name,
                "digest": lf.digest,
            }
            fresh = self._shard != task.part.shard
            request |= {"table_follows": fresh, "time_limit_s": time_limit_s}
            connection.send_bytes(json.dumps(request).encode())
            if fresh:
                self._shard = task.part.shard
                connection.send_bytes(task.part.encoded)
            connection.send_bytes(task.inside.tobytes())
            if self._receive(START_LIMIT_S) == b"changed":
                raise LabelingError(
                    f"{lf.origin.folder / lf.origin.file} changed while its LFs were running; "
                    "run again to use the new text"
                )
            if self._receive(time_limit_s + REPORT_S) == b"voted":
                return RowVotes.from_bytes(self._receive(START_LIMIT_S))
            place = self._receive(START_LIMIT_S).decode()
            self.close()
            return Overstayed(place)
        except TimeoutError:
            self.close()
            return Overstayed()
        except (EOFError, ConnectionError):
            return WorkerDied(self._reason())

    def close(self) -> None:
        """Stop the process and free its connection."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._connection is not None:
            self._connection.close()
        self._process = self._connection = None
        self._shard = -1

    def _start(self) -> Connection:
        ours, theirs = Pipe()
        boot = _BOOT.format(
            path=[str(Path(entry).resolve()) for entry in sys.path], fd=theirs.fileno()
        )
        # one thread of BLAS a worker and a fixed hash seed: equal votes with any number of workers
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        self._connection = ours
        self._process = subprocess.Popen(
            [sys.executable, "-c", boot],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=2,  # an LF's print must not mix with the parent's output
            env=environment,
            start_new_session=True,  # Ctrl-C is for the parent, which kills its workers
        )
        theirs.close()
        folders: dict[str, list[str]] = {}
        for lf in self._lfs:
            if lf.origin is not None:
                folders.setdefault(str(lf.origin.folder), []).append(lf.name)
        setup = {
            "folders": folders,
            "classes": self._ballot.classes,
            "class_sets": [(s.name, s.members) for s in self._ballot.class_sets],
        }
        try:
            ours.send_bytes(json.dumps(setup).encode())
            answer = json.loads(self._receive(START_LIMIT_S))
        except (EOFError, ConnectionError, TimeoutError):
            reason = self._reason()
            raise LabelingError(
                f"a worker process must load {', '.join(folders)}, but it {reason}; "
                "see the messages above, or try workers=0 to run in this process"
            ) from None
        if "failed" in answer:
            raise LabelingError(answer["failed"])
        return ours

    def _receive(self, limit_s: float) -> bytes:
        assert self._connection is not None
        deadline = time.monotonic() + limit_s
        while not self._connection.poll(min(POLL_S, max(0.0, deadline - time.monotonic()))):
            if self._stop.is_set() or time.monotonic() >= deadline:
                raise TimeoutError
        return self._connection.recv_bytes()

    def _reason(self) -> str:
        """Close the dead process and say how it ended."""
        process = self._process
        try:
            code = process.wait(timeout=5.0) if process is not None else 0
        except subprocess.TimeoutExpired:
            code = 0
        self.close()
        if code < 0:
            return f"was ended by signal {signal.Signals(-code).name}"
        return f"exited with code {code}"

"""The child process that runs LFs: it loads them by path and answers one request at a time.

It speaks length-prefixed bytes over an inherited socket. First a JSON setup, answered by
``{"ready": true}`` or ``{"failed": why}``; then requests, each answered by ``started`` (the
parent's clock begins) and then by ``voted`` and the bytes of a ``RowVotes``, or by ``overstayed``
and the place where the LF was stopped. The parent kills it where not even that comes in time, which
works against any loop, in Python or in C.

Try it: ``workers.Worker`` starts it; there is no other way in.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from labeling_functions.ballot import Ballot
from labeling_functions.functions import LabelingFunction, RowFunction
from labeling_functions.limit import Overstayed, run_within
from labeling_functions.load import load_readable, raise_broken
from labeling_functions.shards import to_arrow
from weaklight.contracts import ClassSet
from weaklight.errors import LabelingError

__all__ = ["decode_table", "encode_table", "serve"]

PR_SET_PDEATHSIG = 1  # prctl(2)


def encode_table(table: pd.DataFrame) -> bytes:
    """Return the table as an Arrow stream."""
    arrow = to_arrow(table)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, arrow.schema) as writer:
        writer.write_table(arrow)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def decode_table(data: bytes) -> pd.DataFrame:
    """Return what ``encode_table`` wrote, rows numbered from 0."""
    table: pd.DataFrame = pa.ipc.open_stream(data).read_pandas()
    return table


def serve(handle: int) -> None:
    """Answer requests until the parent closes the connection or dies."""
    _die_with_parent()
    connection = Connection(handle)
    try:
        setup = json.loads(connection.recv_bytes())
        ballot = Ballot(
            tuple(setup["classes"]),
            tuple(ClassSet(name, tuple(members)) for name, members in setup["class_sets"]),
        )
        try:
            lfs = {
                (folder, lf.name): lf
                for folder, names in setup["folders"].items()
                for lf in _load_rows(folder, names)
            }
        except LabelingError as error:
            connection.send_bytes(json.dumps({"failed": str(error)}).encode())
            return
        connection.send_bytes(json.dumps({"ready": True}).encode())
        table = pd.DataFrame()
        while True:
            request = json.loads(connection.recv_bytes())
            if request["table_follows"]:
                table = decode_table(connection.recv_bytes())
            rows = np.frombuffer(connection.recv_bytes(), np.int64)
            lf = lfs.get((request["folder"], request["name"]))
            if lf is None or lf.digest != request["digest"]:
                connection.send_bytes(b"changed")
                continue
            part = table if len(rows) == len(table) else table.iloc[rows].reset_index(drop=True)
            connection.send_bytes(b"started")
            assert isinstance(lf, RowFunction)
            outcome = run_within(request["time_limit_s"], lf, part, ballot)
            if isinstance(outcome, Overstayed):
                connection.send_bytes(b"overstayed")
                connection.send_bytes(outcome.place.encode())
            else:
                connection.send_bytes(b"voted")
                connection.send_bytes(outcome.to_bytes())
    except (EOFError, ConnectionError):
        return


def _load_rows(folder: str, needed: list[str]) -> list[LabelingFunction]:
    lfs, broken = load_readable(Path(folder))
    if not {lf.name for lf in lfs}.issuperset(needed):
        raise_broken(broken)
    return [lf for lf in lfs if isinstance(lf, RowFunction)]


def _die_with_parent() -> None:
    """Ask Linux to kill us with the parent; elsewhere the closed connection ends us."""
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

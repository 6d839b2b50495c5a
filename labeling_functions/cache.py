"""Votes that need not be cast again: per LF, per item, in immutable files.

``<folder>/<lf key>/<digest>.votes`` maps row keys to votes and to what went wrong: the number of
rows (8 bytes), their keys (16 bytes each), and the npz bytes of a ``RowVotes``. A file is written
aside, flushed and renamed, so a kill leaves it whole or absent; a damaged file is ignored and its
rows are voted on again.

Try it: run ``apply_lfs(..., cache_dir=Path("cache"))`` twice; the second call starts no worker.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labeling_functions.ballot import Ballot, RowVotes
from labeling_functions.functions import LabelingFunction
from weaklight.errors import StorageError

__all__ = ["VoteCache", "row_keys"]

MAX_CHUNKS = 32  # beyond it an LF's files are merged into one
STALE_S = 3600.0  # a temporary file this old belongs to a killed run

_logger = logging.getLogger(__name__)
RowKeys = NDArray[np.uint64]


def row_keys(
    table: pd.DataFrame, columns: Sequence[str] | None, item_keys: NDArray[np.str_]
) -> RowKeys:
    """Return a 128-bit key per row from the item's key and the values that an LF reads.

    Parameters
    ----------
    table
        n rows.
    columns
        The columns that count; None means all.
    item_keys : (n,) str
        Content digest or id of each item.

    Returns
    -------
    (n, 2) uint64
    """
    read = table if columns is None else table.reindex(columns=list(columns))
    values = np.zeros(len(table), np.uint64)
    for name in read.columns:
        column = read[name]
        try:
            hashed = pd.util.hash_pandas_object(column, index=False, categorize=True)
        except TypeError:  # lists and arrays do not hash; their full text does
            text = column.map(lambda value: repr(getattr(value, "tolist", lambda v=value: v)()))
            hashed = pd.util.hash_pandas_object(text, index=False)
        salt = np.uint64(int.from_bytes(hashlib.sha256(str(name).encode()).digest()[:8], "big"))
        values = values * np.uint64(0x9E3779B97F4A7C15) + (hashed.to_numpy() ^ salt)
        values ^= values >> np.uint64(29)
    items = pd.util.hash_array(np.asarray(item_keys, dtype=object), categorize=False)
    return np.stack([items ^ values, items], axis=1)


class VoteCache:
    """The stored votes of one LF.

    Parameters
    ----------
    root
        Folder of all LFs' votes.
    lf
        Its digest and the ballot name the folder, with the names and types of its columns.
    """

    def __init__(
        self, root: Path, lf: LabelingFunction, ballot: Ballot, table: pd.DataFrame
    ) -> None:
        read = table if lf.columns is None else table.reindex(columns=list(lf.columns))
        identity = {
            "lf": lf.digest,
            "classes": ballot.classes,
            "class_sets": [(s.name, s.members) for s in ballot.class_sets],
            "columns": [(str(name), str(dtype)) for name, dtype in read.dtypes.items()],
        }
        key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:24]
        self.folder = Path(root) / key

    def look_up(self, keys: RowKeys) -> tuple[RowVotes, NDArray[np.bool_]]:
        """Return the known votes of the rows, and which rows are known.

        O((n + c) log c) for n rows and c cached votes.
        """
        known = RowVotes.abstaining(len(keys))
        chunks = self._read_all()
        is_known = np.zeros(len(keys), bool)
        if not chunks or not len(keys):
            return known, is_known
        stored_keys, stored = _merge(chunks)
        order = np.argsort(stored_keys[:, 0], kind="stable")
        place = np.searchsorted(stored_keys[:, 0], keys[:, 0], sorter=order)
        rows = order[np.minimum(place, len(order) - 1)]
        is_known = (stored_keys[rows] == keys).all(axis=1)
        hits = rows[is_known]
        part = RowVotes(stored.votes[hits], stored.trouble[hits], stored.problems)
        known.put(np.flatnonzero(is_known), part)
        if len(chunks) > MAX_CHUNKS:
            self.store(stored_keys, stored)
            for path, *_ in chunks:
                path.unlink(missing_ok=True)
        return known, is_known

    def store(self, keys: RowKeys, votes: RowVotes) -> None:
        """Keep the votes of some rows.

        Raises
        ------
        StorageError
            If the disk is full or cannot be written.
        """
        try:
            self._write(keys, votes)
        except OSError as error:
            raise StorageError(
                f"votes must be cached in {self.folder}, but writing failed ({error}); "
                "free some space or make the folder writable, then run again"
            ) from error

    def _write(self, keys: RowKeys, votes: RowVotes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        data = keys.tobytes() + votes.to_bytes()
        name = hashlib.sha256(data).hexdigest()[:24]
        temporary = self.folder / f".{name}.{os.getpid()}.tmp"
        with open(temporary, "wb") as file:
            file.write(len(keys).to_bytes(8, "little") + data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.folder / f"{name}.votes")
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _read_all(self) -> list[tuple[Path, RowKeys, RowVotes]]:
        chunks = []
        for path in sorted(self.folder.glob("*.votes")):
            try:
                data = path.read_bytes()
                start = 8 + 16 * int.from_bytes(data[:8], "little")
                keys = np.frombuffer(data[8:start], np.uint64).reshape(-1, 2)
                chunk = RowVotes.from_bytes(data[start:])
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
                _logger.warning("ignoring the damaged vote cache file %s (%s)", path, error)
                continue
            if len(keys) == len(chunk.votes):
                chunks.append((path, keys, chunk))
        for path in self.folder.glob(".*.tmp"):
            try:
                if time.time() - path.stat().st_mtime > STALE_S:
                    path.unlink()
            except OSError:  # another process took it
                continue
        return chunks


def _merge(chunks: list[tuple[Path, RowKeys, RowVotes]]) -> tuple[RowKeys, RowVotes]:
    keys = np.concatenate([keys for _, keys, _ in chunks])
    merged = RowVotes.abstaining(len(keys))
    start = 0
    for _, chunk_keys, chunk in chunks:
        merged.put(slice(start, start + len(chunk_keys)), chunk)
        start += len(chunk_keys)
    return keys, merged

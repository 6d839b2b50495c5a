"""Votes that need not be cast again: per LF and shard, found again by item, in immutable files.

``<folder>/<lf key>/<digest of the keys>.votes`` maps row keys to votes and to what went wrong: the
number of rows (8 bytes), their keys (16 bytes each), and the npz bytes of a ``RowVotes``. A shard
that did not change is found by its name; one that did, row by row among all stored keys. A file is
written aside and renamed, so a kill leaves it whole or absent. A file that a power cut damaged
fails its checksum; it is ignored and its rows are voted on again.

Try it: run ``apply_lfs(..., cache_dir=Path("cache"))`` twice; the second call starts no worker.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from labeling_functions.ballot import Ballot, RowVotes
from labeling_functions.functions import LabelingFunction
from weaklight.errors import StorageError

__all__ = ["VoteCache", "disk_errors_named", "lf_key", "row_keys"]

SMALL_CHUNK_ROWS = 4096
MAX_SMALL_CHUNKS = 32  # beyond it an LF's small files are merged into one
STALE_S = 3600.0  # a temporary file this old belongs to a killed run

_logger = logging.getLogger(__name__)
RowKeys = NDArray[np.uint64]


def row_keys(table: pd.DataFrame, columns: Sequence[str] | None, item_keys: ArrayLike) -> RowKeys:
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


def lf_key(lf: LabelingFunction, ballot: Ballot, dtypes: Mapping[str, str]) -> str:
    """Return the name of the folder that holds what one LF said of columns of these types."""
    names = dtypes if lf.columns is None else lf.columns
    identity = {
        "lf": lf.digest,
        "classes": ballot.classes,
        "class_sets": [(s.name, s.members) for s in ballot.class_sets],
        "columns": [(name, dtypes.get(name, "object")) for name in names],
    }
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:24]


@contextmanager
def disk_errors_named(folder: Path) -> Iterator[None]:
    """Say which folder could not be written.

    Raises
    ------
    StorageError
        If the disk is full or cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"votes must be cached in {folder}, but writing failed ({error}); "
            "free some space or make the folder writable, then run again"
        ) from error


class VoteCache:
    """The stored votes of one LF.

    Parameters
    ----------
    root
        Folder of all LFs' votes.
    lf
        Its digest and the ballot name the folder, with the names and types of its columns.
    dtypes
        Type of each column that the items have.
    """

    def __init__(
        self, root: Path, lf: LabelingFunction, ballot: Ballot, dtypes: Mapping[str, str]
    ) -> None:
        self.folder = Path(root) / lf_key(lf, ballot, dtypes)
        self._n_classes = len(ballot.classes) if lf.is_soft else None
        self._sweep()

    def look_up(self, keys: RowKeys) -> tuple[RowVotes, NDArray[np.bool_]]:
        """Return the known votes of the rows, and which rows are known.

        O(n) where the same n rows were stored together; else O((n + c) log c) for c cached votes,
        of which the first such call reads all.
        """
        together = self._read(self._path(keys))
        if together is not None and np.array_equal(together[0], keys):
            return together[1], np.ones(len(keys), bool)
        known = RowVotes.abstaining(len(keys), self._n_classes)
        stored_keys, stored, order = self._stored
        if not len(stored_keys):
            return known, np.zeros(len(keys), bool)
        place = np.searchsorted(stored_keys[:, 0], keys[:, 0], sorter=order)
        rows = order[np.minimum(place, len(order) - 1)]
        is_known = (stored_keys[rows] == keys).all(axis=1)
        hits = rows[is_known]
        known.put(np.flatnonzero(is_known), stored.take(hits))
        return known, is_known

    def store(self, keys: RowKeys, votes: RowVotes) -> None:
        """Keep the votes of some rows.

        Raises
        ------
        StorageError
            If the disk is full or cannot be written.
        """
        with disk_errors_named(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self._path(keys)
            temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp")
            temporary.write_bytes(
                len(keys).to_bytes(8, "little") + keys.tobytes() + votes.to_bytes()
            )
            os.replace(temporary, path)

    def _path(self, keys: RowKeys) -> Path:
        return self.folder / f"{hashlib.sha256(keys.tobytes()).hexdigest()[:24]}.votes"

    @cached_property
    def _stored(self) -> tuple[RowKeys, RowVotes, NDArray[np.intp]]:
        """All stored rows and the order that sorts their keys; small files become one."""
        paths = sorted(self.folder.glob("*.votes"))
        chunks = [(path, *chunk) for path in paths if (chunk := self._read(path)) is not None]
        small = [chunk for chunk in chunks if len(chunk[1]) < SMALL_CHUNK_ROWS]
        if len(small) > MAX_SMALL_CHUNKS:
            self.store(*self._merge(small))
            for path, *_ in small:
                path.unlink(missing_ok=True)
        keys, votes = self._merge(chunks)
        return keys, votes, np.argsort(keys[:, 0], kind="stable")

    def _read(self, path: Path) -> tuple[RowKeys, RowVotes] | None:
        try:
            data = path.read_bytes()
            start = 8 + 16 * int.from_bytes(data[:8], "little")
            keys = np.frombuffer(data[8:start], np.uint64).reshape(-1, 2)
            votes = RowVotes.from_bytes(data[start:])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            _logger.warning("ignoring the damaged vote cache file %s (%s)", path, error)
            return None
        return (keys, votes) if len(keys) == len(votes.votes) else None

    def _sweep(self) -> None:
        """Remove what killed runs left half written."""
        for path in self.folder.glob(".*.tmp"):
            try:
                if time.time() - path.stat().st_mtime > STALE_S:
                    path.unlink()
            except OSError:  # another process took it
                continue

    def _merge(self, chunks: list[tuple[Path, RowKeys, RowVotes]]) -> tuple[RowKeys, RowVotes]:
        keys = np.concatenate([np.empty((0, 2), np.uint64), *(keys for _, keys, _ in chunks)])
        merged = RowVotes.abstaining(len(keys), self._n_classes)
        start = 0
        for _, chunk_keys, chunk in chunks:
            merged.put(slice(start, start + len(chunk_keys)), chunk)
            start += len(chunk_keys)
        return keys, merged

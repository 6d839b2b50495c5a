"""Votes of templates, kept a shard at a time: one digest of the columns instead of one key a row.

Templates that judge whole columns cost less than a look-up of every row, but more than a digest of
the bytes that they read. ``<folder>/<lf key>/shards.npz`` holds the votes of one LF on the shards
of its last run, under the digest of each shard's columns. It is written aside and renamed; a
damaged file fails its checksum and is ignored.

Try it: run ``apply_lfs(..., cache_dir=Path("cache"))`` twice over keywords; edit one in between.
"""

from __future__ import annotations

import hashlib
import logging
import os
import zipfile
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from labeling_functions.ballot import Ballot
from labeling_functions.cache import disk_errors_named, lf_key
from labeling_functions.functions import LabelingFunction
from weaklight.contracts import Votes

__all__ = ["ShardCache", "columns_digest"]

_logger = logging.getLogger(__name__)


def columns_digest(table: pa.Table, columns: Sequence[str]) -> bytes:
    """Return 16 bytes that stand for the values of some columns of a shard, in row order.

    Notes
    -----
    About a second for a gigabyte. Equal values in another layout, such as with a validity mask
    that hides nothing, may get another digest: then votes are cast again, never mistaken.
    """
    known = [name for name in columns if name in table.column_names]
    digest = hashlib.sha256()
    # taking copies: a slice would bring along the bytes of other rows
    rows = pa.array(np.arange(table.num_rows))
    for batch in table.select(known).take(rows).combine_chunks().to_batches():
        digest.update(str(batch.schema.remove_metadata()).encode())
        digest.update(batch.serialize())
    return digest.digest()[:16]


class ShardCache:
    """The votes of one LF, by shard.

    Parameters
    ----------
    root, lf, ballot, dtypes
        As in `VoteCache`.
    """

    def __init__(
        self, root: Path, lf: LabelingFunction, ballot: Ballot, dtypes: Mapping[str, str]
    ) -> None:
        self._path = Path(root) / lf_key(lf, ballot, dtypes) / "shards.npz"
        self._seen: dict[bytes, Votes] = {}
        self._has_news = False

    def get(self, digest: bytes) -> Votes | None:
        """Return the votes of a shard with these columns, None where unknown."""
        votes = self._stored.get(digest)
        if votes is not None:
            self._seen[digest] = votes
        return votes

    def put(self, digest: bytes, votes: Votes) -> None:
        """Keep the votes (rows,) of a shard until `save`."""
        self._seen[digest] = votes
        self._has_news = True

    def save(self) -> None:
        """Write the shards of this run, if there are new ones.

        Raises
        ------
        StorageError
            If the disk is full or cannot be written.
        """
        if not self._has_news:
            return
        with disk_errors_named(self._path.parent):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._path.with_name(f".shards.{os.getpid()}.tmp")
            with temporary.open("wb") as file:
                np.savez(
                    file,
                    digests=np.frombuffer(b"".join(self._seen), np.uint8).reshape(-1, 16),
                    sizes=np.array([len(votes) for votes in self._seen.values()], np.int64),
                    votes=np.concatenate(list(self._seen.values())),
                )
            os.replace(temporary, self._path)
        self._has_news = False

    @cached_property
    def _stored(self) -> dict[bytes, Votes]:
        try:
            with np.load(self._path, allow_pickle=False) as file:
                digests: NDArray[np.uint8] = file["digests"]
                parts = np.split(file["votes"], np.cumsum(file["sizes"])[:-1])
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            _logger.warning("ignoring the damaged vote cache file %s (%s)", self._path, error)
            return {}
        return {digest.tobytes(): part for digest, part in zip(digests, parts, strict=True)}

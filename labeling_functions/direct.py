"""Templates that need no child process: they vote on whole columns as the shards go by.

Try it: ``apply_lfs``; there is no other way in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from labeling_functions.ballot import Ballot, RowVotes, UnknownVoteError
from labeling_functions.cache import VoteCache
from labeling_functions.functions import LabelingFunction, RowFunction
from labeling_functions.shard_cache import ShardCache, columns_digest
from labeling_functions.shards import Items, Shard
from labeling_functions.templates import TextTemplate
from labeling_functions.templates.groups import TextGroup, as_texts
from weaklight.contracts import ABSTAIN, Votes

__all__ = ["Column", "DirectVoter", "is_direct"]

OPEN = -2  # in a cached shard: what was left to ``re``, which did not come to an end


@dataclass
class Column:
    """The state of one LF while votes come in."""

    lf: LabelingFunction
    rows: RowVotes
    cache: VoteCache | None = None
    overstayed_shards: int = 0
    overstayed_rows: int = 0
    overstayed_at: str = ""

    @classmethod
    def over(cls, lf: LabelingFunction, votes: Votes, ballot: Ballot) -> Column:
        """Return the state that writes into ``votes`` (n,), which abstain so far."""
        rows = RowVotes.abstaining(len(votes), len(ballot.classes) if lf.is_soft else None)
        rows.votes = votes
        return cls(lf, rows)


@dataclass(frozen=True)
class _Group:
    """Text templates of one column: the places of their columns, and what scans for them."""

    column: str
    places: tuple[int, ...]
    text_group: TextGroup


@dataclass(frozen=True)
class _NewShard:
    """Votes to be kept: of which LF, under which digest, where, and what ``re`` had to judge."""

    place: int
    digest: bytes
    span: slice
    left: NDArray[np.int64]


class DirectVoter:
    """Casts the votes that cost little, or finds them in the cache of shards.

    Parameters
    ----------
    columns
        One per LF; votes are entered here.
    places
        Of the LFs that judge rows.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        places: Sequence[int],
        items: Items,
        ballot: Ballot,
        cache_dir: Path | None,
    ) -> None:
        self._columns = columns
        self._known_columns = items.columns
        self._ballot = ballot
        self._values = _vote_values(columns, places, ballot)
        self._direct = [place for place in places if is_direct(columns[place].lf)]
        self._places = sorted({*self._direct, *self._values})
        self._new: list[_NewShard] = []
        self._compiled: dict[tuple[int, ...], TextGroup] = {}
        self._caches = {
            place: ShardCache(cache_dir, columns[place].lf, ballot, items.dtypes)
            for place in self._places
            if cache_dir is not None and columns[place].lf.digest and not columns[place].lf.is_soft
        }

    def vote(self, shard: Shard) -> dict[int, NDArray[np.int64]]:
        """Vote on a shard; return the rows left to a child process by each LF that voted."""
        left, new = self._recall(shard)
        left |= dict.fromkeys(new, np.arange(shard.n_rows))
        for group in self._groups(tuple(place for place in new if place in self._values)):
            left |= self._scan(group, shard)
        for place in self._direct:
            if place in new and len(left[place]):
                self._run(self._columns[place], shard)
                left[place] = np.empty(0, np.int64)
        span = slice(shard.start, shard.start + shard.n_rows)
        for place, digest in new.items():
            if digest is not None:
                self._new.append(_NewShard(place, digest, span, left[place]))
        return left

    def save(self) -> None:
        """Keep the new votes for the next run, once those that were left are in.

        Shards on which something went wrong are not kept: it is to be reported each time.
        """
        for shard in self._new:
            column = self._columns[shard.place]
            if column.rows.trouble[shard.span].any():
                continue
            votes = column.rows.votes[shard.span].copy()
            if column.overstayed_rows:
                votes[shard.left] = OPEN
            self._caches[shard.place].put(shard.digest, votes)
        for cache in self._caches.values():
            cache.save()

    def _recall(self, shard: Shard) -> tuple[dict[int, NDArray[np.int64]], dict[int, bytes | None]]:
        """Enter the votes that are known; return what they leave to ``re``, and the other LFs.

        The others come with the digest under which their votes are to be kept, if they are.
        """
        span = slice(shard.start, shard.start + shard.n_rows)
        digests: dict[tuple[str, ...], bytes] = {}
        left: dict[int, NDArray[np.int64]] = {}
        new: dict[int, bytes | None] = {}
        for place in self._places:
            column, cache = self._columns[place], self._caches.get(place)
            if cache is None:
                new[place] = None
                continue
            names = column.lf.columns or ()
            if names not in digests:
                digests[names] = columns_digest(shard.arrow, names)
            votes = cache.get(digests[names])
            if votes is None:
                new[place] = digests[names]
            else:
                column.rows.votes[span] = np.where(votes == OPEN, ABSTAIN, votes)
                left[place] = np.flatnonzero(votes == OPEN)
        return left, new

    def _groups(self, places: tuple[int, ...]) -> list[_Group]:
        """Put text templates of one column and sort together."""
        members: dict[tuple[str, bool], list[int]] = {}
        for place in places:
            lf = self._columns[place].lf
            assert isinstance(lf, TextTemplate)
            members.setdefault((lf.column, lf.is_literal), []).append(place)
        return [
            _Group(column, tuple(group), self._compile(tuple(group)))
            for (column, _), group in members.items()
        ]

    def _compile(self, places: tuple[int, ...]) -> TextGroup:
        if places not in self._compiled:
            lfs = [self._columns[place].lf for place in places]
            self._compiled[places] = TextGroup([lf for lf in lfs if isinstance(lf, TextTemplate)])
        return self._compiled[places]

    def _scan(self, group: _Group, shard: Shard) -> dict[int, NDArray[np.int64]]:
        """Vote with one group of text templates; return the rows left to ``re``, by LF.

        Nothing is returned where the column does not hold texts: each LF itself says so.
        """
        if group.column not in self._known_columns:
            return {}
        texts = as_texts(shard.arrow.column(group.column))
        if texts is None:
            return {}
        is_hit, is_open = group.text_group.vote(texts)
        left = {}
        for slot, place in enumerate(group.places):
            lf, votes = self._columns[place].lf, self._columns[place].rows.votes
            inside = np.flatnonzero(is_open[:, slot])
            votes[shard.start + np.flatnonzero(is_hit[:, slot])] = self._values[place]
            if isinstance(lf, TextTemplate) and lf.is_direct and len(inside):
                judged = lf.judge(texts.take(pa.array(inside)).to_pylist())
                votes[shard.start + inside[judged]] = self._values[place]
                inside = inside[:0]
            left[place] = inside
        return left

    def _run(self, column: Column, shard: Shard) -> None:
        assert isinstance(column.lf, RowFunction)
        frame = shard.visible(self._known_columns)
        span = slice(shard.start, shard.start + shard.n_rows)
        column.rows.put(span, column.lf.run(frame, self._ballot))


def is_direct(lf: LabelingFunction) -> bool:
    """Tell whether an LF runs in the caller's process on every shard."""
    return isinstance(lf, RowFunction) and lf.is_direct


def _vote_values(
    columns: Sequence[Column], places: Sequence[int], ballot: Ballot
) -> dict[int, int]:
    """Return what each text template votes; one whose vote is unknown must say so itself."""
    values = {}
    for place in places:
        lf = columns[place].lf
        if isinstance(lf, TextTemplate):
            try:
                values[place] = ballot.read(lf.vote)
            except UnknownVoteError:
                continue
    return values

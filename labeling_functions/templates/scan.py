"""Many patterns, one pass over the texts: a ``google-re2`` Set, with ``re`` as the judge.

Try it: ``PatternSet([re.compile("free")]).scan(pyarrow.array(["feel free", None]))``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import re2
from numpy.typing import NDArray

from labeling_functions.templates.translate import translate

__all__ = ["PatternSet", "Scan"]

SET_MEMORY = 1 << 28  # bytes that RE2 may keep of its automaton, grown as texts need it


@dataclass(frozen=True)
class Scan:
    """What one pass found.

    Attributes
    ----------
    found : (n, p) bool
        Pattern p certainly occurs in text n.
    open : (n, p) bool
        It may occur: ``re`` must decide. Never true where ``found`` is.
    """

    found: NDArray[np.bool_]
    open: NDArray[np.bool_]


class PatternSet:
    """Patterns compiled together.

    Parameters
    ----------
    patterns
        As ``re.compile`` made them.
    has_prefilter
        First ask Arrow, in one call over the column, which texts hold any pattern at all. Pays
        where most texts hold none and no pattern repeats a part without bound.

    Notes
    -----
    O(length of all texts) time where RE2's automaton fits ``SET_MEMORY``. Patterns that RE2
    refuses (too large) are open on every text.
    """

    def __init__(self, patterns: Sequence[re.Pattern[str]], *, has_prefilter: bool = False) -> None:
        self._translations = [translate(pattern) for pattern in patterns]
        self._is_exact = np.array([t.is_exact for t in self._translations], bool)
        self._has_prefilter = has_prefilter

    @cached_property
    def _plain(self) -> _Matcher:
        return _Matcher([t.plain for t in self._translations], self._has_prefilter)

    @cached_property
    def _relaxed(self) -> _Matcher:
        return _Matcher([t.relaxed for t in self._translations], self._has_prefilter)

    def scan(self, texts: pa.Array) -> Scan:
        """Look for every pattern in ``texts`` (n, string or large_string); a null holds none."""
        shape = (len(texts), len(self._translations))
        is_plain = pc.and_(pc.string_is_ascii(texts), pc.invert(pc.ends_with(texts, "\n")))
        is_plain = pc.fill_null(pc.and_(is_plain, pc.greater(pc.binary_length(texts), 0)), False)
        plain_rows = np.flatnonzero(is_plain.to_numpy(zero_copy_only=False))
        is_other = pc.and_(pc.invert(is_plain), pc.is_valid(texts))
        other_rows = np.flatnonzero(is_other.to_numpy(zero_copy_only=False))
        found, open_ = np.zeros(shape, bool), np.zeros(shape, bool)
        if len(plain_rows):
            rows, hits = self._plain.match(texts, plain_rows)
            is_sure = self._is_exact[hits] & ~self._plain.is_refused[hits]
            found[rows[is_sure], hits[is_sure]] = True
            open_[rows[~is_sure], hits[~is_sure]] = True
        if len(other_rows):
            rows, hits = self._relaxed.match(texts, other_rows)
            open_[rows, hits] = True
        return Scan(found, open_)


class _Matcher:
    """One RE2 Set over those patterns that RE2 takes."""

    def __init__(self, patterns: Sequence[str], has_prefilter: bool) -> None:
        options = re2.Options()
        options.max_mem = SET_MEMORY
        options.log_errors = False
        self._set = re2.Set.SearchSet(options)
        self.is_refused = np.zeros(len(patterns), bool)
        taken = []
        for place, pattern in enumerate(patterns):
            try:
                self._set.Add(pattern)
                taken.append(pattern)
            except re2.error:  # too large
                self.is_refused[place] = True
        if taken:
            try:
                self._set.Compile()
            except re2.error:  # too large together
                self.is_refused[:] = True
        self._places = np.flatnonzero(~self.is_refused)
        union = "|".join(f"(?:{pattern})" for pattern in taken)
        self._union = union if has_prefilter and _arrow_takes(union) else None

    def match(
        self, texts: pa.Array, rows: NDArray[np.intp]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return (row, pattern) of every hit among ``rows``; refused patterns hit everywhere."""
        refused = np.flatnonzero(self.is_refused)
        all_rows = np.repeat(rows, len(refused))
        all_hits = np.tile(refused, len(rows))
        if len(self._places):
            if self._union is not None:
                is_hit = pc.match_substring_regex(texts.take(pa.array(rows)), self._union)
                rows = rows[is_hit.to_numpy(zero_copy_only=False)]
            data = texts.take(pa.array(rows)).cast(_binary(texts.type)).to_pylist()
            matches: list[Iterable[int]] = [self._set.Match(text) or () for text in data]
            counts = np.fromiter(map(len, matches), np.intp, len(matches))  # type: ignore[arg-type]
            hits = np.fromiter(chain.from_iterable(matches), np.intp, int(counts.sum()))
            all_rows = np.concatenate([all_rows, np.repeat(rows, counts)])
            all_hits = np.concatenate([all_hits, self._places[hits]])
        return all_rows, all_hits


def _arrow_takes(pattern: str) -> bool:
    """Tell whether the pattern fits the memory that Arrow gives RE2."""
    try:
        pc.match_substring_regex(pa.array([""]), pattern)
    except pa.ArrowInvalid:
        return False
    return True


def _binary(kind: pa.DataType) -> pa.DataType:
    return pa.large_binary() if pa.types.is_large_string(kind) else pa.binary()

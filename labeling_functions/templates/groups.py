"""Text templates of one column, voting together in one pass.

Try it: ``TextGroup([keywords("text", ["free"], vote="spam")]).vote(pyarrow.array(["free"]))``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from labeling_functions.templates.scan import PatternSet
from labeling_functions.templates.text import TextTemplate

__all__ = ["TextGroup", "as_texts"]

# Arrow gives RE2 8 MB. WRENCH's SMS rules (repeats within repeats) outgrow it: asking first costs a
# text 0.6 us for 8 of them and 3 us for 32, where the set itself takes 1.3 us.
FEW_PATTERNS = 8


class TextGroup:
    """Templates of one column and of one sort: words, or patterns that may repeat."""

    def __init__(self, lfs: Sequence[TextTemplate]) -> None:
        counts = [len(lf.patterns) for lf in lfs]
        self._starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        self._needed = np.array([lf.n_needed for lf in lfs])
        patterns = [pattern for lf in lfs for pattern in lf.patterns]
        has_prefilter = all(lf.is_literal for lf in lfs) or len(patterns) <= FEW_PATTERNS
        self._set = PatternSet(patterns, has_prefilter=has_prefilter)

    def vote(self, texts: pa.Array) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return, both (n, lfs) bool, where each LF votes and where ``re`` must decide."""
        scan = self._set.scan(texts)
        if (self._needed == 1).all() and len(self._needed) == scan.found.shape[1]:
            return scan.found, scan.open  # one pattern an LF: nothing to count
        n_found = np.add.reduceat(scan.found, self._starts, axis=1, dtype=np.int32)
        n_open = np.add.reduceat(scan.open, self._starts, axis=1, dtype=np.int32)
        is_hit = n_found >= self._needed
        return is_hit, ~is_hit & (n_found + n_open >= self._needed)


def as_texts(column: pa.ChunkedArray) -> pa.Array | None:
    """Return a column of texts as one array; None if it holds something else."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_null(kind) or pa.types.is_string_view(kind):
        kind = pa.string()
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return None
    texts = pc.cast(column, kind)
    return texts.combine_chunks() if texts.num_chunks != 1 else texts.chunk(0)

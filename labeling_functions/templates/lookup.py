"""LFs from lists of known values: gazetteers, and known pairs for distant supervision.

Try it: ``lookup(["person1", "person2"], [["Ann", "Bob"]], vote="spouse")``.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from itertools import permutations
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labeling_functions.templates.base import MaskTemplate, listing, text_of
from labeling_functions.templates.resources import existing, read_rows

__all__ = ["Lookup"]

MAX_CELLS = 1 << 24  # of one matrix of scores

Key = tuple[str, ...]


@dataclass(frozen=True)
class Lookup(MaskTemplate):
    """Vote where the cells of one or more columns stand in a list.

    With two or more columns this is distant supervision (Mintz et al. 2009): a known couple
    mentioned in a sentence is taken as evidence of marriage.

    Parameters
    ----------
    column
        The column, or several of them.
    entries
        The list: texts for one column, rows of as many texts as there are columns for several.
    file
        A list beside the LF's own file, one entry a line; several cells separated by commas (by
        tabs in a ``.tsv``), no header; instead of, or on top of, ``entries``.
    vote
        Class, class set or id.
    in_any_order
        The cells of a row may come in any order: Bob and Ann are Ann and Bob.
    match_case
        Tell capitals from small letters. Runs of blanks count as one in either case.
    fuzzy
        Lowest accepted similarity, 0 to 100, of each cell to its entry (rapidfuzz ``ratio``, 100
        for equal); None asks for equality. 90 forgives a letter in ten.

    Notes
    -----
    Exact: O(n). Fuzzy: O(distinct rows x entries), each comparison in the length of the texts.
    """

    kind: ClassVar[str] = "lookup"

    column: str | tuple[str, ...]
    entries: tuple[str | tuple[str, ...], ...] = ()
    _: KW_ONLY
    file: Path | None = None
    in_any_order: bool = False
    match_case: bool = False
    fuzzy: float | None = None

    @property
    def is_direct(self) -> bool:  # type: ignore[override]
        """Fuzzy look-ups cost more than a cache."""
        return self.fuzzy is None

    def check(self) -> None:
        """Refuse an empty list, ragged rows and impossible similarities."""
        if not self.entries and self.file is None:
            self.refuse("entries", "must hold at least one; write entries = [...] or file = ...")
        width = len(self.read_columns())
        for place, entry in enumerate(self.entries):
            came = 1 if isinstance(entry, str) else len(entry)
            if came != width:
                self.refuse(f"entries[{place}]", f"must hold {width} texts, but holds {came}")
        if self.fuzzy is not None and not 0 < self.fuzzy <= 100:
            self.refuse("fuzzy", f"must lie above 0 and at most at 100, but is {self.fuzzy:g}")
        if self.in_any_order and width == 1:
            self.refuse("in_any_order", "needs two or more columns, but there is one")

    def read_columns(self) -> tuple[str, ...]:
        """Return the columns."""
        return (self.column,) if isinstance(self.column, str) else self.column

    def sentence(self) -> str:
        """Say it in words."""
        columns = listing(self.read_columns(), "and")
        if self.file is not None:
            what = f"a line of {self.file.name}"
        else:
            what = listing([e if isinstance(e, str) else " + ".join(e) for e in self.entries])
        order = " in any order" if self.in_any_order else ""
        verb = "is" if self.fuzzy is None else "is about"
        return f"Votes {self.vote} where {columns} {verb} {what}{order}."

    def resource(self) -> Path | None:
        """Return the list."""
        return self.file

    def beside(self, folder: Path) -> Self:
        """Return the LF with its list found."""
        lf = existing(self, folder)
        if not lf._known:
            self.refuse("file", f"must hold entries, but {lf.file} holds none")
        return lf

    @cached_property
    def _known(self) -> list[Key]:
        """All entries as they are compared, each once, in every order that counts."""
        width = len(self.read_columns())
        rows = [(entry,) if isinstance(entry, str) else entry for entry in self.entries]
        rows += read_rows(self.file, width) if self.file else []
        keys = [tuple(self._plain(cell) for cell in row) for row in rows]
        if self.in_any_order:
            keys = [order for key in keys for order in permutations(key)]
        return list(dict.fromkeys(keys))

    def hits(self, table: pd.DataFrame) -> NDArray[np.bool_]:
        """Compare each distinct row once; a row with a missing cell is no hit."""
        columns = [text_of(table, column) for column in self.read_columns()]
        is_full = table[list(self.read_columns())].notna().all(axis=1).to_numpy()
        if len(columns) == 1:
            codes, cells = pd.factorize(columns[0][is_full])
            distinct = [(cell,) for cell in cells]
        else:
            rows = pd.Series(zip(*columns, strict=True), index=table.index, dtype=object)
            codes, found = pd.factorize(rows[is_full])
            distinct = list(found)
        keys = [tuple(self._plain(cell) for cell in row) for row in distinct]
        if self.fuzzy is None:
            known = set(self._known)
            is_known = np.array([key in known for key in keys], bool)
        else:
            is_known = self._alike(keys)
        out = np.zeros(len(table), bool)
        out[is_full] = is_known[codes]
        return out

    def _alike(self, keys: list[Key]) -> NDArray[np.bool_]:
        from rapidfuzz import fuzz, process

        out = np.zeros(len(keys), bool)
        step = max(1, MAX_CELLS // len(self._known))
        for start in range(0, len(keys), step):
            part = keys[start : start + step]
            worst = None
            for cells, entries in zip(
                zip(*part, strict=True), zip(*self._known, strict=True), strict=True
            ):
                scores = process.cdist(cells, entries, scorer=fuzz.ratio, dtype=np.float32)
                worst = scores if worst is None else np.minimum(worst, scores)
            assert worst is not None and self.fuzzy is not None
            out[start : start + step] = (worst >= self.fuzzy).any(axis=1)
        return out

    def _plain(self, cell: str) -> str:
        text = " ".join(cell.split())
        return text if self.match_case else text.casefold()

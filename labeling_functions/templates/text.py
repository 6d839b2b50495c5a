"""LFs over one column of text: keywords and regular expressions.

All of one column are scanned together (``scan.PatternSet``); what RE2 cannot settle is judged by
``re``, whose answer always counts.

Try it: ``keywords("text", ["free", "winner"], vote="spam")``.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labeling_functions.limit import reach
from labeling_functions.templates.base import MaskTemplate, listing, text_of
from labeling_functions.templates.resources import existing, read_lines

__all__ = ["Keywords", "Regex", "TextTemplate"]


@dataclass(frozen=True, kw_only=True)
class TextTemplate(MaskTemplate):
    """Votes where at least ``n_needed`` of its patterns occur in a text."""

    column: str
    is_literal: ClassVar[bool]  # its patterns repeat nothing without bound

    @property
    @abstractmethod
    def patterns(self) -> tuple[re.Pattern[str], ...]:
        """The patterns to look for."""

    @property
    def n_needed(self) -> int:
        """How many different patterns must occur."""
        return 1

    def read_columns(self) -> tuple[str, ...]:
        """Return the column of text."""
        return (self.column,)

    def hits(self, table: pd.DataFrame) -> NDArray[np.bool_]:
        """Judge by ``re`` alone."""
        return self.judge(text_of(table, self.column).tolist())

    def judge(self, texts: Sequence[object]) -> NDArray[np.bool_]:
        """Return which texts hold enough patterns, text by text; a missing text is no hit."""
        found = np.zeros(len(texts), bool)
        for row, text in enumerate(texts):
            reach(row)
            if isinstance(text, str):
                n_found = sum(pattern.search(text) is not None for pattern in self.patterns)
                found[row] = n_found >= self.n_needed
        return found


@dataclass(frozen=True)
class Keywords(TextTemplate):
    """Vote where a text holds some words.

    Parameters
    ----------
    column
        The column of text.
    words
        Words or phrases; a space in a phrase stands for any run of blanks.
    file
        A text file with one word a line instead of, or on top of, ``words``; lines that start with
        ``#`` are comments. It lies beside the LF's own file.
    vote
        Class, class set or id.
    need
        ``"any"``, ``"all"``, or how many different words must occur.
    match_case
        Tell "US" from "us".
    whole_words
        Letters, digits and ``_`` may not touch the word: "free" is not in "freedom". Switch it off
        for languages that write without blanks.
    """

    kind: ClassVar[str] = "keywords"
    is_literal: ClassVar[bool] = True

    column: str
    words: tuple[str, ...] = ()
    _: KW_ONLY
    file: Path | None = None
    need: Literal["any", "all"] | int = "any"
    match_case: bool = False
    whole_words: bool = True

    def check(self) -> None:
        """Refuse empty lists and impossible counts."""
        if not self.words and self.file is None:
            self.refuse(
                "words", 'must hold at least one word; write words = ["free"] or file = ...'
            )
        if any(not word.strip() for word in self.words):
            self.refuse("words", "holds an empty word; remove it")
        n_most = len(self.words) if self.file is None else np.inf
        if not isinstance(self.need, str) and not 1 <= self.need <= n_most:
            self.refuse("need", f"must lie between 1 and the number of words, but is {self.need}")

    def sentence(self) -> str:
        """Say it in words."""
        words = [f'"{word}"' for word in self.words] + (
            [f"a line of {self.file}"] * bool(self.file)
        )
        if self.need == "any" or self.need == 1:
            return f"Votes {self.vote} where {self.column} holds {listing(words)}."
        count = "all" if self.need == "all" else f"at least {self.need}"
        return f"Votes {self.vote} where {self.column} holds {count} of {listing(words, 'and')}."

    def resource(self) -> Path | None:
        """Return the word list."""
        return self.file

    def beside(self, folder: Path) -> Self:
        """Return the LF with its word list found."""
        lf = existing(self, folder)
        if not lf.all_words:
            self.refuse("file", f"must hold words, but {lf.file} holds none")
        return lf

    @cached_property
    def all_words(self) -> tuple[str, ...]:
        """The words, those of the file included, each once."""
        read = read_lines(self.file) if self.file else ()
        return tuple(dict.fromkeys([*self.words, *read]))

    @cached_property
    def patterns(self) -> tuple[re.Pattern[str], ...]:
        """One pattern for any word, else one a word."""
        flags = 0 if self.match_case else re.IGNORECASE
        sources = [self._source(word) for word in self.all_words]
        if self.n_needed == 1:
            sources = ["|".join(sources)]
        return tuple(re.compile(source, flags) for source in sources)

    @property
    def n_needed(self) -> int:
        """How many patterns must occur."""
        if isinstance(self.need, str):
            return 1 if self.need == "any" else len(self.all_words)
        return self.need

    def _source(self, word: str) -> str:
        source = r"\s+".join(re.escape(part) for part in word.split())
        if not self.whole_words:
            return source
        # a word that ends in "!" is bounded by it: nothing to ask there
        edges = [
            r"\b" if re.match(r"\w", edge) else "" for edge in (word.strip()[0], word.strip()[-1])
        ]
        return edges[0] + source + edges[1]


@dataclass(frozen=True)
class Regex(TextTemplate):
    r"""Vote where a regular expression of Python's ``re`` is found in a text.

    Parameters
    ----------
    column
        The column of text.
    pattern
        For example ``"won \\d+ pounds"``; in TOML write it in single quotes: ``'won \d+ pounds'``.
    vote
        Class, class set or id.
    match_case
        Tell capitals from small letters.
    """

    kind: ClassVar[str] = "regex"
    is_literal: ClassVar[bool] = False
    is_direct: ClassVar[bool] = False  # ``re`` may take for ever over a text that RE2 leaves open

    column: str
    pattern: str
    _: KW_ONLY
    match_case: bool = False

    def check(self) -> None:
        """Refuse what ``re`` does not compile, and a backspace that was meant as a word's edge."""
        if "\b" in self.pattern:
            self.refuse(
                "pattern",
                "must be in single quotes in TOML, or r'...' in Python: between double quotes "
                f"\\b is a backspace, which no text holds: {self.pattern!r:.80}",
            )
        try:
            _ = self.patterns
        except (re.error, OverflowError, RecursionError) as error:
            self.refuse(
                "pattern", f"must be a regular expression, but {error}: {self.pattern!r:.80}"
            )

    def sentence(self) -> str:
        """Say it in words."""
        return f"Votes {self.vote} where {self.column} matches {self.pattern}."

    @cached_property
    def patterns(self) -> tuple[re.Pattern[str], ...]:
        """The pattern, compiled."""
        return (re.compile(self.pattern, 0 if self.match_case else re.IGNORECASE),)

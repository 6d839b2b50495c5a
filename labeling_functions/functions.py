"""Labelling functions as objects, and the decorator that makes them from plain Python.

Try it::

    @labeling_function()
    def two_legs(item):
        \"\"\"Trousers: a gap runs between two legs below the waist.\"\"\"
        if item.leg_gap > 0.3:
            return "trouser"
"""

from __future__ import annotations

import inspect
import re
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from labeling_functions.ballot import Ballot, Problem, RowVotes, UnknownVoteError
from labeling_functions.limit import reach
from labeling_functions.record import items_of, missing_column
from labeling_functions.soft import LIKELY, given_by, given_in_columns, soften
from weaklight.errors import LabelingError

__all__ = [
    "ColumnFunction",
    "ItemFunction",
    "LabelingFunction",
    "Origin",
    "RowFunction",
    "SnorkelFunction",
    "argument_name",
    "first_sentence",
    "labeling_function",
]


@dataclass(frozen=True)
class Origin:
    """Where an LF was loaded from: folder, file name in it, and line."""

    folder: Path
    file: str
    line: int


@dataclass(frozen=True, kw_only=True)
class LabelingFunction:
    """What every LF has: a name, a sentence, its author, and the digest that caches key on.

    ``columns`` is None where the LF may read every column. ``digest`` and ``origin`` are set by
    ``load_folder`` and empty before.
    """

    name: str
    description: str = ""
    author: str = ""
    tags: tuple[str, ...] = ()
    columns: tuple[str, ...] | None = None
    digest: str = ""
    origin: Origin | None = None

    @property
    def is_soft(self) -> bool:
        """Whether it gives probabilities besides votes: the option ``soft``, where it has one."""
        return bool(getattr(self, "soft", False))

    def options(self) -> dict[str, Any]:
        """Return, as plain JSON, the declared options that its votes depend on."""
        return {"kind": type(self).__name__, "columns": self.columns}


@dataclass(frozen=True, kw_only=True)
class RowFunction(LabelingFunction, ABC):
    """An LF whose vote on a row depends on that row of the table alone.

    A direct one costs less than a look-up in the cache and cannot hang: it runs in the caller's
    process, every time. Any other runs in a child process with a time limit, and is cached.
    """

    is_direct: ClassVar[bool] = False

    @abstractmethod
    def run(self, table: pd.DataFrame, ballot: Ballot) -> RowVotes:
        """Vote on every row of ``table``; whatever goes wrong stays inside the result."""


@dataclass(frozen=True, kw_only=True)
class _Written(RowFunction):
    """An LF that is Python code; calling it calls the function as it was written."""

    function: Callable[..., Any]
    vote: str | int | None = None
    resources: Mapping[str, Any] = field(default_factory=dict)
    soft: bool = False
    at_least: float = LIKELY

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs, **self.resources)

    def options(self) -> dict[str, Any]:
        own = {"vote": self.vote, "resources": sorted(self.resources)}
        soft = {"soft": True, "at_least": self.at_least} if self.soft else {}
        return {**super().options(), **own, **soft}

    def _raised(self, error: BaseException) -> Problem:
        return Problem("raised", _user_traceback(error, self.origin))


@dataclass(frozen=True, kw_only=True)
class ItemFunction(_Written):
    """An LF that looks at one item at a time."""

    def run(self, table: pd.DataFrame, ballot: Ballot) -> RowVotes:
        """Vote row by row; an item on which the function raises abstains."""
        votes = RowVotes.abstaining(len(table))
        given = np.full((len(table), len(ballot.names)), np.nan)
        problems: list[tuple[int, Problem]] = []
        for row, item in enumerate(items_of(table)):
            reach(row)
            try:
                if self.soft:
                    given[row] = given_by(self(item), self.vote, ballot)
                else:
                    votes.votes[row] = ballot.choose(self(item), self.vote)
            except UnknownVoteError as unknown:
                problems.append((row, Problem("unknown", str(unknown))))
            except (Exception, SystemExit) as error:
                problems.append((row, self._raised(error)))
        out = soften(given, ballot, self.at_least) if self.soft else votes
        for row, problem in problems:
            out.fail(row, problem)
        return out


@dataclass(frozen=True, kw_only=True)
class SnorkelFunction(_Written):
    """A Snorkel ``LabelingFunction`` as it stands; it sees each row as a pandas Series."""

    def run(self, table: pd.DataFrame, ballot: Ballot) -> RowVotes:
        """Vote row by row as Snorkel's ``PandasLFApplier`` does."""
        out = RowVotes.abstaining(len(table))
        for row, (_, series) in enumerate(table.iterrows()):
            reach(row)
            try:
                out.votes[row] = ballot.read(self(series))
            except UnknownVoteError as unknown:
                out.fail(row, Problem("unknown", str(unknown)))
            except (Exception, SystemExit) as error:
                out.fail(row, self._raised(error))
        return out


@dataclass(frozen=True, kw_only=True)
class ColumnFunction(_Written):
    """An LF that looks at whole columns at once, a shard at a time."""

    columns: tuple[str, ...]

    def run(self, table: pd.DataFrame, ballot: Ballot) -> RowVotes:
        """Vote on all rows in one call; if that raises, find the guilty rows by halving."""
        out = RowVotes.abstaining(len(table), len(ballot.classes) if self.soft else None)
        known = [str(name) for name in table.columns]
        for column in self.columns:
            if column not in known:
                out.fail(slice(None), Problem("column", missing_column(column, known)))
                return out
        arguments = {argument_name(column): table[column] for column in self.columns}
        spans = [(0, len(table))] if len(table) else []
        while spans:
            start, stop = spans.pop()
            try:
                series = {name: column.iloc[start:stop] for name, column in arguments.items()}
                answers = self(**series)
            except (Exception, SystemExit) as error:
                if stop - start == 1:
                    out.fail(start, self._raised(error))
                else:
                    middle = (start + stop) // 2
                    spans += [(middle, stop), (start, middle)]
                continue
            out.put(slice(start, stop), self._read(answers, table.index[start:stop], ballot))
        return out

    def _read(self, answers: Any, index: pd.Index[Any], ballot: Ballot) -> RowVotes:
        out = RowVotes.abstaining(len(index), len(ballot.classes) if self.soft else None)
        if isinstance(answers, pd.Series | pd.DataFrame) and len(answers) == len(index):
            if not answers.index.equals(index) and answers.index.sort_values().equals(index):
                answers = answers.reindex(index)  # sorted by the function: back in row order
        shape = np.shape(answers)
        if len(shape) not in ((1, 2) if self.soft else (1,)) or shape[0] != len(index):
            came = f"{shape[0]} values" if len(shape) == 1 else f"{type(answers).__name__}"
            text = f"returned {came} for {len(index)} rows"
            out.fail(slice(None), Problem("length", text))
            out.is_row_wise = False
            return out
        if not self.soft:
            return ballot.read_all(pd.Series(answers), self.vote)
        try:
            given = given_in_columns(answers, self.vote, ballot)
            return soften(given, ballot, self.at_least)
        except UnknownVoteError as unknown:
            out.fail(slice(None), Problem("unknown", str(unknown)))
            return out


def argument_name(column: str) -> str:
    """Return the argument by which a columnar LF receives ``column``: "leg gap" -> "leg_gap"."""
    return re.sub(r"\W", "_", column)


def labeling_function(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    vote: str | int | None = None,
    columns: Sequence[str] | None = None,
    author: str = "",
    tags: Sequence[str] = (),
    resources: Mapping[str, Any] | None = None,
    soft: bool = False,
    at_least: float = LIKELY,
) -> Callable[[Callable[..., Any]], ItemFunction | ColumnFunction]:
    """Turn a function into an LF; its docstring's first sentence is the description.

    Parameters
    ----------
    name
        Name of the LF, unique in its project; the function's name by default.
    vote
        The class, class set or id that True stands for; needed where the function returns a mask.
    columns
        None: the function gets one item and returns a class name, a class-set name, an id, None
        or ``ABSTAIN``. A list: it gets these columns as pandas Series, one argument each, and
        returns one answer a row or a boolean mask. It must judge each row by that row alone: it
        sees the rows that need a vote, never the whole data set.
    author, tags
        Shown beside the LF.
    resources
        Keyword arguments handed to the function. A ``Path`` is taken relative to the function's
        own file, and the file's bytes count in the digest.
    soft
        The function gives probabilities: a number for ``vote``, or a table such as
        ``{"spam": 0.8, "ham": 0.2}``; classes left out share what is missing to 1. With columns,
        one number a row, or a frame with a column a class.
    at_least
        Lowest probability at which a soft LF votes, for the likeliest of what it names.

    Raises
    ------
    LabelingError
        If the options do not fit the function or a resource file is missing.
    """
    if function is not None:
        raise LabelingError(
            "labeling_function was used without parentheses; write @labeling_function()"
        )
    if isinstance(columns, str):
        raise LabelingError(f'columns must be a list of names; write columns=["{columns}"]')

    def declare(function: Callable[..., Any]) -> ItemFunction | ColumnFunction:
        folder = Path(function.__code__.co_filename).parent
        shared: dict[str, Any] = {
            "function": function,
            "name": name or function.__name__,
            "description": first_sentence(function.__doc__),
            "author": author,
            "tags": tuple(tags),
            "vote": vote,
            "resources": _resolve(resources or {}, folder),
            "soft": soft,
            "at_least": at_least,
        }
        arguments = [argument_name(column) for column in columns] if columns else ["item"]
        _check_signature(function, arguments if columns else [], [*arguments, *(resources or {})])
        if columns is None:
            return ItemFunction(**shared)
        return ColumnFunction(**shared, columns=tuple(columns))

    return declare


def first_sentence(docstring: str | None) -> str:
    """Return the first sentence of a docstring on one line."""
    text = " ".join((docstring or "").split("\n\n")[0].split())
    return re.split(r"(?<=[.!?])\s", text, maxsplit=1)[0]


def _resolve(resources: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    resolved = {}
    for key, value in resources.items():
        if isinstance(value, Path):
            value = folder / value
            if not value.is_file():
                raise LabelingError(
                    f"resource {key!r} must be a file beside the LF, but {value} is missing; "
                    "put it there or correct the path"
                )
        resolved[key] = value
    return resolved


def _check_signature(function: Callable[..., Any], by_name: list[str], given: list[str]) -> None:
    signature = inspect.signature(function)
    try:
        if by_name:
            signature.bind(**dict.fromkeys(given))
        else:
            signature.bind(None, **dict.fromkeys(given[1:]))
    except TypeError as error:
        raise LabelingError(
            f"{function.__name__}{signature} must take the arguments {', '.join(given)} ({error}); "
            "rename its arguments, or correct columns= and resources="
        ) from None


def _user_traceback(error: BaseException, origin: Origin | None) -> str:
    """Return the frames inside the expert's own files, and the error; no addresses, no paths."""
    frames = list(traceback.extract_tb(error.__traceback__))
    if origin is not None:
        frames = [f for f in frames if Path(f.filename).parent == origin.folder] or frames[-1:]
    else:
        frames = [f for f in frames if Path(f.filename).parent != Path(__file__).parent]
    lines = []
    for frame in frames:
        path = Path(frame.filename)
        lines.append(
            f'  File "{path.parent.name}/{path.name}", line {frame.lineno}, in {frame.name}'
        )
        if frame.line:
            lines.append(f"    {frame.line}")
    lines += [line.rstrip() for line in traceback.format_exception_only(error)]
    return re.sub(r"\b0x[0-9a-fA-F]{6,}\b", "0x...", "\n".join(lines))

"""What every template is: an LF that is declared, not programmed.

A template is a frozen dataclass whose fields are the keys that a TOML table may hold; field types
are checked when it is made, from Python and from TOML alike. Unlike code, its options say all
about it, so its digest is theirs and that of the file it reads.

Try it: ``keywords("text", ["free", "winner"], vote="spam")``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import typing
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from labeling_functions.ballot import Ballot, Problem, RowVotes, UnknownVoteError
from labeling_functions.functions import LabelingFunction, RowFunction
from labeling_functions.record import missing_column
from weaklight.errors import LabelingError

__all__ = [
    "MaskTemplate",
    "OptionError",
    "RowTemplate",
    "Template",
    "listing",
    "numbers_of",
    "text_of",
]

TEMPLATES_VERSION = 1  # raised when a kind votes otherwise on the same options
MAX_LISTED = 5
_WANTED = {  # what pydantic calls the mistake, in words for people who write TOML
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": 'must be a table, such as {spam = "p_spam"}',
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "missing": 'must name its column, such as {column = "x", above = 0.5}',
    "mapping_type": 'must be a table, such as {spam = "p_spam"}',
    "string_type": "must be a text in quotes",
    "tuple_type": 'must be a list, such as ["a", "b"]',
}
_NOT_OPTIONS = frozenset({"name", "description", "author", "tags", "columns", "digest", "origin"})


@dataclass(frozen=True, kw_only=True)
class Template(LabelingFunction, ABC):
    """A declared LF; ``kind`` is its name in TOML."""

    kind: ClassVar[str]

    name: str = ""  # by default that of the variable it is bound to in an LF file

    def __post_init__(self) -> None:
        for name, check in _checks(type(self)).items():
            value = getattr(self, name)
            try:
                object.__setattr__(self, name, check.validate_python(value))
            except ValidationError as error:
                self.refuse(*_explain(name, error))
        self.check()
        if not self.description:
            object.__setattr__(self, "description", self.sentence())
        object.__setattr__(self, "columns", self.read_columns())

    @classmethod
    def option_names(cls) -> list[str]:
        """Return the options of this kind, in order of declaration."""
        return [field.name for field in dataclasses.fields(cls) if field.name not in _NOT_OPTIONS]

    def check(self) -> None:
        """Refuse options that do not go together."""

    @abstractmethod
    def read_columns(self) -> tuple[str, ...]:
        """Return the columns that the votes depend on."""

    @abstractmethod
    def sentence(self) -> str:
        """Return the description where the author gave none."""

    def resource(self) -> Path | None:
        """Return the file that the votes depend on."""
        return None

    def beside(self, folder: Path) -> Self:
        """Return the LF with its file taken relative to ``folder``."""
        return self

    def options(self) -> dict[str, Any]:
        """Return, as plain JSON, the declared options that its votes depend on."""
        return {name: getattr(self, name) for name in self.option_names()}

    def own_digest(self) -> str:
        """Return the sha256 of the options and of the bytes of the file that it reads."""
        resource = self.resource()
        payload = {
            "version": TEMPLATES_VERSION,
            "kind": self.kind,
            "options": self.options(),
            "file": hashlib.sha256(resource.read_bytes()).hexdigest() if resource else None,
        }
        text = json.dumps(payload, sort_keys=True, default=_plain)
        return hashlib.sha256(text.encode()).hexdigest()

    def refuse(self, option: str, why: str) -> typing.NoReturn:
        """Raise about one option of this LF."""
        raise OptionError(option, f"{self.kind}: {option} {why}")


class OptionError(LabelingError):
    """Raised when a template's option is wrong; ``option`` is its key."""

    def __init__(self, option: str, message: str) -> None:
        super().__init__(message)
        self.option = option


@dataclass(frozen=True, kw_only=True)
class RowTemplate(Template, RowFunction):
    """A template that judges each row by that row of the table."""

    is_direct: ClassVar[bool] = True

    def run(self, table: pd.DataFrame, ballot: Ballot) -> RowVotes:
        """Vote on every row; a missing column or an unknown class makes all abstain."""
        out = RowVotes.abstaining(len(table), len(ballot.classes) if self.is_soft else None)
        known = [str(name) for name in table.columns]
        for column in self.columns or ():
            if column not in known:
                out.fail(slice(None), Problem("column", missing_column(column, known)))
                return out
        try:
            self.decide(table, ballot, out)
        except UnknownVoteError as unknown:
            out.fail(slice(None), Problem("unknown", str(unknown)))
        except _UnfitColumnError as unfit:
            out.fail(slice(None), Problem("column", str(unfit)))
        return out

    @abstractmethod
    def decide(self, table: pd.DataFrame, ballot: Ballot, out: RowVotes) -> None:
        """Enter the votes into ``out``, which abstains so far."""


@dataclass(frozen=True, kw_only=True)
class MaskTemplate(RowTemplate):
    """A template that votes for one thing, the class, class set or id ``vote``."""

    vote: str | int

    def decide(self, table: pd.DataFrame, ballot: Ballot, out: RowVotes) -> None:
        """Vote where ``hits`` says so."""
        value = ballot.read(self.vote)
        out.votes[self.hits(table)] = value

    @abstractmethod
    def hits(self, table: pd.DataFrame) -> NDArray[np.bool_]:
        """Return the (n,) rows that it votes on."""


class _UnfitColumnError(LabelingError):
    """A column holds another kind of values than the template looks at."""


def text_of(table: pd.DataFrame, column: str) -> pd.Series[Any]:
    """Return a column of texts; missing values stay missing."""
    values = table[column]
    if not pd.api.types.is_string_dtype(values.dropna()) and values.notna().any():
        raise _UnfitColumnError(
            f"column {column!r} must hold text, but holds {values.dtype}; use a rule on numbers"
        )
    return values


def numbers_of(table: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """Return a column of numbers as (n,) float64; missing values are NaN."""
    values = table[column]
    if values.notna().any() and not pd.api.types.is_numeric_dtype(values.infer_objects()):
        raise _UnfitColumnError(
            f"column {column!r} must hold numbers, but holds {values.dtype}; "
            "convert it first, or compare text with equals or one_of"
        )
    return pd.to_numeric(values).to_numpy(dtype=np.float64, na_value=np.nan)


def listing(words: typing.Sequence[object], joined: str = "or") -> str:
    """Return ``a, b or c``, cut after a few."""
    texts = [str(word) for word in words]
    if len(texts) > MAX_LISTED:
        return ", ".join(texts[:MAX_LISTED]) + f" and {len(texts) - MAX_LISTED} more"
    return f" {joined} ".join(filter(None, [", ".join(texts[:-1]), texts[-1]]))


def _explain(name: str, error: ValidationError) -> tuple[str, str]:
    """Return where in option ``name`` the mistake lies, and what it is."""
    problem = error.errors(include_url=False)[0]
    place = "".join(f"[{part}]" for part in problem["loc"] if isinstance(part, int))
    if problem["type"] == "value_error":  # one of our own checks says it all
        return name + place, problem["msg"].removeprefix("Value error, ")
    wanted = _WANTED.get(problem["type"], problem["msg"])
    return name + place, f"{wanted}, but is {problem['input']!r:.80}"


@cache
def _checks(cls: type[Template]) -> dict[str, TypeAdapter[Any]]:
    hints = typing.get_type_hints(cls, include_extras=True)
    checked = {"name", "description", "author", "tags", *cls.option_names()}
    return {name: TypeAdapter(hint) for name, hint in hints.items() if name in checked}


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return value.name  # where a project lies does not matter
    return dataclasses.asdict(value)

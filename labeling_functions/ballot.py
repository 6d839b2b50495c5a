"""What an LF's answer means: class names, class-set names and ids become vote values.

Try it: ``Ballot(("bag", "boot")).read("boot")`` is 1.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from weaklight.contracts import ABSTAIN, ClassSet, Votes
from weaklight.errors import LabelingError
from weaklight.words import nearest

__all__ = ["Ballot", "Problem", "RowVotes", "UnknownVoteError"]

MAX_DISTINCT_PROBLEMS = 64  # kept texts per batch of rows; later ones share the last slot


class UnknownVoteError(LabelingError):
    """Raised when an answer names no class, no class set and no id of the project."""


@dataclass(frozen=True)
class Ballot:
    """The answers that a project accepts: its classes, then its class sets, in order."""

    classes: tuple[str, ...]
    class_sets: tuple[ClassSet, ...] = ()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names by vote value: the K classes, then the class sets."""
        return (*self.classes, *(class_set.name for class_set in self.class_sets))

    @cached_property
    def _values(self) -> dict[str, int]:
        return {name: value for value, name in enumerate(self.names)}

    def read(self, answer: object) -> int:
        """Return the vote value of one answer; None, NaN and ``ABSTAIN`` abstain.

        Raises
        ------
        UnknownVoteError
            If the answer is no name and no id of this project; its text is the answer itself.
        """
        if answer is None or answer is pd.NA:
            return ABSTAIN
        if isinstance(answer, str) and answer in self._values:
            return self._values[answer]
        if isinstance(answer, int | float | np.integer | np.floating) and not isinstance(
            answer, bool
        ):
            number = float(answer)
            if np.isnan(number):
                return ABSTAIN
            if number.is_integer() and ABSTAIN <= number < len(self.names):
                return int(number)
        hint = nearest(answer, self.names) if isinstance(answer, str) else ""
        if isinstance(answer, Mapping | float):
            hint = "; probabilities need soft=True"
        raise UnknownVoteError(f"{answer!r:.80}{hint}")

    def choose(self, answer: object, vote: str | int | None) -> int:
        """Read one answer of an LF that may say True for its declared ``vote``."""
        if vote is not None and isinstance(answer, bool | np.bool_):
            return self.read(vote) if answer else ABSTAIN
        return self.read(answer)

    def read_all(self, answers: pd.Series[Any], vote: str | int | None = None) -> RowVotes:
        """Choose for each row, reading each distinct answer once; unknown ones abstain."""
        out = RowVotes.abstaining(len(answers))
        codes, distinct = pd.factorize(answers, use_na_sentinel=True)
        for code, answer in enumerate(distinct):
            rows = np.flatnonzero(codes == code)
            try:
                out.votes[rows] = self.choose(answer, vote)
            except UnknownVoteError as unknown:
                out.fail(rows, Problem("unknown", str(unknown)))
        return out


@dataclass(frozen=True)
class Problem:
    """Why an LF abstains on a row against its will."""

    kind: Literal["raised", "unknown", "length", "column", "example", "probability"]
    text: str


@dataclass
class RowVotes:
    """One LF's votes on some rows, and what went wrong on them.

    Attributes
    ----------
    votes : (n,) int16
        Vote values; ``ABSTAIN`` wherever something went wrong.
    trouble : (n,) int16
        0 where all went well, else 1 + the index into ``problems``.
    problems
        The distinct problems, in order of appearance.
    is_row_wise
        False when a problem depends on which rows came together; such votes are not cached.
    soft : (n, K) float32
        Probabilities of an LF that gives them, NaN where it says nothing; None of any other LF.
    """

    votes: Votes
    trouble: NDArray[np.int16]
    problems: list[Problem] = field(default_factory=list)
    is_row_wise: bool = True
    soft: NDArray[np.float32] | None = None

    @classmethod
    def abstaining(cls, n: int, n_classes: int | None = None) -> RowVotes:
        """Return n abstentions without a problem; with ``n_classes`` those of a soft LF."""
        soft = None if n_classes is None else np.full((n, n_classes), np.nan, np.float32)
        return cls(np.full(n, ABSTAIN, np.int16), np.zeros(n, np.int16), soft=soft)

    def take(self, rows: NDArray[np.integer]) -> RowVotes:
        """Return some rows."""
        soft = None if self.soft is None else self.soft[rows]
        return RowVotes(self.votes[rows], self.trouble[rows], self.problems, self.is_row_wise, soft)

    def fail(self, rows: slice | int | NDArray[np.integer], problem: Problem) -> None:
        """Let ``rows`` abstain because of ``problem``."""
        if problem in self.problems:
            place = self.problems.index(problem)
        elif len(self.problems) < MAX_DISTINCT_PROBLEMS:
            place = len(self.problems)
            self.problems.append(problem)
        else:
            place = MAX_DISTINCT_PROBLEMS - 1
        self.votes[rows] = ABSTAIN
        self.trouble[rows] = place + 1
        if self.soft is not None:
            self.soft[rows] = np.nan

    def put(self, rows: NDArray[np.integer] | slice, part: RowVotes) -> None:
        """Copy the votes and problems of ``part`` to ``rows`` of this one."""
        self.votes[rows] = part.votes
        if self.soft is not None and part.soft is not None:
            self.soft[rows] = part.soft
        if self.problems:
            self.trouble[rows] = 0
        positions = np.arange(len(self.votes))[rows]
        for place, problem in enumerate(part.problems):
            hit = part.trouble == place + 1
            if hit.any():
                self.fail(positions[hit], problem)
        self.is_row_wise &= part.is_row_wise

    def to_bytes(self) -> bytes:
        """Return the npz bytes that ``from_bytes`` reads; no pickle inside."""
        notes = json.dumps([(p.kind, p.text) for p in self.problems]).encode()
        stream = io.BytesIO()
        arrays: dict[str, NDArray[Any]] = {
            "votes": self.votes,
            "trouble": self.trouble,
            "problems": np.frombuffer(notes, np.uint8),
            "is_row_wise": np.array(self.is_row_wise),
        }
        if self.soft is not None:
            arrays["soft"] = self.soft
        np.savez(stream, **arrays)  # type: ignore[arg-type]
        return stream.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> RowVotes:
        """Return what ``to_bytes`` wrote."""
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            problems = [Problem(*pair) for pair in json.loads(stored["problems"].tobytes())]
            return cls(
                stored["votes"],
                stored["trouble"],
                problems,
                bool(stored["is_row_wise"]),
                stored["soft"] if "soft" in stored else None,
            )

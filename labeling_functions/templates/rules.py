"""LFs over measured or recorded columns: numeric thresholds, metadata predicates, rules of several.

Try it: ``threshold("aspect", above=1.6, vote="trouser")``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BeforeValidator

from labeling_functions.templates.base import MaskTemplate
from labeling_functions.templates.conditions import NUMERIC, PLAIN, Condition, Scalar
from weaklight.words import nearest

__all__ = ["Metadata", "Rule", "Threshold"]


@dataclass(frozen=True, kw_only=True)
class _OneColumn(MaskTemplate):
    """Votes where one condition holds; subclasses choose which tests it may have."""

    column: str
    tests: ClassVar[tuple[str, ...]]

    @cached_property
    def condition(self) -> Condition:
        """The options as a condition."""
        return Condition(self.column, **{test: getattr(self, test) for test in self.tests})

    def check(self) -> None:
        """Refuse no test at all and limits in the wrong order."""
        if not self.condition.tests:
            self.refuse("column", f"must be tested, but is not; add one of {', '.join(self.tests)}")
        if problem := self.condition.problem():
            self.refuse(self.condition.tests[0], problem)

    def read_columns(self) -> tuple[str, ...]:
        """Return the column."""
        return (self.column,)

    def hits(self, table: pd.DataFrame) -> NDArray[np.bool_]:
        """Return where the condition holds."""
        return self.condition.holds(table)

    def sentence(self) -> str:
        """Say it in words."""
        return f"Votes {self.vote} where {self.condition.words()}."


@dataclass(frozen=True)
class Threshold(_OneColumn):
    """Vote where a number lies within limits; a missing number is never within.

    Parameters
    ----------
    column
        The column of numbers.
    vote
        Class, class set or id.
    above, at_least, below, at_most
        Limits; several must all hold.
    between
        Lowest and highest, both included.
    """

    kind: ClassVar[str] = "threshold"
    tests: ClassVar[tuple[str, ...]] = NUMERIC

    column: str
    _: KW_ONLY
    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None
    between: tuple[float, float] | None = None


@dataclass(frozen=True)
class Metadata(_OneColumn):
    """Vote where a recorded value equals one, is one of several, or is missing.

    Parameters
    ----------
    column
        The column.
    vote
        Class, class set or id.
    equals, one_of
        The value or values, compared as they are: text with text, numbers with numbers.
    missing
        True: the cell is empty; False: it is not.
    """

    kind: ClassVar[str] = "metadata"
    tests: ClassVar[tuple[str, ...]] = PLAIN

    column: str
    _: KW_ONLY
    equals: Scalar | None = None
    one_of: tuple[Scalar, ...] | None = None
    missing: bool | None = None


def _known_keys(condition: Any) -> Any:
    if isinstance(condition, Mapping):
        known = ("column", *NUMERIC, *PLAIN)
        for key in condition:
            if key not in known:
                hint = nearest(key, known) or f"; it may have {', '.join(known)}"
                raise ValueError(f"must not have the key {key!r}{hint}")
    return condition


@dataclass(frozen=True)
class Rule(MaskTemplate):
    """Vote where several conditions hold.

    Parameters
    ----------
    conditions
        Each one column with any tests of ``threshold`` and ``metadata``.
    vote
        Class, class set or id.
    join
        ``"all"`` conditions must hold, or ``"any"`` of them.
    """

    kind: ClassVar[str] = "rule"

    conditions: tuple[Annotated[Condition, BeforeValidator(_known_keys)], ...]
    _: KW_ONLY
    join: Literal["all", "any"] = "all"

    def check(self) -> None:
        """Refuse a rule without conditions and conditions without tests."""
        if not self.conditions:
            self.refuse("conditions", 'must hold at least one, such as {column = "x", above = 0.5}')
        for place, condition in enumerate(self.conditions):
            if problem := condition.problem():
                self.refuse(f"conditions[{place}]", problem)

    def read_columns(self) -> tuple[str, ...]:
        """Return the columns of all conditions."""
        return tuple(dict.fromkeys(condition.column for condition in self.conditions))

    def hits(self, table: pd.DataFrame) -> NDArray[np.bool_]:
        """Return where the joined conditions hold."""
        held = np.stack([condition.holds(table) for condition in self.conditions])
        return np.asarray(held.all(axis=0) if self.join == "all" else held.any(axis=0))

    def sentence(self) -> str:
        """Say it in words."""
        word = " and " if self.join == "all" else " or "
        return f"Votes {self.vote} where {word.join(c.words() for c in self.conditions)}."

"""What may be asked of one column: the building block of thresholds, metadata and rules.

Try it: ``Condition("aspect", above=1.6).holds(table)``.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import ConfigDict

from labeling_functions.templates.base import listing, numbers_of

__all__ = ["NUMERIC", "PLAIN", "Condition"]

Scalar = str | int | float | bool
NUMERIC = ("above", "at_least", "below", "at_most", "between")
PLAIN = ("equals", "one_of", "missing")
_FROM_BELOW = (np.greater, np.greater_equal)


@dataclass(frozen=True)
class Condition:
    """One or more tests of one column; all of them must hold.

    Parameters
    ----------
    column
        The column.
    above, at_least, below, at_most
        Limits; a missing number is never within them.
    between
        Lowest and highest, both included.
    equals, one_of
        The value or values, compared as they are: text with text, numbers with numbers.
    missing
        True: the cell is empty; False: it is not.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    column: str
    _: KW_ONLY
    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None
    between: tuple[float, float] | None = None
    equals: Scalar | None = None
    one_of: tuple[Scalar, ...] | None = None
    missing: bool | None = None

    @property
    def tests(self) -> list[str]:
        """The tests that were given, by name."""
        return [
            field.name
            for field in fields(self)
            if field.name != "column" and getattr(self, field.name) is not None
        ]

    def problem(self) -> str:
        """Return what is wrong with the tests, nothing if they can be asked."""
        if not self.tests:
            return (
                f"must test column {self.column!r}, but has no test; add one, such as above = 0.5"
            )
        low, high = self.between or (0, 0)
        if low > high:
            return f"between must go from low to high, but is {low:g} to {high:g}; swap them"
        lows = [limit for limit, compare in self._limits if compare in _FROM_BELOW]
        highs = [limit for limit, compare in self._limits if compare not in _FROM_BELOW]
        lowest, highest = max(lows, default=-np.inf), min(highs, default=np.inf)
        if lowest > highest or (lowest == highest and not self._within(np.array([lowest])).all()):
            return f"must leave room for a number, but no {self.words()}; widen the limits"
        return ""

    @property
    def _limits(self) -> list[tuple[float, np.ufunc]]:
        """Every limit on numbers, with what must be true of a number and it."""
        low, high = self.between or (None, None)
        limits = [
            (self.above, np.greater),
            (self.at_least, np.greater_equal),
            (self.below, np.less),
            (self.at_most, np.less_equal),
            (low, np.greater_equal),
            (high, np.less_equal),
        ]
        return [(limit, compare) for limit, compare in limits if limit is not None]

    def _within(self, numbers: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which of the numbers (n,) lie within every limit; NaN never does."""
        out = np.ones(len(numbers), bool)
        for limit, compare in self._limits:
            out &= compare(numbers, limit)
        return out

    def holds(self, table: pd.DataFrame) -> NDArray[np.bool_]:
        """Return the (n,) rows on which every test holds."""
        out = np.ones(len(table), bool)
        if self._limits:
            out &= self._within(numbers_of(table, self.column))
        values = table[self.column]
        if self.equals is not None:
            out &= values.isin([self.equals]).to_numpy()
        if self.one_of is not None:
            out &= values.isin(list(self.one_of)).to_numpy()
        if self.missing is not None:
            out &= values.isna().to_numpy() == self.missing
        return out

    def words(self) -> str:
        """Return the condition as part of a sentence."""
        parts = []
        for test in self.tests:
            value = getattr(self, test)
            if test == "between":
                parts.append(f"between {value[0]:g} and {value[1]:g}")
            elif test == "one_of":
                parts.append(f"one of {listing(value)}")
            elif test == "missing":
                parts.append("missing" if value else "not missing")
            elif test == "equals":
                parts.append(str(value))
            else:
                parts.append(f"{test.replace('_', ' ')} {value:g}")
        return f"{self.column} is {' and '.join(parts)}"

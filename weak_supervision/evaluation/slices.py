"""Accuracy per slice of the data, to see where the labels are worse than on the whole.

Try it::

    from weak_supervision.evaluation import slice_accuracy
    for found in slice_accuracy(labels, gold, {"camera": cameras}):
        print(found.column, found.value, found.accuracy, found.verdict)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from weak_supervision.evaluation.accuracy import MIN_ROWS, with_gold
from weak_supervision.evaluation.weighted import Share, share
from weaklight.errors import DataError
from weaklight.intervals import wilson_share

__all__ = ["MAX_VALUES", "Slice", "slice_accuracy"]

MAX_VALUES = 12  # more slices than a reader compares; numbers are cut into quarters instead
N_QUARTERS = 4
LEVEL = 0.95

Verdict = Literal["too few", "worse", "better", "as the whole"]


@dataclass(frozen=True)
class Slice:
    """How good the labels are on the rows that share one value of one column.

    Attributes
    ----------
    column, value : what the rows share; ``"missing"`` where the column is empty
    accuracy : right labels among the slice's rows with gold
    verdict : ``too few`` below 20 rows; ``worse`` or ``better`` where the accuracy of all rows lies
        outside the slice's interval, corrected for the number of slices looked at (Bonferroni)
    """

    column: str
    value: str
    accuracy: Share
    verdict: Verdict


def slice_accuracy(
    labels: ArrayLike,
    gold: ArrayLike,
    columns: Mapping[str, ArrayLike],
    probability: ArrayLike | None = None,
) -> tuple[Slice, ...]:
    """Return the accuracy of every slice, column by column, the lowest accuracy first.

    Parameters
    ----------
    labels
        (n,) class ids, -1 counts as wrong.
    gold
        (n,) class ids, -1 where unknown; those rows are left out.
    columns
        Metadata by name, (n,) each. Numbers with more than :data:`MAX_VALUES` distinct values are
        cut at their quartiles; text with more keeps its most frequent values and says "other".
    probability
        (n,) chance of each row to be drawn, see :func:`share`; None where all were drawn alike.

    Raises
    ------
    DataError
        If a column has another length than the labels, or a probability is not in (0, 1].

    Notes
    -----
    Searching many slices finds a bad one by chance alone, hence the corrected intervals: with S
    slices of at least 20 rows, each is judged at level 1 - 0.05 / S.

    Examples
    --------
    >>> found = slice_accuracy([0] * 60, [0] * 30 + [1] * 30, {"site": ["a"] * 30 + ["b"] * 30})
    >>> [(s.value, s.accuracy.value, s.verdict) for s in found]
    [('b', 0.0, 'worse'), ('a', 1.0, 'better')]
    """
    known = np.asarray(gold) >= 0
    left, right, chance = with_gold(labels, gold, probability)
    hits = left == right
    counted: list[tuple[str, str, Share]] = []
    for column, values in columns.items():
        series = pd.Series(np.asarray(values))
        if len(series) != len(known):
            raise DataError(
                f"the column {column!r} must have one value for each of {len(known)} labels, "
                f"but has {len(series)}; align it with the items"
            )
        for value, rows in _groups(series[known].reset_index(drop=True)):
            counted.append((column, value, share(hits, chance, rows)))
    n_judged = sum(p.n >= MIN_ROWS for _, _, p in counted)
    whole = share(hits, chance).value or 0.0
    slices = [Slice(c, v, p, _verdict(p, whole, n_judged)) for c, v, p in counted]
    order = {column: i for i, column in enumerate(columns)}
    return tuple(sorted(slices, key=lambda s: (order[s.column], s.accuracy.value, s.value)))


def _verdict(found: Share, whole: float, n_judged: int) -> Verdict:
    if found.value is None or found.n < MIN_ROWS:
        return "too few"
    low, high = wilson_share(found.value, found.effective_n, 1 - (1 - LEVEL) / n_judged)
    if high < whole:
        return "worse"
    return "better" if low > whole else "as the whole"


def _groups(values: pd.Series) -> list[tuple[str, np.ndarray]]:
    """Return the row numbers of each slice of one column."""
    missing = values.isna()
    shown = values[~missing]
    if pd.api.types.is_bool_dtype(shown) or not pd.api.types.is_numeric_dtype(shown):
        named = shown.astype(str)
        frequent = named.value_counts().index[:MAX_VALUES]
        if named.nunique() > MAX_VALUES:
            named = named.where(named.isin(frequent), "other")
    elif shown.nunique() > MAX_VALUES:
        named = pd.qcut(shown, N_QUARTERS, duplicates="drop").astype(str)
    else:
        named = shown.map("{:g}".format)
    groups = [(str(value), rows.index.to_numpy()) for value, rows in named.groupby(named)]
    if missing.any():
        groups.append(("missing", np.flatnonzero(missing)))
    return groups

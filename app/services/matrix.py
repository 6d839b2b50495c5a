"""How any two functions meet, as a matrix whose cells can be chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import altair as alt
import numpy as np
import pandas as pd

from labeling_functions.pairs import PairCounts

__all__ = ["MEASURES", "Measure", "matrix_chart", "pair_table", "selected_pair"]

Measure = Literal["overlap", "agreement", "conflict"]
MEASURES: dict[Measure, str] = {
    "overlap": "On how many items both vote; on the diagonal, its own votes.",
    "agreement": "Of the items on which both vote, the share on which they say the same.",
    "conflict": "On how many items they contradict each other.",
}
_RANGES: dict[Measure, tuple[str, ...]] = {
    "overlap": ("nothing", "good"),
    "agreement": ("bad", "nothing", "good"),
    "conflict": ("nothing", "bad"),
}
# Of cells, of numbers on pale cells, and of the line around the chosen cell.
_DAY = dict(nothing="#f3f1ec", good="#2f6f73", bad="#b4473c", ink="#333", line="#1d2025")
_NIGHT = dict(nothing="#262c31", good="#3f8f90", bad="#c4564a", ink="#c9c6c0", line="#fff")
CELL = "cell"  # the name of the selection
WIDTH = 840  # CSS pixels of the whole matrix
MAX_LABELLED = 16  # functions; with more, numbers no longer fit into the cells


def pair_table(names: Sequence[str], counts: PairCounts) -> pd.DataFrame:
    """Return one row for each pair of functions, (m * m) rows.

    Returns
    -------
    Columns ``function``, ``other``, ``overlap``, ``conflict``, and ``agreement``, NaN where the
    two never meet.
    """
    m = len(names)
    with np.errstate(invalid="ignore"):
        agreement = counts.same / counts.both
    return pd.DataFrame(
        {
            "function": np.repeat(np.array(names, object), m),
            "other": np.tile(np.array(names, object), m),
            "overlap": counts.both.ravel(),
            "agreement": agreement.ravel(),
            "conflict": counts.conflicts.ravel(),
        }
    )


def matrix_chart(
    table: pd.DataFrame, measure: Measure, *, is_dark: bool = False
) -> alt.LayerChart | alt.FacetChart:
    """Return the matrix of one measure; a click chooses a cell."""
    colors = _NIGHT if is_dark else _DAY
    scale = [colors[name] for name in _RANGES[measure]]
    names = table["function"].drop_duplicates().tolist()
    side = max(16, min(44, (WIDTH - 190) // len(names)))
    off_diagonal = table.loc[table["function"] != table["other"], measure]
    most = 1.0 if measure == "agreement" else max(1.0, float(off_diagonal.max()))
    shown = ".0%" if measure == "agreement" else ",d"
    is_labelled = len(names) <= MAX_LABELLED
    legend = None if is_labelled else alt.Legend(orient="bottom", title=None, format=shown)
    neutral = 0.5 if measure == "agreement" else 0.0
    is_deep = f"abs(datum.{measure} - {neutral}) > {0.6 * (most - neutral)}"
    labels: dict[str, Any] = {"labelOverlap": False, "labelFlush": False, "labelLimit": 170}
    base = alt.Chart(table).encode(
        x=alt.X(
            "other:N", sort=names, title=None, axis=alt.Axis(orient="top", labelAngle=-90, **labels)
        ),
        y=alt.Y("function:N", sort=names, title=None, axis=alt.Axis(**labels)),
        tooltip=[
            alt.Tooltip("function:N"),
            alt.Tooltip("other:N"),
            alt.Tooltip("overlap:Q", format=",d", title="both vote on"),
            alt.Tooltip("agreement:Q", format=".0%", title="say the same on"),
            alt.Tooltip("conflict:Q", format=",d", title="contradict each other on"),
        ],
    )
    chosen = alt.selection_point(name=CELL, fields=["function", "other"], empty=False)
    cells = base.mark_rect(stroke="#0000").encode(
        color=alt.Color(
            f"{measure}:Q",
            scale=alt.Scale(
                range=scale, domain=np.linspace(0, most, len(scale)).tolist(), interpolate="rgb"
            ),
            legend=legend,
        ),
        stroke=alt.condition(chosen, alt.value(colors["line"]), alt.value("#0000")),
        strokeWidth=alt.condition(chosen, alt.value(2.5), alt.value(0)),
    )
    layers = [cells.add_params(chosen)]
    if is_labelled:
        layers.append(
            base.mark_text(fontSize=11).encode(
                text=alt.Text(f"{measure}:Q", format=shown),
                color=alt.condition(is_deep, alt.value("#fff"), alt.value(colors["ink"])),
            )
        )
    size = side * len(names)
    return alt.layer(*layers).properties(width=size, height=size, autosize="pad")


def selected_pair(event: Mapping[str, Any] | None) -> tuple[str, str] | None:
    """Return the functions of the chosen cell."""
    cells = ((event or {}).get("selection") or {}).get(CELL) or []
    return (str(cells[0]["function"]), str(cells[0]["other"])) if cells else None

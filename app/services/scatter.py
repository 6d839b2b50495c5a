"""The map as a Plotly figure; every point carries its row, so a selection needs no guessing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from app.services.colors import NO_LABEL

__all__ = ["groups_figure", "selected_rows", "values_figure"]


def groups_figure(
    points: pd.DataFrame, groups: NDArray[np.object_], colors: Mapping[str, str]
) -> go.Figure:
    """Colour points by group, one trace a group, so that the legend switches groups on and off.

    Parameters
    ----------
    points
        Columns ``x``, ``y`` and ``item_id``; its index holds the rows.
    groups
        One of the names in ``colors`` per point; groups are drawn in the order of ``colors``.
    colors
        Group name -> hex colour.
    """
    figure = _figure()
    for name, color in colors.items():
        rows = np.flatnonzero(groups == name)
        if len(rows):
            faint = color == NO_LABEL
            figure.add_trace(
                _trace(points.iloc[rows], name, {"color": color, "opacity": 0.35 if faint else 0.8})
            )
    return figure


def values_figure(points: pd.DataFrame, values: NDArray[np.floating], title: str) -> go.Figure:
    """Colour points by a number between 0 and 1; missing numbers are left grey."""
    figure = _figure()
    known = np.isfinite(values)
    if (~known).any():
        figure.add_trace(_trace(points[~known], "none", {"color": NO_LABEL, "opacity": 0.35}))
    marker = {
        "color": np.round(values[known], 3),
        "colorscale": "Viridis",
        "cmin": 0,
        "cmax": 1,
        "colorbar": {"title": title, "thickness": 10, "outlinewidth": 0},
    }
    figure.add_trace(_trace(points[known], title, marker))
    figure.update_layout(showlegend=False)
    return figure


def selected_rows(event: Mapping[str, Any] | None) -> list[int]:
    """Return the rows of a lasso or box selection, in order and each once."""
    chosen = ((event or {}).get("selection") or {}).get("points") or []
    return sorted({int(point["customdata"]) for point in chosen if "customdata" in point})


def _trace(points: pd.DataFrame, name: str, marker: dict[str, Any]) -> go.Scattergl:
    return go.Scattergl(
        x=points["x"].to_numpy(np.float32),
        y=points["y"].to_numpy(np.float32),
        # A list: the browser would hand an array back as an object of its indices.
        customdata=points.index.tolist(),
        text=points["item_id"],
        name=name,
        mode="markers",
        hovertemplate="%{text}<extra>" + name.replace("<", "&lt;") + "</extra>",
        marker={"size": 5, "line": {"width": 0}, **marker},
    )


def _figure() -> go.Figure:
    bare = {"visible": False}
    return go.Figure(
        layout={
            "dragmode": "lasso",
            "height": 620,
            "margin": {"l": 0, "r": 0, "t": 8, "b": 0},
            "xaxis": bare,
            "yaxis": {**bare, "scaleanchor": "x"},
            "legend": {"orientation": "h", "y": -0.02, "itemsizing": "constant"},
            "uirevision": "map",  # zoom and legend survive a rerun
        }
    )

"""Map: items in two dimensions; lasso a region, see its items, decide on them at once.

Items that wait for an answer on the page Gold are left out: it must come without their weak label.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from app import state
from app.components.actions import action_buttons, turn
from app.components.dialog import item_dialog
from app.components.gallery import gallery
from app.services.colors import NO_LABEL, SOURCE_COLORS
from app.services.scatter import groups_figure, selected_rows, values_figure
from app.services.tiles import tiles
from app.services.words import left_out
from pipelines.lf_queries import lf_votes
from pipelines.queries import RunView
from weaklight.words import counted

PAGE_SIZE = 40
MOST_POINTS = 50_000  # 1 MB of figure; more would no longer arrive within a second
_BASIC = {"label": "Label", "confidence": "Confidence", "source": "Source of the label"}


def page() -> None:
    """Draw the page."""
    st.title("Map")
    found = state.require_view()
    points = found.map_points()
    if points is None:
        st.info("This run has no map: it stopped before `embed`. Run `weaklight run`.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        color_by = st.selectbox(
            "Colour by",
            [*_BASIC, *(f"lf:{lf['name']}" for lf in found.lfs)],
            format_func=lambda x: _BASIC.get(x, f"Votes of {x.removeprefix('lf:')}"),
            key="map_color",
            persist_state="session",
            width=320,
        )
        splits = st.pills(
            "Split",
            sorted(points["split"].unique()),
            selection_mode="multi",
            default=sorted(points["split"].unique()),
            key="map_splits",
        )
        st.caption("Similar items lie close together. Drag a lasso or a box around some of them.")
    if told := left_out(len(state.standing().waiting.intersection(found.item_ids))):
        st.caption(told)
    _workspace(found, color_by, tuple(splits))


@st.fragment
def _workspace(found: RunView, color_by: str, splits: tuple[str, ...]) -> None:
    standing = state.standing()
    left, right = st.container(key="stack").columns([3, 2], gap="large")
    with left:
        event: Any = st.plotly_chart(
            _figure(found.run_id, color_by, splits, tuple(sorted(standing.waiting)), found),
            key=f"map {color_by}",
            on_select="rerun",
            selection_mode=("lasso", "box"),
            config={
                "scrollZoom": True,
                "displaylogo": False,
                "modeBarButtonsToRemove": ["toImage"],
            },
            alt="map of all items; similar items lie close together",
        )
    with right:
        rows = selected_rows(event)
        _selection(found, [r for r in rows if found.item_ids[r] not in standing.waiting])


@st.cache_data(max_entries=12, show_spinner="Drawing the map")
def _figure(
    run_id: str,
    color_by: str,
    splits: tuple[str, ...],
    waiting: tuple[str, ...],
    _found: RunView,
) -> dict[str, Any]:
    # As a dict: a Figure comes out of the cache with its keys in another order, which Streamlit
    # takes for another chart and drops the first selection.
    figure: dict[str, Any] = _draw(color_by, splits, waiting, _found).to_dict()
    return figure


def _draw(
    color_by: str, splits: tuple[str, ...], waiting: tuple[str, ...], found: RunView
) -> go.Figure:
    points = found.map_points()
    assert points is not None
    points = points[points["split"].isin(splits) & ~points["item_id"].isin(waiting)]
    if len(points) > MOST_POINTS:
        points = points.iloc[np.linspace(0, len(points) - 1, MOST_POINTS).astype(int)]
    colors = {**state.colors(found), "none": NO_LABEL}
    if color_by == "confidence":
        values = points["confidence"].where(points["label"].notna()).to_numpy(np.float32)
        return values_figure(points, values, "Confidence")
    if color_by == "source":
        return groups_figure(points, points["source"].to_numpy(object), SOURCE_COLORS)
    if color_by == "label":
        return groups_figure(points, _or_none(points["label"]), colors)
    votes = lf_votes(found, color_by.removeprefix("lf:"))[points.index]
    says = pd.Series([found.vote_name(int(v)) for v in votes], dtype=object)
    return groups_figure(points, _or_none(says), {"none": NO_LABEL, **colors})


def _or_none(names: pd.Series) -> Any:
    return names.where(names.notna(), "none").to_numpy(object)


def _selection(found: RunView, rows: list[int]) -> None:
    if not rows:
        st.info("Nothing selected yet. Draw around a group of points to see its items.")
        return
    labels = pd.Series([found.class_name(int(found.labels[r])) or "no label" for r in rows])
    counts = ", ".join(f"{n:,} {name}" for name, n in labels.value_counts().head(4).items())
    st.markdown(f"**{counted(len(rows), 'item')}**: {counts}")
    n_pages = -(-len(rows) // PAGE_SIZE)
    number = st.pagination(n_pages, key=f"map page {rows[0]} {len(rows)}") if n_pages > 1 else 1
    here = rows[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
    standing = state.standing()
    above = st.container()  # the buttons, which depend on what is ticked below them
    picked = gallery(
        tiles(found, here, state.colors(found), standing),
        key=f"map gallery {turn()} {number} {rows[0]} {len(rows)}",
        selectable=True,
        width=84,
    )
    with above:
        _decide(found, picked.selected)
    if picked.opened:
        item_dialog(found, picked.opened)


def _decide(found: RunView, ticked: tuple[str, ...]) -> None:
    """Offer the decisions for the ticked items, leaving those of dev and test alone."""
    rows = found.rows_of(ticked)
    rows = rows[found.splits[rows] == "unlabeled"]
    held_out = len(ticked) - len(rows)
    standing = state.standing()
    about = {str(found.item_ids[row]): found.class_name(int(found.labels[row])) for row in rows}
    action_buttons(
        state.desk(found, "map"),
        list(about),
        can_accept=all(standing.label_of(item_id, weak) for item_id, weak in about.items()),
    )
    if held_out:
        st.caption(f"{held_out} of the ticked items belong to dev or test and are left alone.")


page()

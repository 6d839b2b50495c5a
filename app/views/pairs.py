"""Pairs of functions: where two overlap, agree or conflict, and the items behind the number."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app import state
from app.components.pages import item_pages
from app.services.matrix import MEASURES, Measure, matrix_chart, pair_table, selected_pair
from pipelines.lf_queries import PairDrill, lf_votes, pair_rows, settling_first
from pipelines.queries import RunView
from weaklight.words import counted

_DRILLS: dict[PairDrill, str] = {
    "both": "Both vote",
    "same": "Same vote",
    "conflicts": "Contradict each other",
}
_BEHIND: dict[Measure, PairDrill] = {
    "overlap": "both",
    "agreement": "same",
    "conflict": "conflicts",
}


def page() -> None:
    """Draw the page."""
    st.title("Pairs of functions")
    found = state.require_view()
    names = [str(lf["name"]) for lf in found.lfs]
    if len(names) < 2:
        st.info(
            "There are no two voters yet to be compared. **Write a function** makes another one."
        )
        return
    measure: Measure = st.segmented_control(
        "Number", list(MEASURES), default="conflict", required=True, key="measure",
        format_func=str.capitalize, label_visibility="collapsed",
    )  # fmt: skip
    st.caption(f"{MEASURES[measure]} Click on a cell to see the items behind it.")
    event: Any = st.altair_chart(
        matrix_chart(
            pair_table(names, state.lf_pairs(found.run_id, found)),
            measure,
            is_dark=st.context.theme.type == "dark",
        ),
        key=f"matrix {measure}",
        on_select="rerun",
        width="content",
    )
    pair = selected_pair(event)
    if pair is not None:
        _items(found, *pair, measure)


def _items(found: RunView, name: str, other: str, measure: Measure) -> None:
    if name == other:
        st.subheader(name)
        rows, votes = pair_rows(found, name, name, "both"), lf_votes(found, name)
        st.caption(f"{counted(len(rows), 'item')} on which it votes; at the right, what it says.")
        item_pages(found, rows, f"{name} {name}", lambda row: found.vote_name(int(votes[row])))
        return
    st.subheader(f"{name} and {other}")
    behind = {which: pair_rows(found, name, other, which) for which in _DRILLS}
    which: PairDrill = st.segmented_control(
        "Items", list(_DRILLS), default=_BEHIND[measure], required=True,
        key=f"pair drill {measure} {name} {other}", label_visibility="collapsed",
        format_func=lambda w: f"{_DRILLS[w]} ({len(behind[w]):,})",
    )  # fmt: skip
    rows = behind[which]
    if not len(rows):
        st.info("There is no such item.")
        return
    order = ""
    if which == "conflicts":
        rows = settling_first(found, rows)
        order = " First come those whose true class would settle most."
    one, two = lf_votes(found, name), lf_votes(found, other)
    st.caption(
        f"Under each item: the label it has now; at the right, what {name} says, then what "
        f"{other} says.{order}"
    )
    item_pages(
        found,
        rows,
        f"{name} {other} {which}",
        lambda row: " / ".join(
            filter(None, {found.vote_name(int(votes[row])): 0 for votes in (one, two)})
        ),
    )


page()

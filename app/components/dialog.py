"""One item in a dialog: the item itself and why it has its label; opened from any gallery."""

from __future__ import annotations

import streamlit as st

from app import state
from app.components import why
from app.components.heat import item_under_heat
from app.components.notes import note_line
from pipelines.cards import item_card
from pipelines.queries import RunView

__all__ = ["item_dialog"]


@st.dialog("Why this label", width="large")
def item_dialog(found: RunView, item_id: str) -> None:
    """Show an item and everything that spoke for or against its label."""
    standing = state.standing()
    row = int(found.rows_of([item_id])[0])
    card = item_card(found, row, hidden=standing.waiting)
    colors = state.colors(found)
    left, right = st.columns([2, 3], gap="medium")
    with left:
        item_under_heat(found, card)
        st.html(why.label_line(found, card, colors, standing.decisions.get(item_id)))
        note_line(state.desk(found, "item"), standing, item_id)
    with right:
        st.html(why.why(found, card, colors, state.accuracies(found.run_id, found)))

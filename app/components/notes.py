"""A line for a free remark on an item, kept in the review log beside the decisions."""

from __future__ import annotations

import streamlit as st

from app.services.desk import Desk, Standing

__all__ = ["note_line"]

LONGEST_NOTE = 500  # characters
_KEPT = "notes kept"


def note_line(desk: Desk, standing: Standing, item_id: str) -> None:
    """Show the newest note on an item and take another; Enter keeps it.

    A fresh field takes its place then, which leaves the keyboard to the keys that decide.
    """
    if item_id in standing.notes:
        who, text = standing.notes[item_id]
        st.text(f"Note by {who}: {text}")
    n_kept = st.session_state.get(_KEPT, 0)
    key = f"note {n_kept} {item_id}"

    def keep() -> None:
        desk.comment(item_id, st.session_state[key])
        st.session_state[_KEPT] = n_kept + 1

    st.text_input(
        "Note",
        key=key,
        max_chars=LONGEST_NOTE,
        placeholder="a remark for others; Enter keeps it",
        on_change=keep,
        label_visibility="collapsed",
    )

"""A line for a free remark on an item, kept in the review log beside the decisions."""

from __future__ import annotations

import streamlit as st

from app.services.desk import Desk, Standing

__all__ = ["note_line"]

LONGEST_NOTE = 500  # characters


def note_line(desk: Desk, standing: Standing, item_id: str) -> None:
    """Show the newest note on an item and take another; Enter keeps it."""
    if item_id in standing.notes:
        who, text = standing.notes[item_id]
        st.text(f"Note by {who}: {text}")
    key = f"note {item_id}"

    def keep() -> None:
        desk.comment(item_id, st.session_state[key])
        st.session_state[key] = ""

    st.text_input(
        "Note",
        key=key,
        max_chars=LONGEST_NOTE,
        placeholder="a remark for others; Enter keeps it",
        on_change=keep,
        label_visibility="collapsed",
    )

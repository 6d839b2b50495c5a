"""Many items, a page at a time; a click opens the reasons for one's label."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app import state
from app.components.dialog import item_dialog
from app.components.gallery import gallery
from app.services.tiles import tiles
from app.services.words import left_out
from pipelines.queries import Rows, RunView

__all__ = ["item_pages"]

PAGE_SIZE = 48


def item_pages(found: RunView, rows: Rows, key: str, note: Callable[[int], str | None]) -> None:
    """Show these rows as a gallery of pages, but for those that wait for gold.

    Parameters
    ----------
    key
        Names the list of rows; another list needs another key.
    note
        What stands at the right under a row's picture; its label stands at the left.
    """
    standing = state.standing()
    is_hidden = found.are_of(rows, standing.waiting)
    rows = rows[~is_hidden]
    if told := left_out(int(is_hidden.sum())):
        st.caption(told)
    n_pages = -(-len(rows) // PAGE_SIZE)
    number = st.pagination(n_pages, key=f"page {key}") if n_pages > 1 else 1
    here = rows[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
    notes = {int(row): note(int(row)) or "" for row in here}
    picked = gallery(
        tiles(found, here, state.colors(found), standing, notes),
        key=f"gallery {key} {number}",
        width=118,
    )
    if picked.opened:
        item_dialog(found, picked.opened)

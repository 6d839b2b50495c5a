"""One item, and at the press of a key the scores of its parts over it."""

from __future__ import annotations

import streamlit as st

from app.components import why
from app.services.keys import HEAT_KEY
from pipelines.cards import ItemCard
from pipelines.queries import RunView

__all__ = ["item_under_heat"]

IS_ON = "heat is on"  # kept from item to item


def item_under_heat(found: RunView, card: ItemCard) -> None:
    """Show the item of a card; where it is a bag of parts, with a button for their scores."""
    is_on = card.parts is not None and bool(st.session_state.get(IS_ON))
    heat = found.heat(card.row) if is_on else None
    st.html(why.item(found, card.row, card.item_id, heat))
    if card.parts is None:
        return
    if heat is not None:
        st.html(why.legend(card.parts, heat))
    st.button(
        "Hide heat map" if is_on else "Heat map",
        key="heat",
        icon=":material/local_fire_department:",
        help=f"Lay the scores of its {card.parts.kind} over it: which of them are to blame?",
        type="tertiary",  # the decisions stand out
        shortcut=HEAT_KEY,
        on_click=_flip,
    )


def _flip() -> None:
    st.session_state[IS_ON] = not st.session_state.get(IS_ON)

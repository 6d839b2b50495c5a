"""The decision buttons, for the item in hand or for everything selected, with their keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from app.services.desk import Desk
from app.services.keys import ACTION_KEYS, class_keys
from weaklight.errors import DataError

__all__ = ["action_buttons", "turn"]

_ICONS = {
    "accept": ":material/check:",
    "skip": ":material/skip_next:",
    "exclude": ":material/block:",
    "flag": ":material/flag:",
    "undo": ":material/undo:",
}
_HELP = {
    "accept": "The label is right.",
    "skip": "Leave it to somebody else.",
    "exclude": "Keep it out of training: broken, not one of the classes, or two things at once.",
    "flag": "Needs a second look.",
    "undo": "Take back your last action; a bulk action comes back as a whole.",
}


def turn() -> int:
    """Return how many actions this session took; a gallery whose key holds it forgets its ticks."""
    return int(st.session_state.get("turn", 0))


def action_buttons(
    desk: Desk,
    item_ids: Sequence[str],
    *,
    can_accept: bool,
    then: Callable[[list[str]], None] = lambda undone: None,
) -> None:
    """Draw accept, skip, exclude, flag and undo, then one button per class.

    Parameters
    ----------
    desk
        Who decides, about which run.
    item_ids
        The items that a decision is about.
    can_accept
        Whether every one of them has a label to accept.
    then
        Called after the event is written, with the items that an undo took back (empty otherwise).
    """
    ids = list(item_ids)
    many = f" {len(ids)}" if len(ids) > 1 else ""

    drawn = turn()

    def decide(action: Callable[..., object], *label: str) -> None:
        if drawn != turn():
            return  # a second key came before the next picture: it was not meant for this one
        try:
            action(ids, *label)
        except DataError as error:
            st.session_state["desk_error"] = str(error)
            return
        st.session_state["turn"] = drawn + 1
        then([])

    def undo() -> None:
        if not (undone := desk.undo()):  # the item in hand stays: the next key is meant for it
            st.session_state["nothing_undone"] = f"{desk.reviewer} has nothing to take back."
            return
        st.session_state["turn"] = turn() + 1
        then(undone)

    with st.container(horizontal=True, gap="xsmall"):
        for name in ("accept", "skip", "exclude", "flag", "undo"):
            st.button(
                name.capitalize() + ("" if name == "undo" else many),
                key=f"act {name}",
                icon=_ICONS[name],
                help=_HELP[name],
                type="primary" if name == "accept" else "secondary",
                shortcut=ACTION_KEYS[name],
                disabled=name != "undo" and not (ids and (name != "accept" or can_accept)),
                on_click=undo if name == "undo" else decide,
                args=() if name == "undo" else (getattr(desk, name),),
            )
    keys = class_keys(desk.view.classes)
    with st.container(horizontal=True, gap="xsmall"):
        for label in desk.view.classes:
            st.button(
                label,
                key=f"label {label}",
                shortcut=keys.get(label),
                disabled=not ids,
                on_click=decide,
                args=(desk.relabel, label),
            )
    if message := st.session_state.pop("desk_error", None):
        st.error(message)
    if message := st.session_state.pop("nothing_undone", None):
        st.info(message)

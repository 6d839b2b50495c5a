"""The decision buttons, for the item in hand or for everything selected, with their keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from app.services.desk import Desk
from app.services.keys import ACTION_KEYS, class_keys
from weaklight.errors import DataError

__all__ = ["action_buttons"]

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


def action_buttons(
    desk: Desk,
    item_ids: Sequence[str],
    *,
    can_accept: bool,
    then: Callable[[list[str]], None] = lambda undone: None,
    with_keys: bool = True,
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
    with_keys
        Whether keys press the buttons; one set of buttons on a page may have them.
    """
    ids = list(item_ids)
    many = f" {len(ids)}" if len(ids) > 1 else ""

    def act(action: Callable[[], object]) -> None:
        try:
            undone = action()
        except DataError as error:
            st.session_state["desk_error"] = str(error)
            return
        then(undone if isinstance(undone, list) and undone and isinstance(undone[0], str) else [])

    with st.container(horizontal=True, gap="small"):
        for name in ("accept", "skip", "exclude", "flag", "undo"):
            st.button(
                name.capitalize() + ("" if name == "undo" else many),
                key=f"act {name}",
                icon=_ICONS[name],
                help=_HELP[name],
                type="primary" if name == "accept" else "secondary",
                shortcut=ACTION_KEYS[name] if with_keys else None,
                disabled=name != "undo" and not (ids and (name != "accept" or can_accept)),
                on_click=act,
                args=(desk.undo if name == "undo" else _on(getattr(desk, name), ids),),
            )
    keys = class_keys(desk.view.classes)
    with st.container(horizontal=True, gap="small"):
        for label in desk.view.classes:
            st.button(
                label,
                key=f"label {label}",
                shortcut=keys.get(label) if with_keys else None,
                disabled=not ids,
                on_click=act,
                args=(_on(desk.relabel, ids, label),),
            )
    if message := st.session_state.pop("desk_error", None):
        st.error(message)


def _on(action: Callable[..., object], *arguments: object) -> Callable[[], object]:
    return lambda: action(*arguments)

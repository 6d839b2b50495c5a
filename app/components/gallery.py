"""A gallery of pictures or texts with selection, the one widget that Streamlit lacks.

Twenty pictures travel as one message and a click costs one rerun; ten columns of ``st.image`` with
checkboxes cost forty elements.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from app.services.tiles import Tile

__all__ = ["Picked", "gallery"]

TEXT_WIDTH = 200  # CSS pixels: narrower, and lines of text break at every third word
_HERE = Path(__file__).parent
_mount = st.components.v2.component(
    "weaklight_gallery",
    html='<div class="gallery"></div>',
    css=(_HERE / "gallery.css").read_text(encoding="utf-8"),
    js=(_HERE / "gallery.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True)
class Picked:
    """What a person did in the gallery: the picture just opened and those selected."""

    opened: str | None
    selected: tuple[str, ...]


def gallery(
    tiles: Sequence[Tile],
    *,
    key: str,
    current: str | None = None,
    selectable: bool = False,
    width: int = 104,
) -> Picked:
    """Show pictures and return what was picked.

    Parameters
    ----------
    tiles
        The pictures of one page; a few dozen.
    key
        The widget's key; change it to forget the selection.
    current
        Id of the picture to outline.
    selectable
        Whether several can be ticked.
    width
        Least width of a picture in CSS pixels; a text gets more.
    """
    width = max(width, TEXT_WIDTH) if any(tile.words for tile in tiles) else width
    shown = {tile.id for tile in tiles}
    result = _mount(
        key=key,
        data={
            "tiles": [tile.as_dict() for tile in tiles],
            "current": current,
            "selectable": selectable,
            "width": width,
        },
        default={"selected": []},
        on_selected_change=lambda: None,
        on_opened_change=lambda: None,
    )
    # The browser may answer about a page that has been turned since.
    selected = tuple(item_id for item_id in result.selected or () if item_id in shown)
    return Picked(result.opened if result.opened in shown else None, selected)

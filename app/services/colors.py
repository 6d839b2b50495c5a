"""One colour per class and per source, the same on every page.

Try it: ``class_colors(["coat", "bag"])``.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

__all__ = ["NO_LABEL", "SOURCE_COLORS", "class_colors"]

NO_LABEL = "#a8adb3"
# Ten hues of one lightness that stay apart for most kinds of colour vision; order as in Tableau 10.
_PALETTE = (
    "#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1",
    "#76b7b2", "#d4a72c", "#9c755f", "#ff8fa3", "#6b7a8f",
)  # fmt: skip
SOURCE_COLORS = {
    "human": "#d4a72c",
    "votes": "#4e79a7",
    "features": "#59a14f",
    "bag": "#b07aa1",
    "student": "#f28e2b",
    "none": NO_LABEL,
}
_GOLDEN_ANGLE = 0.381966  # successive hues never bunch up, however many classes there are


def class_colors(classes: Sequence[str]) -> dict[str, str]:
    """Return a hex colour per class, by position, so that a class keeps it between runs."""
    return {name: _color(i) for i, name in enumerate(classes)}


def _color(index: int) -> str:
    if index < len(_PALETTE):
        return _PALETTE[index]
    red, green, blue = colorsys.hls_to_rgb((index * _GOLDEN_ANGLE) % 1, 0.52, 0.45)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"

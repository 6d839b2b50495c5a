"""Tiles for the gallery: each item's picture or words, label, colour and mark."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from app.services.colors import NO_LABEL
from app.services.desk import Standing
from pipelines.queries import RunView

__all__ = ["Tile", "tiles"]

_MARKS = {"accept": "✓", "relabel": "✎", "exclude": "✕"}


@dataclass(frozen=True)
class Tile:
    """One item of a gallery.

    Attributes
    ----------
    id : the item's id
    src : the picture as a data URI, empty for a text
    words : the start of a text, empty for a picture
    label : what is written under it
    color : the dot beside the label
    note : smaller text at the right, such as the confidence
    mark : what a person did with it, empty when nobody did
    """

    id: str
    src: str
    label: str
    color: str
    note: str = ""
    words: str = ""
    mark: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return the tile as JSON for the browser."""
        return asdict(self)


def tiles(
    view: RunView,
    rows: Iterable[int],
    colors: Mapping[str, str],
    standing: Standing | None = None,
    notes: Mapping[int, str] | None = None,
) -> list[Tile]:
    """Return the tiles of these rows: the human label where there is one, else the weak one."""
    made = []
    for row in map(int, rows):
        item_id = str(view.item_ids[row])
        label = view.class_name(int(view.labels[row]))
        action = ""
        if standing is not None:
            action = standing.decisions.get(item_id, ("",))[0]
            label = standing.label_of(item_id, label)
        passed = standing is not None and item_id in standing.passed
        text = "excluded" if action == "exclude" else label or "no label"
        confidence = float(view.weak["confidence"].iloc[row])
        seen = view.exhibit(row)
        note = "" if action or label is None else f"{confidence:.0%}"
        made.append(
            Tile(
                id=item_id,
                src=seen.picture,
                words=seen.words,
                label=text,
                color=colors.get(label or "", NO_LABEL),
                note=note if notes is None else notes.get(row, ""),
                mark=_MARKS.get(action, "→" if passed else ""),
            )
        )
    return made

"""Pictures of what the encoder has learnt, of unlabelled items alone.

Nearest items come from the neighbor graph. A vision transformer also shows where it looks, which
patches it takes for alike, and which patch of one item is which of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.payload import Payload
from pipelines.pixels import Pixels
from pipelines.report.images import data_uri, enlarged, thumbnail
from pipelines.report.shown import shown
from ssl_models import Backbone, load_encoder
from ssl_models.pictures import (
    as_rgb,
    attention_maps,
    contact_sheet,
    heat_overlay,
    keep_mass,
    match_patches,
    matched_pair,
    patch_pca,
    patch_tokens,
    to_pixels,
)
from ssl_models.vit import transformer_of
from weak_supervision.neighbors import NeighborGraph
from weaklight.seeds import numpy_generator

__all__ = ["Unlabelled", "nearest_pictures", "patch_pictures"]

Shown = dict[str, Any]

N_QUERIES = 5
N_NEAREST = 7
N_LOOKED_AT = 4
N_GROUPS = 3
GROUP = 4  # items whose patches are analysed together; DINOv2 shows three or four
N_LINES = 12  # matched patches that are drawn; more make a tangle
SMALL = 64  # pixels of a thumbnail's longer side: forty in colour take 200 KB
PANEL = 112  # pixels that one picture of patches is enlarged or shrunk to, at most


@dataclass(frozen=True)
class Unlabelled:
    """The items that these pictures may show: on test and dev a look would cost their honesty.

    Attributes
    ----------
    payload
        All n items.
    names, labels
        Id and name of the weak label of all n items.
    rows
        The unlabelled ones that have a weak label, in random order.
    """

    payload: Payload
    names: Sequence[str]
    labels: Sequence[str]
    rows: NDArray[np.integer]

    @classmethod
    def shuffled(
        cls,
        payload: Payload,
        names: Sequence[str],
        labels: Sequence[str],
        may_show: NDArray[np.bool_],
        seed: int,
    ) -> Unlabelled:
        """Return the items where ``may_show`` (n,) is True, in an order that the seed gives."""
        rows = numpy_generator(seed, "report", "features").permutation(np.flatnonzero(may_show))
        return cls(payload, names, labels, rows)

    def images(self, rows: list[int]) -> NDArray[np.uint8]:
        """Return (g, H, W, C) pixels of g rows, for an encoder of images."""
        assert isinstance(self.payload, Pixels)
        return self.payload[rows]

    def by_label(self) -> dict[str, list[int]]:
        """Return each label's rows, labels by their first row."""
        grouped: dict[str, list[int]] = {}
        for row in self.rows.tolist():
            grouped.setdefault(self.labels[row], []).append(row)
        return grouped


def nearest_pictures(items: Unlabelled, graph: NeighborGraph) -> list[list[Shown]]:
    """Return, for one item of each of a few labels, the item and those nearest to it."""
    allowed = set(items.rows.tolist())

    def picture(row: int, *lines: tuple[str, str]) -> Shown:
        return {
            **shown(items.payload, row, SMALL),
            "title": items.names[row],
            "lines": [("weak", items.labels[row]), *lines],
        }

    rows_of_pictures = []
    for query in [rows[0] for rows in items.by_label().values()][:N_QUERIES]:
        near = [(int(row), cosine) for row, cosine in zip(*graph.neighbors(query), strict=True)]
        found = [(row, cosine) for row, cosine in near if row in allowed][:N_NEAREST]
        nearest = [picture(row, ("cosine", f"{cosine:.2f}")) for row, cosine in found]
        rows_of_pictures.append([picture(query), *nearest])
    return rows_of_pictures


def patch_pictures(items: Unlabelled, folder: Path) -> tuple[list[Shown], list[Shown]]:
    """Return where a vision transformer looks, and what it takes for alike in items of one label.

    Parameters
    ----------
    folder
        The encoder's, whose body is a vision transformer.
    """
    encoder, by_label = load_encoder(folder), items.by_label()
    looked_at = [rows[0] for rows in by_label.values()][:N_LOOKED_AT]
    groups = [rows[:GROUP] for rows in by_label.values() if len(rows) > 1][:N_GROUPS]
    attention = _attention(items, encoder, looked_at) if looked_at else []
    return attention, [_group(items, encoder, rows) for rows in groups]


def _attention(items: Unlabelled, encoder: Backbone, rows: list[int]) -> list[Shown]:
    images, patch = items.images(rows), transformer_of(encoder, "an attention map").patch
    size = images.shape[1:3]
    maps = attention_maps(encoder, images, device="cpu")  # a GPU would give other bytes
    heats, masks = to_pixels(maps, patch, *size), to_pixels(keep_mass(maps), patch, *size)
    pictures = []
    for row, image, heads, kept in zip(rows, images, heats, masks, strict=True):
        panels = [as_rgb(image), *map(heat_overlay, [image] * len(heads), heads, kept)]
        sheet = contact_sheet([enlarged(panel, PANEL) for panel in panels], columns=len(panels))
        pictures.append(
            {"src": data_uri(sheet), "title": items.names[row], "label": items.labels[row]}
        )
    return pictures


def _group(items: Unlabelled, encoder: Backbone, rows: list[int]) -> Shown:
    images, patch = items.images(rows), transformer_of(encoder, "a picture of patches").patch
    size = images.shape[1:3]
    tokens = patch_tokens(encoder, images, device="cpu")
    parts = patch_pca(tokens)
    channels = to_pixels(np.moveaxis(parts.colours, -1, 1), patch, *size)  # (n, 3, H, W)
    painted = np.round(255 * np.moveaxis(channels, 1, -1)).astype(np.uint8)
    panels = [*map(as_rgb, images), *painted]
    matches = match_patches(
        tokens[0], tokens[1], patch=patch, foreground=(parts.foreground[0], parts.foreground[1])
    )
    pair = matched_pair(
        images[0], images[1], matches, scale=max(2, 2 * PANEL // max(size)), most=N_LINES
    )
    return {
        "parts": data_uri(contact_sheet([enlarged(p, PANEL) for p in panels], columns=len(rows))),
        "pair": data_uri(thumbnail(pair, 5 * PANEL)),
        "titles": [items.names[row] for row in rows],
        "label": items.labels[rows[0]],
        "n_pairs": len(matches.similarity),
        "n_drawn": min(N_LINES, len(matches.similarity)),
    }

"""A few typical dev items of a class and its look-alikes, as an LF in feature space.

Try it: ``weaklight lf suggest --kind prototypes``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labeling_functions.suggest.material import MIN_HITS, Material, calibrate

__all__ = ["propose"]

SIZES = (2, 6)  # numbers of positives that are tried
N_NEGATIVES = 5


def propose(
    material: Material, rows: NDArray[np.bool_], precision: float, seed: int
) -> list[Mapping[str, Any]]:
    """Return prototype LFs from the dev items in ``rows``.

    Positives: the items to which the others of the class are most similar (greedy facility
    location). Negatives: the most similar items of other classes. The limit is set on the rows
    that are no examples.
    """
    if material.features is None:
        return []
    unit, ids = material.unit_features, material.table["item_id"].to_numpy()
    usable = np.flatnonzero(rows & unit.any(axis=1))
    found: list[Mapping[str, Any]] = []
    for value, name in enumerate(material.ballot.names):
        own = usable[material.fits[usable, value]]
        others = usable[~material.fits[usable, value]]
        for size in SIZES:
            if len(own) < size + MIN_HITS or not len(others):
                continue
            positives = own[_typical(unit[own] @ unit[own].T, size)]
            likeness = (unit[others] @ unit[positives].T).max(axis=1)
            negatives = others[np.argsort(-likeness, kind="stable")[:N_NEGATIVES]]
            rest = np.setdiff1d(usable, [*positives, *negatives])
            like = (unit[rest] @ unit[positives].T).max(axis=1)
            unlike = (unit[rest] @ unit[negatives].T).max(axis=1)
            similarity = np.where(like > unlike, like, -np.inf)
            limit = calibrate(similarity, material.fits[rest, value], precision)
            if limit is not None:
                found.append(
                    {
                        "kind": "prototype",
                        "vote": name,
                        "positives": ids[positives].tolist(),
                        "negatives": ids[negatives].tolist(),
                        "at_least": limit,
                    }
                )
    return found


def _typical(similarity: NDArray[np.floating], size: int) -> list[int]:
    """Return ``size`` items that together lie near all (b, b) others, greedily."""
    chosen: list[int] = []
    reached = np.full(len(similarity), -1.0)
    for _ in range(size):
        gain = np.maximum(similarity, reached).sum(axis=1)
        gain[chosen] = -np.inf
        chosen.append(int(gain.argmax()))
        reached = np.maximum(reached, similarity[chosen[-1]])
    return chosen

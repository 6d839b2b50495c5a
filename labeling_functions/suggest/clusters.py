"""Groups of items that lie together in feature space and mostly belong to one class.

Try it: ``weaklight lf suggest --kind clusters``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labeling_functions.suggest.material import Material, calibrate

__all__ = ["propose"]

PER_CLASS = 4  # clusters: a class has several looks
MIN_CLUSTER = 20  # items, so that small samples get fewer clusters
N_EXAMPLES = 3


def propose(
    material: Material, rows: NDArray[np.bool_], precision: float, seed: int
) -> list[Mapping[str, Any]]:
    """Return prototype LFs around the centres of k-means clusters of all items.

    The clusters come from features alone. The examples are the items nearest to a centre, never
    one whose gold is held back; the limit is set on ``rows``.
    """
    if material.features is None:
        return []
    from sklearn.cluster import KMeans

    unit, ids = material.unit_features, material.table["item_id"].to_numpy()
    usable = np.flatnonzero(unit.any(axis=1))
    n_clusters = min(PER_CLASS * len(material.ballot.classes), len(usable) // MIN_CLUSTER)
    if n_clusters < 2:
        return []
    means = KMeans(n_clusters, n_init=1, random_state=seed % 2**32).fit(unit[usable])
    free = usable[(rows | (material.gold < 0))[usable]]
    judged = np.flatnonzero(rows & unit.any(axis=1))
    found: list[Mapping[str, Any]] = []
    for centre in means.cluster_centers_:
        examples = free[np.argsort(-(unit[free] @ centre), kind="stable")[:N_EXAMPLES]]
        rest = np.setdiff1d(judged, examples)
        similarity = (unit[rest] @ unit[examples].T).max(axis=1)
        for value, name in enumerate(material.ballot.names):
            limit = calibrate(similarity, material.fits[rest, value], precision)
            if limit is not None:
                positives = ids[examples].tolist()
                table = {"kind": "prototype", "vote": name, "positives": positives}
                found.append({**table, "at_least": limit})
    return found

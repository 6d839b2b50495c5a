"""LFs speak for items close to those that they vote on: each as far as its votes hold there.

Try it: ``extend_votes(votes, build_graph(features), n_classes=3).votes``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weak_supervision.label_models import MajorityVote, covered
from weak_supervision.neighbors import NeighborGraph
from weaklight.contracts import ABSTAIN, ClassSet, Votes, check_votes, expand_votes
from weaklight.errors import DataError
from weaklight.intervals import wilson_share

__all__ = ["Extended", "extend_votes"]

RINGS = 10  # equally filled steps of similarity at which an LF's reach may end
MIN_CHECKED = 20  # extended votes in a ring that other LFs speak about; fewer tell nothing


@dataclass(frozen=True)
class Extended:
    """Votes that reach further.

    Attributes
    ----------
    votes
        (n, m) int16: the votes that came in, and extended ones where an LF was silent.
    least_similarity
        (m,) float32: how similar an item has to be to one that the LF votes on; 1 for LFs that
        are not extended.
    n_extended
        (m,) int64: how many votes each LF gained.
    """

    votes: Votes
    least_similarity: NDArray[np.float32]
    n_extended: NDArray[np.int64]


def extend_votes(
    votes: NDArray[np.generic],
    graph: NeighborGraph,
    *,
    n_classes: int,
    class_sets: tuple[ClassSet, ...] = (),
) -> Extended:
    """Extend each LF's votes to near items, within a radius of its own.

    A silent LF takes over its vote on the nearest of the item's neighbors that it votes on. How far
    it may do so is seen without gold: other LFs' majority is compared with its own votes, and with
    the extended ones in rings of falling similarity. The radius ends before the first ring whose
    agreement is surely below that of its own votes.

    Parameters
    ----------
    votes
        (n, m): -1 abstains, 0..K-1 a class, K+s the s-th class set.
    graph
        Neighbors of the same n items; votes reach no further than an item's neighbors.

    Raises
    ------
    DataError
        If votes and graph speak of different items.

    Notes
    -----
    Time O(n k m), memory O(n m). Agreement with other LFs is no accuracy: LFs that err together
    extend together.

    References
    ----------
    Chen et al. 2022, "Shoring up the foundations: fusing model embeddings and weak supervision",
    arXiv:2203.13270, section 3.2. There the radii are tuned on gold and the classes are two.
    """
    checked = check_votes(votes, n_classes, len(class_sets))
    if graph.n_items != len(checked):
        raise DataError(
            f"votes and graph must speak of the same items, but came with {len(checked)} and "
            f"{graph.n_items}; build the graph from these items"
        )
    nearest, similarity = _nearest_votes(checked, graph)
    voice = expand_votes(n_classes, class_sets)
    out = checked.copy()
    least = np.ones(checked.shape[1], dtype=np.float32)
    for lf in range(checked.shape[1]):
        others = checked.copy()
        others[:, lf] = ABSTAIN
        majority = MajorityVote().fit(others, n_classes=n_classes, class_sets=class_sets)
        # sure majorities only: a tie agrees with everything
        said = majority.predict_proba(others)
        known = covered(others) & (said.max(axis=1) > 0.5)
        least[lf] = _radius(
            checked[:, lf], nearest[:, lf], similarity[:, lf], said.argmax(axis=1), known, voice
        )
        reaches = (nearest[:, lf] != ABSTAIN) & (similarity[:, lf] >= least[lf])
        out[reaches, lf] = nearest[reaches, lf]
    return Extended(out, least, (out != checked).sum(axis=0))


def _nearest_votes(votes: Votes, graph: NeighborGraph) -> tuple[Votes, NDArray[np.float32]]:
    """Return what each silent LF says on the nearest neighbor that it votes on, and how near."""
    nearest = np.full_like(votes, ABSTAIN)
    similarity = np.zeros(votes.shape, dtype=np.float32)
    degree = np.diff(graph.indptr)
    for rank in range(int(degree.max(initial=0)) - 1, -1, -1):  # the nearest writes last
        rows = np.flatnonzero(degree > rank)
        edges = graph.indptr[rows] + rank
        said = votes[graph.indices[edges]]  # (rows, m)
        speaks = said != ABSTAIN
        nearest[rows] = np.where(speaks, said, nearest[rows])
        similarity[rows] = np.where(speaks, graph.data[edges, None], similarity[rows])
    nearest[votes != ABSTAIN] = ABSTAIN
    return nearest, similarity


def _radius(
    own: NDArray[np.int16],
    nearest: NDArray[np.int16],
    similarity: NDArray[np.float32],
    majority: NDArray[np.intp],
    known: NDArray[np.bool_],
    voice: NDArray[np.float64],
) -> float:
    """Return the least similarity at which extended votes still hold; 1 where none is seen to."""
    at_home = known & (own != ABSTAIN)
    abroad = np.flatnonzero(known & (nearest != ABSTAIN))
    if at_home.sum() < MIN_CHECKED or len(abroad) < MIN_CHECKED:
        return 1.0
    home = float((voice[own[at_home], majority[at_home]] > 0).mean())
    abroad = abroad[np.argsort(-similarity[abroad], kind="stable")]
    agrees = voice[nearest[abroad], majority[abroad]] > 0
    least = 1.0
    for ring in np.array_split(np.arange(len(abroad)), min(RINGS, len(abroad) // MIN_CHECKED)):
        if wilson_share(float(agrees[ring].mean()), len(ring))[1] < home:
            break
        least = float(similarity[abroad[ring[-1]]])
    return least

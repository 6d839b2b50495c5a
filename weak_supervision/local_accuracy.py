"""An LF is better in some regions than in others: how good it is near each item.

Try it: ``weigh_votes_locally(votes, build_graph(features), n_classes=3)``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from weak_supervision.label_models import MajorityVote, covered
from weak_supervision.neighbors import NeighborGraph
from weaklight.contracts import ABSTAIN, ClassSet, Votes, check_votes, expand_votes
from weaklight.errors import DataError

__all__ = ["local_accuracies", "weigh_votes_locally"]

STRENGTH = 5.0  # neighbors' worth of an LF's average accuracy in its accuracy at any place
ROUNDS = 5
SURE = 0.99  # no LF counts for more, however well it has done nearby


def local_accuracies(
    votes: Votes,
    posterior: NDArray[np.floating],
    graph: NeighborGraph,
    *,
    class_sets: tuple[ClassSet, ...] = (),
    strength: float = STRENGTH,
) -> NDArray[np.float32]:
    """Return how often each LF is believed right near each item.

    Parameters
    ----------
    votes
        (n, m) int16.
    posterior
        (n, K): what is believed of the items.
    graph
        Neighbors of the same n items; the item itself does not count.
    strength
        The LF's average counts like so many neighbors at similarity 1, so that places where it
        hardly votes show the average.

    Returns
    -------
    (n, m) float32 in 0..1. Beliefs, no accuracies on gold.

    Notes
    -----
    Time O(n k m), memory O(n m).
    """
    n_classes = posterior.shape[1]
    voice = np.vstack([expand_votes(n_classes, class_sets) > 0, np.zeros(n_classes)])
    speaks = (votes != ABSTAIN).astype(np.float32)
    right = np.stack(
        [np.einsum("nk,nk->n", posterior, voice[column]) for column in votes.T], axis=1
    ).astype(np.float32)  # (n, m): belief in what each vote names
    average = (right.sum(axis=0) + 1.0) / (speaks.sum(axis=0) + 2.0)
    weights = graph.symmetric()
    near_right, near_votes = weights @ right, weights @ speaks
    local: NDArray[np.float32] = (near_right + strength * average) / (near_votes + strength)
    return local.astype(np.float32)


def weigh_votes_locally(
    votes: NDArray[np.generic],
    graph: NeighborGraph,
    *,
    n_classes: int,
    class_sets: tuple[ClassSet, ...] = (),
    rounds: int = ROUNDS,
) -> NDArray[np.float32]:
    """Return a posterior in which each vote counts by its LF's accuracy near the item.

    Starts from the majority vote; believes and local accuracies then set each other in turn.

    Parameters
    ----------
    votes
        (n, m): -1 abstains, 0..K-1 a class, K+s the s-th class set.
    graph
        Neighbors of the same n items.

    Returns
    -------
    (n, K) float32, rows sum to 1; rows without votes hold the class balance.

    Raises
    ------
    DataError
        If votes and graph speak of different items.

    References
    ----------
    The one-coin model of Dawid and Skene 1979 with an accuracy a place; Chen et al. 2022,
    arXiv:2203.13270, section 3.1, fit one label model a part of the feature space instead.
    """
    checked = check_votes(votes, n_classes, len(class_sets))
    if graph.n_items != len(checked):
        raise DataError(
            f"votes and graph must speak of the same items, but came with {len(checked)} and "
            f"{graph.n_items}; build the graph from these items"
        )
    start = MajorityVote().fit(checked, n_classes=n_classes, class_sets=class_sets)
    posterior = start.predict_proba(checked)
    known = covered(checked)
    named = np.vstack([expand_votes(n_classes, class_sets) > 0, np.ones(n_classes)])  # (V + 1, K)
    n_named = named.sum(axis=1)
    for _ in range(rounds if known.any() else 0):
        prior = posterior[known].mean(axis=0)
        local = local_accuracies(checked, posterior, graph, class_sets=class_sets)
        local = np.clip(local, 1.0 - SURE, SURE)
        logits = np.tile(np.log(np.maximum(prior, 1e-9)), (len(checked), 1))  # (n, K)
        for lf, column in enumerate(checked.T):
            inside = local[:, lf] / n_named[column]
            outside = (1.0 - local[:, lf]) / np.maximum(n_classes - n_named[column], 1)
            speaks = (column != ABSTAIN)[:, None]
            by_vote = np.where(named[column] > 0, inside[:, None], outside[:, None])
            logits += np.where(speaks, np.log(by_vote), 0.0)
        posterior = softmax(logits, axis=1).astype(np.float32)
    return posterior

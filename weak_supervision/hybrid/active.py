"""Which items to label by hand next.

Try it: ``labelling_order(posterior, votes, graph, n=20)``.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from weak_supervision.neighbors import NeighborGraph
from weaklight.contracts import ABSTAIN, Votes, check_posterior
from weaklight.errors import ConfigError, DataError
from weaklight.words import nearest

__all__ = ["CRITERIA", "Criterion", "labelling_order"]

Criterion = Literal["uncertainty", "disagreement", "coverage", "conflict", "mixed"]
CRITERIA: tuple[Criterion, ...] = ("uncertainty", "disagreement", "coverage", "conflict", "mixed")


def labelling_order(
    posterior: NDArray[np.floating],
    votes: Votes,
    graph: NeighborGraph,
    *,
    n: int,
    criterion: Criterion = "mixed",
    settled: NDArray[np.bool_] | None = None,
    candidates: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """Return the rows to label by hand, the most useful first.

    Parameters
    ----------
    posterior
        (N, K) what is believed now.
    votes
        (N, m) votes of the LFs.
    graph
        Neighbors of the same items.
    n
        How many rows; fewer come back where fewer are open.
    criterion
        ``uncertainty``: entropy of the posterior. ``disagreement``: entropy of the item's votes.
        ``conflict``: how many items carry the same conflicting votes, so that one answer speaks for
        many. ``coverage``: how much of the graph lies near and is far from everything labelled.
        ``mixed``: the product of uncertainty and coverage, which is neither the same odd corner
        twice nor what is clear anyway.
    settled
        (N,) rows that people have labelled already, so that they teach; they are not offered and
        cover their neighbors.
    candidates
        (N,) rows that may be offered, all where left out. The others, such as dev and test items,
        teach nothing: they do not cover their neighbors but count among what a pick stands for.

    Raises
    ------
    ConfigError
        If the criterion is unknown.
    DataError
        If the rows do not match.

    Notes
    -----
    Greedy: after each pick its neighbors count for less, in proportion to their similarity, so a
    batch is spread out; plain coverage is submodular, and greedy picks reach 1 - 1/e of the best
    possible. Time O(n (N + k^3)). The picks are a biased sample: they may train, and never measure.

    References
    ----------
    Settles 2009, "Active learning literature survey", sections 3.1, 3.2 and 3.6; Nemhauser, Wolsey
    and Fisher 1978 for the bound; Wei et al. 2015, "Submodularity in data subset selection and
    active learning".
    """
    if criterion not in CRITERIA:
        raise ConfigError(
            f"criterion must be one of {list(CRITERIA)}, but is {criterion!r}"
            f"{nearest(criterion, CRITERIA)}"
        )
    p = check_posterior(posterior, posterior.shape[1])
    if not len(p) == len(votes) == graph.n_items:
        raise DataError(
            f"posterior, votes and graph must speak of the same items, but have {len(p)}, "
            f"{len(votes)} and {graph.n_items}"
        )
    labelled = np.zeros(len(p), dtype=np.bool_) if settled is None else settled
    taken = labelled.copy() if candidates is None else labelled | ~candidates
    value = {
        "uncertainty": lambda: _entropy(p.astype(np.float64)),
        "disagreement": lambda: _entropy(_vote_shares(votes)),
        "conflict": lambda: _same_conflict(votes),
        "coverage": lambda: np.ones(len(p)),
        "mixed": lambda: _entropy(p.astype(np.float64)) + 1e-9,
    }[criterion]()
    weights = graph.symmetric()
    covers = criterion in ("coverage", "mixed")
    # how much of each item is still unlike everything labelled
    open_share = np.ones(len(p))
    for row in np.flatnonzero(labelled):
        _cover(open_share, weights, int(row))
    reach = open_share + weights @ open_share if covers else open_share
    score = np.where(taken, -np.inf, value * reach)
    picks: list[int] = []
    for _ in range(min(n, int((~taken).sum()))):
        best = int(score.argmax())
        picks.append(best)
        taken[best] = True
        changed = _cover(open_share, weights, best)
        reach = open_share[changed]
        if covers:  # what changed is also within reach of its own neighbors
            changed = np.union1d(changed, weights[changed].indices)
            reach = open_share[changed] + weights[changed] @ open_share
        score[changed] = np.where(taken[changed], -np.inf, value[changed] * reach)
    return np.array(picks, dtype=np.int64)


def _cover(
    open_share: NDArray[np.float64], weights: sparse.csr_matrix, row: int
) -> NDArray[np.int64]:
    """Take from the neighbors of ``row`` what it says about them, and from itself everything.

    Returns the rows whose share changed.
    """
    part = slice(weights.indptr[row], weights.indptr[row + 1])
    near = weights.indices[part]
    open_share[near] *= 1.0 - np.clip(weights.data[part], 0.0, 1.0)
    open_share[row] = 0.0
    return np.append(near, row).astype(np.int64)


def _entropy(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n,) in nats; 0 for rows of zeros."""
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return np.asarray(-(shares * logs).sum(axis=1))


def _vote_shares(votes: Votes) -> NDArray[np.float64]:
    """Return (n, values): how an item's votes are divided, rows of zeros where nobody votes."""
    values = np.unique(votes[votes != ABSTAIN])
    counts = np.zeros((len(votes), len(values)))
    for column, value in enumerate(values):
        counts[:, column] = (votes == value).sum(axis=1)
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0))


def _same_conflict(votes: Votes) -> NDArray[np.float64]:
    """Return (n,): how many items carry this row's votes, 0 where the votes do not conflict."""
    _, pattern, count = np.unique(votes, axis=0, return_inverse=True, return_counts=True)
    conflicts = _entropy(_vote_shares(votes)) > 0
    return np.where(conflicts, count[pattern.reshape(-1)], 0).astype(np.float64)

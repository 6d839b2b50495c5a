"""Evidence about labels that needs no gold: predict what left-out LFs say.

Try it: ``group_lfs(votes)``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from weak_supervision.neighbors import NeighborGraph
from weaklight.contracts import ABSTAIN, TIE, ClassSet, Votes, expand_votes
from weaklight.seeds import numpy_generator

__all__ = [
    "LEVEL",
    "agreement_above_chance",
    "bootstrap_means",
    "group_lfs",
    "mean_over_groups",
    "neighbor_agreement",
    "one_hot",
    "said_by",
    "unanimous",
]

# Stricter than the usual 95 %: several comparisons are made, and a bootstrap over items knows
# nothing of how the result would change with other LFs.
LEVEL = 0.99
MAX_DISTINCT = 500  # values that bootstrap draws are counted over
SIZE_COUNTS = 1e-3  # of a group's votes for other classes, beside those for the same
ALIKE = 0.5  # LFs that say the same on half of what either votes on are one witness


def group_lfs(votes: Votes, *, max_groups: int = 5) -> list[NDArray[np.intp]]:
    """Return groups of LFs, to be left out one group at a time.

    LFs that mostly say the same on the same items stay together: left out alone, such an LF would
    be predicted by its twins, and the twins' errors would pass for evidence. The clusters are then
    packed into at most ``max_groups`` groups with about as many votes for each class: without any
    LF that knows a class, nothing could predict those that name it.

    Parameters
    ----------
    votes
        (n, m) int16.

    Returns
    -------
    Lists of column numbers; LFs that never vote are in none.

    Notes
    -----
    Time O(n m^2 V), memory O(n m). Average linkage on 1 - same votes / items that either
    votes on.
    """
    n_votes = (votes != ABSTAIN).sum(axis=0)
    lfs = np.flatnonzero(n_votes)
    if len(lfs) < 2:
        return [lfs] if len(lfs) else []
    said = votes[:, lfs]
    symbols = np.unique(said[said != ABSTAIN])
    n_votes_for = np.zeros((len(symbols), len(lfs)))
    same = np.zeros((len(lfs), len(lfs)))
    for number, symbol in enumerate(symbols):
        says = (said == symbol).astype(np.float32)  # (n, m)
        n_votes_for[number] = says.sum(axis=0)
        same += says.T @ says
    speaks = (said != ABSTAIN).astype(np.float32)
    both = speaks.T @ speaks
    either = n_votes[lfs][:, None] + n_votes[lfs][None, :] - both
    distance = 1.0 - same / either
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), method="average")
    cluster = fcluster(tree, t=1.0 - ALIKE, criterion="distance")

    sizes = np.bincount(cluster, n_votes[lfs])
    n_groups = min(max_groups, len(np.unique(cluster)))
    groups: list[list[int]] = [[] for _ in range(n_groups)]
    filled = np.zeros((n_groups, len(symbols)))
    for number in np.argsort(-sizes, kind="stable"):
        if sizes[number]:
            votes_for = n_votes_for[:, cluster == number].sum(axis=1)  # (V,)
            rivals = filled @ votes_for / sizes[number]
            freest = int((rivals + SIZE_COUNTS * filled.sum(axis=1)).argmin())
            groups[freest].extend(lfs[cluster == number].tolist())
            filled[freest] += votes_for
    return [np.array(sorted(group), dtype=np.intp) for group in groups]


def one_hot(proba: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return (n, K) float32 with 1 at each row's likeliest class, shared where classes tie."""
    best = proba >= proba.max(axis=1, keepdims=True) - TIE
    shared: NDArray[np.float32] = (best / best.sum(axis=1, keepdims=True)).astype(np.float32)
    return shared


def said_by(
    votes: Votes, n_classes: int, class_sets: tuple[ClassSet, ...] = ()
) -> NDArray[np.float64]:
    """Return what LFs say of each row, (n, K): the mean of their votes, zeros where all abstain.

    Parameters
    ----------
    votes
        (n, m): -1 abstains, 0..K-1 a class, K+s the s-th class set, whose members share the vote.
    """
    voice = np.vstack([expand_votes(n_classes, class_sets), np.zeros(n_classes)])  # last: ABSTAIN
    said = np.zeros((len(votes), n_classes))
    for column in votes.T:
        said += voice[column]
    said /= np.maximum(said.sum(axis=1, keepdims=True), 1e-12)
    return said


def agreement_above_chance(
    proba: NDArray[np.floating],
    said: NDArray[np.floating],
    known: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Return how much better than chance each row's likeliest class fits what was said of it.

    Parameters
    ----------
    proba
        (n, K) predictions.
    said
        (n, K): what left-out LFs say of each row, rows sum to 1 or, where they are silent, to 0.
    known
        (n,) bool: where false the prediction is no answer, which is worth as much as a guess: 0.

    Returns
    -------
    (n,) float64 in -1..1, NaN where nothing was said. Chance is how often the predictions name the
    class anyway, so that always predicting what the left-out LFs like to say earns nothing
    (Cohen 1960's correction, item by item).
    """
    predicted = one_hot(proba).astype(np.float64)
    answered = np.ones(len(predicted), dtype=np.bool_) if known is None else known
    chance = predicted[answered].sum(axis=0) / max(int(answered.sum()), 1)
    lift = np.where(answered, np.einsum("nk,nk->n", said, predicted - chance), 0.0)
    return np.where(said.sum(axis=1) > 0, lift, np.nan)


def bootstrap_means(
    difference: NDArray[np.floating], *, seed: int = 0, draws: int = 1000
) -> NDArray[np.float64]:
    """Return the means of bootstrap draws from the finite rows of ``difference``.

    Parameters
    ----------
    difference
        (n,) floats; NaN rows are left out.

    Returns
    -------
    (draws,) float64, NaN without a finite row. Their first percentile is a lower bound of the mean
    with 99 % confidence.

    References
    ----------
    Efron and Tibshirani 1993, "An introduction to the bootstrap", chapter 13 (percentile interval).
    """
    finite = np.asarray(difference, dtype=np.float64)
    values, counts = np.unique(finite[np.isfinite(finite)], return_counts=True)
    total = int(counts.sum())
    if not total:
        return np.full(draws, np.nan)
    generator = numpy_generator(seed, "bootstrap")
    if len(values) > MAX_DISTINCT:  # so many rows that their mean is normal
        mean = values @ counts / total
        error = np.sqrt((values - mean) ** 2 @ counts) / total
        return mean + error * generator.standard_normal(draws)
    # drawing how often each distinct value occurs equals drawing rows, and is faster
    drawn = generator.multinomial(total, counts / total, size=draws)
    means: NDArray[np.float64] = drawn @ values / total
    return means


def mean_over_groups(parts: list[NDArray[np.float64]], n_items: int) -> NDArray[np.float64]:
    """Return each item's mean over the groups that say anything of it, (n,), NaN where none."""
    stacked = np.stack(parts) if parts else np.empty((0, n_items))  # (groups, n)
    n_known = np.isfinite(stacked).sum(axis=0)
    return np.where(n_known > 0, np.nansum(stacked, axis=0) / np.maximum(n_known, 1), np.nan)


def neighbor_agreement(labels: NDArray[np.integer], graph: NeighborGraph) -> float | None:
    """Return the share of neighbor pairs, both labelled, with the same label; None without any."""
    item = np.repeat(np.arange(graph.n_items), np.diff(graph.indptr))
    both = (labels[item] != ABSTAIN) & (labels[graph.indices] != ABSTAIN)
    if not both.any():
        return None
    return float((labels[item] == labels[graph.indices])[both].mean())


def unanimous(votes: Votes, n_classes: int, *, at_least: int = 2) -> NDArray[np.int64]:
    """Return the class that all of an item's LFs vote for, (n,) int64; -1 where there is none.

    Items with fewer than ``at_least`` votes, or with a vote for a class set, have none: one voice
    is no agreement, and a set names no single class.
    """
    speaks = votes != ABSTAIN
    top = votes.max(axis=1, initial=ABSTAIN)
    bottom = np.where(speaks, votes, np.iinfo(np.int16).max).min(axis=1, initial=32767)
    agreed = (speaks.sum(axis=1) >= at_least) & (top == bottom) & (top < n_classes)
    return np.where(agreed, top, ABSTAIN).astype(np.int64)

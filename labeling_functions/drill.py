"""The items behind the numbers of the LF table, and the items that are worth an answer.

Try it: ``drill(result.votes, gold, j, classes=classes)["wrong"]``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labeling_functions.pairs import contradictions
from weaklight.contracts import ABSTAIN, ClassSet, Votes, check_votes, expand_votes
from weaklight.errors import DataError

__all__ = ["check_gold", "drill", "drill_pair", "settle_most_conflicts"]


def drill(
    votes: Votes,
    gold: NDArray[np.integer] | None,
    j: int,
    *,
    classes: Sequence[str] | None = None,
    class_sets: Sequence[ClassSet] = (),
) -> dict[str, NDArray[np.intp]]:
    """Return the items behind LF ``j``'s numbers, as ascending row indices.

    Parameters
    ----------
    votes, gold, class_sets
        As in ``analyse``.
    classes
        Needed only where votes name class sets.

    Returns
    -------
    ``votes`` and ``abstains`` (together all rows); ``right`` and ``wrong`` (its votes on items
    with gold); ``overlaps`` (its votes beside another LF's) and ``conflicts`` (its votes that
    another LF's vote contradicts).
    """
    n_classes = _n_classes(classes, class_sets, votes, gold)
    votes = check_votes(votes, n_classes, len(class_sets))
    members = expand_votes(n_classes, tuple(class_sets)) > 0
    known = check_gold(gold, len(votes), n_classes)
    mine = votes[:, j]
    voted = np.flatnonzero(mine != ABSTAIN)
    judged = voted[known[voted] >= 0]
    is_right = members[mine[judged], known[judged]]
    against = contradictions(members)[mine[voted, None], votes[voted]]
    return {
        "votes": voted,
        "right": judged[is_right],
        "wrong": judged[~is_right],
        "overlaps": voted[(votes[voted] != ABSTAIN).sum(axis=1) > 1],
        "conflicts": voted[against.any(axis=1)],
        "abstains": np.flatnonzero(mine == ABSTAIN),
    }


def drill_pair(
    votes: Votes,
    j: int,
    k: int,
    *,
    classes: Sequence[str] | None = None,
    class_sets: Sequence[ClassSet] = (),
) -> dict[str, NDArray[np.intp]]:
    """Return the items behind the numbers of ``pair_counts`` for LFs ``j`` and ``k``.

    Returns
    -------
    Ascending rows: ``both`` (both vote), ``same`` (with equal votes) and ``conflicts`` (with votes
    that cannot both be right).
    """
    n_classes = _n_classes(classes, class_sets, votes, None)
    votes = check_votes(votes, n_classes, len(class_sets))
    clash = contradictions(expand_votes(n_classes, tuple(class_sets)) > 0)
    one, other = votes[:, j], votes[:, k]
    both = (one != ABSTAIN) & (other != ABSTAIN)
    return {
        "both": np.flatnonzero(both),
        "same": np.flatnonzero(both & (one == other)),
        "conflicts": np.flatnonzero(clash[one, other]),
    }


def settle_most_conflicts(
    votes: Votes,
    k: int,
    *,
    classes: Sequence[str] | None = None,
    class_sets: Sequence[ClassSet] = (),
) -> NDArray[np.intp]:
    """Return up to ``k`` items whose true class would settle the most conflicts, best first.

    One answer speaks for every item on which the LFs voted alike. So items are grouped by their
    row of votes; a group weighs its size times the pairs of LFs that contradict each other in it;
    the heaviest groups send their first item each, then their second, and so on. Items without a
    conflict are never returned.

    Notes
    -----
    O(n m V) time, O(n V) memory.
    """
    n_classes = _n_classes(classes, class_sets, votes, None)
    votes = check_votes(votes, n_classes, len(class_sets))
    clash = contradictions(expand_votes(n_classes, tuple(class_sets)) > 0)[:-1, :-1]
    counts = np.zeros((len(clash), len(votes)), np.int32)  # (V, n)
    for column in votes.T:
        for value in np.unique(column[column != ABSTAIN]):
            counts[value] += column == value
    pairs = np.zeros(len(votes), np.int64)
    for value, against in enumerate(clash):
        pairs += counts[value] * counts[against].sum(axis=0)
    pairs //= 2  # each pair was counted from both sides
    rows = np.flatnonzero(pairs)
    if not len(rows):
        return rows
    group = _alike(votes[rows], len(clash))
    size = np.bincount(group)
    turn = pd.Series(group).groupby(group).cumcount().to_numpy()
    order = np.lexsort((rows, group, -pairs[rows] * size[group], turn))
    return rows[order[:k]]


def check_gold(gold: NDArray[np.integer] | None, n: int, n_classes: int) -> NDArray[np.int64]:
    """Return gold as (n,) class ids, -1 where unknown.

    Raises
    ------
    DataError
        If its length or a value is wrong.
    """
    known: NDArray[np.int64] = np.full(n, -1) if gold is None else np.asarray(gold).astype(np.int64)
    if known.shape != (n,) or (n and (known.min() < -1 or known.max() >= n_classes)):
        raise DataError(
            f"gold must hold {n} class ids between -1 (unknown) and {n_classes - 1}, but came with "
            f"shape {known.shape}; map class names to ids first"
        )
    return known


def _alike(votes: Votes, n_values: int) -> NDArray[np.intp]:
    """Return (n,) group numbers, equal where the rows of votes are; O(n m) time.

    Columns are read as digits of one number, which is renumbered before it overflows: exact, and
    far faster than sorting rows.
    """
    base = n_values + 1
    group = np.zeros(len(votes), np.int64)
    largest = 1
    for column in votes.T:
        if largest >= 2**62 // base:
            group = pd.factorize(group)[0].astype(np.int64)
            largest = len(votes)
        group = group * base + (column + 1)
        largest *= base
    return pd.factorize(group)[0]


def _n_classes(
    classes: Sequence[str] | None,
    class_sets: Sequence[ClassSet],
    votes: Votes,
    gold: NDArray[np.integer] | None,
) -> int:
    """Return K, from the arrays themselves where no classes are given."""
    if classes is not None:
        return len(classes)
    if class_sets:
        raise DataError("class sets were given without classes; pass classes= as well")
    arrays = [votes] if gold is None else [votes, gold]
    return 1 + max(int(np.max(array, initial=0)) for array in arrays)

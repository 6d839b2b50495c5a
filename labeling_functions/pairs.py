"""Two LFs at a time: where both vote, say the same, or contradict each other.

Try it: ``pair_counts(result.votes, classes=classes).conflicts``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weaklight.contracts import ABSTAIN, ClassSet, Votes, check_votes, expand_votes

__all__ = ["PairCounts", "contradictions", "pair_counts", "sayings"]

ROWS_AT_ONCE = 65_536  # counts of a block stay below 2**24, so float32 sums of ones are exact


@dataclass(frozen=True)
class PairCounts:
    """On how many items two LFs meet; each (m, m) int64, symmetric.

    Attributes
    ----------
    both : items on which both vote; the diagonal counts each LF's own votes
    same : items on which both give the same vote
    conflicts : items on which no class satisfies both votes
    """

    both: NDArray[np.int64]
    same: NDArray[np.int64]
    conflicts: NDArray[np.int64]

    @property
    def either(self) -> NDArray[np.int64]:
        """Items on which at least one of the two votes."""
        own = np.diag(self.both)
        return own[:, None] + own[None, :] - self.both


def pair_counts(
    votes: Votes, *, classes: Sequence[str], class_sets: Sequence[ClassSet] = ()
) -> PairCounts:
    """Count, for each pair of LFs, shared items, equal votes and conflicts.

    Parameters
    ----------
    votes : (n, m) int
        -1 abstains, 0..K-1 a class, K.. a class set.

    Notes
    -----
    O(n m V + n m^2) time at worst; LFs that stand for one class each, as most do, need
    O(n m V + n m^2 / V) beside one (m, n) x (n, m) product. Memory O(65,536 m).
    """
    votes = check_votes(votes, len(classes), len(class_sets))
    clash = contradictions(expand_votes(len(classes), tuple(class_sets)) > 0)
    m = votes.shape[1]
    both, same, conflicts = (np.zeros((m, m), np.int64) for _ in range(3))
    for start in range(0, len(votes), ROWS_AT_ONCE):
        block = np.ascontiguousarray(votes[start : start + ROWS_AT_ONCE].T)  # (m, b)
        spoken = (block != ABSTAIN).astype(np.float32)
        both += (spoken @ spoken.T).astype(np.int64)
        for value, lfs, says in sayings(block, len(clash) - 1):
            same[np.ix_(lfs, lfs)] += (says @ says.T).astype(np.int64)
            against = clash[value][block].astype(np.float32)  # (m, b)
            others = np.flatnonzero(against.any(axis=1))
            conflicts[np.ix_(lfs, others)] += (says @ against[others].T).astype(np.int64)
    return PairCounts(both, same, conflicts)


def sayings(
    block: Votes, n_values: int
) -> Iterator[tuple[int, NDArray[np.intp], NDArray[np.float32]]]:
    """Yield ``(value, LFs, says)`` for each vote value that occurs in a block.

    Parameters
    ----------
    block : (m, b) int16
        Votes, one row an LF.

    Returns
    -------
    ``LFs`` (a,) that give this vote at all, and ``says`` (a, b) float32, 1 where they do.
    """
    for value in range(n_values):
        is_said = block == value
        lfs = np.flatnonzero(is_said.any(axis=1))
        if len(lfs):
            yield value, lfs, is_said[lfs].astype(np.float32)


def contradictions(members: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which two vote values no class satisfies both.

    Parameters
    ----------
    members : (V, K) bool
        Which classes each vote value names.

    Returns
    -------
    (V + 1, V + 1) bool, symmetric. The last row and column, which -1 picks, are False: an
    abstention contradicts nobody.
    """
    clash = np.zeros((len(members) + 1, len(members) + 1), bool)
    clash[:-1, :-1] = ~(members @ members.T)
    return clash

"""How the LFs vote: coverage, overlaps, conflicts, accuracy, and the items behind each number.

Try it: ``analyse(result.votes, [lf.name for lf in lfs], classes=classes, gold=gold)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from weaklight.contracts import ABSTAIN, ClassSet, Votes, check_posterior, check_votes
from weaklight.errors import DataError
from weaklight.intervals import Proportion

__all__ = ["analyse", "drill", "settle_most_conflicts"]

REDUNDANT_AGREEMENT = 0.95  # share of jointly covered items with the same vote
REDUNDANT_JACCARD = 0.9  # jointly covered items over items that either covers
ROWS_AT_ONCE = 65_536
COLUMNS = (
    "polarity coverage overlaps conflicts n_votes correct gold_n accuracy low high "
    "learned_accuracy redundant_with"
).split()


def analyse(
    votes: Votes,
    names: Sequence[str],
    *,
    classes: Sequence[str],
    class_sets: Sequence[ClassSet] = (),
    gold: NDArray[np.integer] | None = None,
    posterior: NDArray[np.floating] | None = None,
) -> pd.DataFrame:
    """Describe each LF in one row.

    Parameters
    ----------
    votes : (n, m) int
        -1 abstains, 0..K-1 a class, K.. a class set.
    names
        m names of LFs, in column order.
    gold : (n,) int
        Class ids, -1 where unknown.
    posterior : (n, K) float32
        Rows sum to 1; a label model's belief.

    Returns
    -------
    DataFrame indexed by LF ``name`` in column order:

    ``polarity`` names it votes for; ``coverage``, ``overlaps`` and ``conflicts`` shares of the n
    items on which it votes, votes beside another LF, and votes against another LF; ``n_votes``;
    ``correct`` of ``gold_n`` votes on known items; ``accuracy`` with its Wilson interval ``low``,
    ``high`` (NaN without gold); ``learned_accuracy`` mean posterior of what it voted for (NaN
    without posterior); ``redundant_with`` the other LF that votes almost the same on almost the
    same items, or "" where there is none.

    Raises
    ------
    DataError
        If the arrays do not fit together.

    Notes
    -----
    A class set is right where gold is a member, and two votes conflict only if no class satisfies
    both: "footwear" never conflicts with "boot". For plain classes the shares equal Snorkel's
    ``LFAnalysis``. O(n m V + n m^2) time for V vote values, O(65,536 (m + V)) memory at once.
    """
    votes = check_votes(votes, len(classes), len(class_sets))
    n, m = votes.shape
    if len(names) != m:
        raise DataError(f"votes has {m} columns, but {len(names)} names came; give one per LF")
    labels = [*classes, *(class_set.name for class_set in class_sets)]
    members = _members(len(classes), class_sets)
    gold = _check_gold(gold, n, len(classes))
    table = _count(votes, members, gold)
    learned = np.full(m, np.nan)
    if posterior is not None:
        learned = _learned_accuracy(votes, members, check_posterior(posterior, len(classes)))
    twins = _redundant_with(votes, len(labels))
    rows = []
    for j in range(m):
        n_votes, right, known = int(table.votes[j]), int(table.right[j]), int(table.known[j])
        accuracy = Proportion(right, known)
        low, high = accuracy.interval if known else (np.nan, np.nan)
        rows.append(
            {
                "polarity": [labels[v] for v in np.unique(votes[:, j]) if v != ABSTAIN],
                "coverage": n_votes / n if n else 0.0,
                "overlaps": table.overlaps[j] / n if n else 0.0,
                "conflicts": table.conflicts[j] / n if n else 0.0,
                "n_votes": n_votes,
                "correct": right,
                "gold_n": known,
                "accuracy": right / known if known else np.nan,
                "low": low,
                "high": high,
                "learned_accuracy": learned[j],
                "redundant_with": names[twins[j]] if twins[j] >= 0 else "",
            }
        )
    return pd.DataFrame(rows, index=pd.Index(names, name="name"), columns=COLUMNS)


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
    with gold); ``conflicts`` (its votes that another LF's vote contradicts).
    """
    n_classes = _n_classes(classes, class_sets, votes, gold)
    votes = check_votes(votes, n_classes, len(class_sets))
    members = _members(n_classes, class_sets)
    known = _check_gold(gold, len(votes), n_classes)
    mine = votes[:, j]
    voted = mine != ABSTAIN
    is_right = voted & (known >= 0) & members[mine, known]
    conflicts = voted & (_against(votes, members)[:, j] > 0)
    return {
        "votes": np.flatnonzero(voted),
        "right": np.flatnonzero(is_right),
        "wrong": np.flatnonzero(voted & (known >= 0) & ~is_right),
        "conflicts": np.flatnonzero(conflicts),
        "abstains": np.flatnonzero(~voted),
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
    """
    n_classes = _n_classes(classes, class_sets, votes, None)
    votes = check_votes(votes, n_classes, len(class_sets))
    pairs = _against(votes, _members(n_classes, class_sets)).sum(axis=1) // 2
    rows = np.flatnonzero(pairs)
    if not len(rows):
        return rows
    _, group, size = np.unique(votes[rows], axis=0, return_inverse=True, return_counts=True)
    group = group.reshape(-1)
    turn = pd.Series(group).groupby(group).cumcount().to_numpy()
    order = np.lexsort((rows, group, -pairs[rows] * size[group], turn))
    return rows[order[:k]]


@dataclass(frozen=True)
class _Counts:
    """Per LF, (m,) int: votes, votes beside and against others, votes with gold and right ones."""

    votes: NDArray[np.int64]
    overlaps: NDArray[np.int64]
    conflicts: NDArray[np.int64]
    known: NDArray[np.int64]
    right: NDArray[np.int64]


def _count(votes: Votes, members: NDArray[np.bool_], gold: NDArray[np.int64]) -> _Counts:
    totals = np.zeros((5, votes.shape[1]), np.int64)
    for start in range(0, len(votes), ROWS_AT_ONCE):
        block = votes[start : start + ROWS_AT_ONCE]
        truth = gold[start : start + ROWS_AT_ONCE, None]  # (b, 1)
        voted = block != ABSTAIN
        beside = voted & (voted.sum(axis=1, keepdims=True) > 1)
        against = voted & (_against(block, members) > 0)
        known = voted & (truth >= 0)
        right = known & members[block, truth]
        totals += np.stack([part.sum(axis=0) for part in (voted, beside, against, known, right)])
    return _Counts(*totals)


def _against(votes: Votes, members: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return, per vote, how many other LFs' votes on that item contradict it; 0 for abstains."""
    n_values = len(members)
    compatible = (members.astype(np.int64) @ members.T) > 0  # (V, V)
    counts = np.stack([(votes == value).sum(axis=1) for value in range(n_values)], axis=1)  # (n, V)
    opposed = counts @ (~compatible).astype(np.int64)  # (n, V)
    rows = np.arange(len(votes))[:, None]
    against: NDArray[np.int64] = np.where(votes == ABSTAIN, 0, opposed[rows, votes])
    return against


def _learned_accuracy(
    votes: Votes, members: NDArray[np.bool_], posterior: NDArray[np.float32]
) -> NDArray[np.float64]:
    if len(posterior) != len(votes):
        raise DataError(f"posterior must have {len(votes)} rows like votes, not {len(posterior)}")
    belief = posterior.astype(np.float64) @ members.T  # (n, V)
    voted = votes != ABSTAIN
    sums = np.where(voted, np.take_along_axis(belief, np.maximum(votes, 0), axis=1), 0).sum(axis=0)
    counts = voted.sum(axis=0)
    accuracy: NDArray[np.float64] = np.full(len(counts), np.nan)
    np.divide(sums, counts, out=accuracy, where=counts > 0)
    return accuracy


def _redundant_with(votes: Votes, n_values: int) -> NDArray[np.int64]:
    """Return each LF's nearest duplicate by agreement times Jaccard, -1 where it has none."""
    m = votes.shape[1]
    both, same = np.zeros((m, m)), np.zeros((m, m))
    for start in range(0, len(votes), ROWS_AT_ONCE):
        block = votes[start : start + ROWS_AT_ONCE]
        covered = (block != ABSTAIN).astype(np.float32)  # counts stay below 2**24: exact
        both += covered.T @ covered
        for value in range(n_values):
            says = (block == value).astype(np.float32)
            same += says.T @ says
    covers = np.diag(both)
    either = covers[:, None] + covers[None, :] - both
    with np.errstate(divide="ignore", invalid="ignore"):
        agreement, jaccard = np.nan_to_num(same / both), np.nan_to_num(both / either)
    is_twin = (agreement >= REDUNDANT_AGREEMENT) & (jaccard >= REDUNDANT_JACCARD)
    score = np.where(is_twin, agreement * jaccard, -1.0)
    np.fill_diagonal(score, -1.0)
    if m == 0:
        return np.empty(0, np.int64)
    return np.where(score.max(axis=1) > 0, score.argmax(axis=1), -1)


def _members(n_classes: int, class_sets: Sequence[ClassSet]) -> NDArray[np.bool_]:
    """Return (V, K) bool: which classes each vote value names."""
    members = np.zeros((n_classes + len(class_sets), n_classes), bool)
    members[np.arange(n_classes), np.arange(n_classes)] = True
    for offset, class_set in enumerate(class_sets):
        members[n_classes + offset, list(class_set.members)] = True
    return members


def _check_gold(gold: NDArray[np.integer] | None, n: int, n_classes: int) -> NDArray[np.int64]:
    known: NDArray[np.int64] = np.full(n, -1) if gold is None else np.asarray(gold).astype(np.int64)
    if known.shape != (n,) or (n and (known.min() < -1 or known.max() >= n_classes)):
        raise DataError(
            f"gold must hold {n} class ids between -1 (unknown) and {n_classes - 1}, but came with "
            f"shape {known.shape}; map class names to ids first"
        )
    return known


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

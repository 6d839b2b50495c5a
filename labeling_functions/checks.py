"""What is wrong with a set of LFs, each finding one plain sentence that says what to do.

Try it: ``for finding in find_problems(votes, names, classes=classes, gold=gold): ...``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from labeling_functions.analysis import nearest_copies
from labeling_functions.drill import check_gold
from labeling_functions.pairs import PairCounts, pair_counts
from weaklight.contracts import ABSTAIN, ClassSet, Votes, check_votes, expand_votes
from weaklight.intervals import Proportion

__all__ = ["Finding", "dependence", "find_problems"]

MIN_VOTES = 10  # fewer votes inside another LF's may be there by chance
INSIDE = 0.98  # share of an LF's votes that another gives as well
FAMILY_ERROR = 0.01  # chance that any pair of independent LFs is called dependent
ALONE_ERROR = 1e-3  # chance that an LF which votes anywhere is said to vote on dev alone
STRONG = 0.5  # share of the possible excess agreement; less is common and harmless
MAX_NAMED = 6


@dataclass(frozen=True)
class Finding:
    """One thing to look at: its kind, the LFs concerned, and what to do about it."""

    kind: Literal["never votes", "dev alone", "below chance", "copy", "subset", "dependent"]
    lfs: tuple[str, ...]
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        """Return the finding for a JSON file."""
        return asdict(self)


def find_problems(
    votes: Votes,
    names: Sequence[str],
    *,
    classes: Sequence[str],
    class_sets: Sequence[ClassSet] = (),
    gold: NDArray[np.integer] | None = None,
    is_unlabeled: NDArray[np.bool_] | None = None,
    reasons: Mapping[str, str] | None = None,
) -> list[Finding]:
    """Return what is suspicious about the LFs, the plainest first.

    Parameters
    ----------
    votes : (n, m) int
        -1 abstains, 0..K-1 a class, K.. a class set.
    gold : (n,) int
        Class ids of dev items, -1 where unknown. Without it nothing is said about accuracy and
        dependence.
    is_unlabeled : (n,) bool
        The items that labels are wanted for; all without gold by default.
    reasons
        By LF, why it could not vote, where that is known.

    Returns
    -------
    LFs that never vote; LFs that vote on dev alone, which no rule does that reads the same columns
    of every item; LFs whose 95 % Wilson interval on gold lies below what the same votes
    would earn if they fell on any items; pairs that vote almost alike; LFs that say nothing that
    another does not say; groups that agree more than their accuracy explains.

    Notes
    -----
    O(n m V + n m^2) time.
    """
    votes = check_votes(votes, len(classes), len(class_sets))
    known = check_gold(gold, len(votes), len(classes))
    members = expand_votes(len(classes), tuple(class_sets)) > 0
    pairs = pair_counts(votes, classes=classes, class_sets=class_sets)
    copies = nearest_copies(pairs)
    judged = known >= 0
    found = [*_silent(votes, names, reasons or {})]
    found += _on_dev_alone(votes, names, judged, ~judged if is_unlabeled is None else is_unlabeled)
    found += _below_chance(votes, names, members, known)
    found += _copies(pairs, names, copies)
    found += _subsets(pairs, names, copies)
    found += _dependent(votes[judged], known[judged], names, copies)
    return found


def dependence(
    votes: Votes, gold: NDArray[np.integer]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Compare how often two LFs say the same with what their habits in each class explain.

    Parameters
    ----------
    votes : (n, m) int16
    gold : (n,) int
        The class of every row.

    Returns
    -------
    Four (m, m) arrays: ``same``, items with equal votes; ``expected``, how many there would be if
    the LFs were independent within each class; ``z``, the excess in standard deviations; and
    ``share``, the excess as a share of the largest possible one, given how often each LF says what.

    Notes
    -----
    Mantel and Haenszel's test of association with the classes as strata, for several answers: the
    mean and variance of the number of equal votes when one LF's votes are shuffled within each
    class (multivariate hypergeometric). Abstaining counts as a further answer that never agrees.
    O(n m^2 V) time.

    References
    ----------
    Mantel and Haenszel 1959, "Statistical aspects of the analysis of data from retrospective
    studies of disease", JNCI 22.
    """
    m = votes.shape[1]
    same, expected, variance, most = (np.zeros((m, m)) for _ in range(4))
    for group in np.unique(gold):
        stratum = votes[gold == group]
        n = len(stratum)
        chances, own, squared = (np.zeros((m, m)) for _ in range(3))
        for value in np.unique(stratum[stratum != ABSTAIN]):
            says = (stratum == value).astype(np.float64)  # (n, m)
            often = says.sum(axis=0)
            product = np.outer(often, often)
            same += says.T @ says
            most += np.minimum(often[:, None], often[None, :])
            chances += product
            squared += product**2
            own += product * np.outer(n - often, n - often)
        expected += chances / n
        if n > 1:
            variance += (own + chances**2 - squared) / (n**2 * (n - 1))
    spread = np.sqrt(variance)
    excess = same - expected
    z = np.divide(excess, spread, out=np.zeros((m, m)), where=spread > 0)
    room = most - expected
    share = np.divide(excess, room, out=np.zeros((m, m)), where=room > 0)
    return same.astype(np.int64), expected, z, share


def _silent(votes: Votes, names: Sequence[str], reasons: Mapping[str, str]) -> Iterator[Finding]:
    advice = "loosen its conditions, correct the columns or words it looks for, or delete it"
    for j in np.flatnonzero((votes == ABSTAIN).all(axis=0)).tolist():
        why = reasons.get(names[j], advice)
        text = f"{names[j]} never votes on these {len(votes):,} items: {why}."
        yield Finding("never votes", (names[j],), text)


def _on_dev_alone(
    votes: Votes, names: Sequence[str], dev: NDArray[np.bool_], unlabeled: NDArray[np.bool_]
) -> Iterator[Finding]:
    n_dev, n_unlabeled = int(dev.sum()), int(unlabeled.sum())
    on_dev = (votes[dev] != ABSTAIN).sum(axis=0)
    elsewhere = (votes[unlabeled] != ABSTAIN).sum(axis=0)
    for j in np.flatnonzero((on_dev > 0) & (elsewhere == 0)).tolist():
        # that so many votes, dealt out at random, all fall on dev is less likely than this
        if (n_dev / (n_dev + n_unlabeled)) ** int(on_dev[j]) < ALONE_ERROR:
            text = (
                f"{names[j]} votes on {on_dev[j]} of {n_dev:,} dev items, but on none of "
                f"{n_unlabeled:,} unlabelled ones: it labels nothing, and what it reads gives dev "
                "away (an id, a name, a column filled for dev alone). Let it read something that "
                "every item has."
            )
            yield Finding("dev alone", (names[j],), text)


def _below_chance(
    votes: Votes, names: Sequence[str], members: NDArray[np.bool_], gold: NDArray[np.int64]
) -> Iterator[Finding]:
    judged = gold >= 0
    said, truth = votes[judged], gold[judged]
    if not len(truth):
        return
    base = members @ np.bincount(truth, minlength=members.shape[1]) / len(truth)  # (V,)
    for j, name in enumerate(names):
        voted = said[:, j] != ABSTAIN
        mine = said[voted, j]
        right = Proportion(int(members[mine, truth[voted]].sum()), int(voted.sum()))
        chance = float(base[mine].mean()) if right.n else 0.0
        low, high = right.interval
        if high < chance:
            text = (
                f"{name} does worse than chance: right on {right.successes} of {right.n} dev items "
                f"(95 % interval {low:.0%} to {high:.0%}), where the same votes dealt out blindly "
                f"would be right on {chance:.0%}. Its condition may be the wrong way round; "
                "correct or delete it."
            )
            yield Finding("below chance", (name,), text)


def _copies(pairs: PairCounts, names: Sequence[str], copies: NDArray[np.intp]) -> Iterator[Finding]:
    told: set[tuple[int, int]] = set()
    for j, k in enumerate(copies.tolist()):
        first, second = sorted((j, k))
        if k < 0 or (first, second) in told:
            continue
        told.add((first, second))
        text = (
            f"{names[first]} and {names[second]} are all but the same: equal votes on "
            f"{pairs.same[j, k]} of the {pairs.either[j, k]} items that either votes on. "
            "One idea counts twice; delete one of them."
        )
        yield Finding("copy", (names[first], names[second]), text)


def _subsets(
    pairs: PairCounts, names: Sequence[str], copies: NDArray[np.intp]
) -> Iterator[Finding]:
    own = np.diag(pairs.both)
    for j in np.flatnonzero(own >= MIN_VOTES).tolist():
        holds = (pairs.same[j] >= INSIDE * own[j]) & (own > own[j])
        holds[[j, copies[j]]] = False
        if copies[j] >= 0 or not holds.any():
            continue
        k = int(np.where(holds, own, np.iinfo(np.int64).max).argmin())
        text = (
            f"{names[j]} says nothing that {names[k]} does not say: {pairs.same[j, k]} of its "
            f"{own[j]} votes are among the other's {own[k]}. Keep it only if it is the more "
            "accurate one and you want these items to count double."
        )
        yield Finding("subset", (names[j], names[k]), text)


def _dependent(
    votes: Votes, gold: NDArray[np.int64], names: Sequence[str], copies: NDArray[np.intp]
) -> Iterator[Finding]:
    m = votes.shape[1]
    if m < 2 or not len(gold):
        return
    same, expected, z, share = dependence(votes, gold)
    at_least = NormalDist().inv_cdf(1 - FAMILY_ERROR / (m * (m - 1) / 2))
    linked = (z >= at_least) & (share >= STRONG) & (same >= MIN_VOTES)
    np.fill_diagonal(linked, False)
    has_copy = np.flatnonzero(copies >= 0)
    linked[has_copy, copies[has_copy]] = linked[copies[has_copy], has_copy] = False
    for group in _components(linked):
        upper = np.triu(linked[np.ix_(group, group)])
        at = [group[side] for side in np.nonzero(upper)]
        told = [names[j] for j in group[:MAX_NAMED]]
        told += [f"{len(group) - MAX_NAMED} more"] if len(group) > MAX_NAMED else []
        text = (
            f"{', '.join(told[:-1])} and {told[-1]} lean on the same evidence: among dev items of "
            f"one class, their votes are equal {same[tuple(at)].sum()} times where unrelated rules "
            f"with the same habits would be {expected[tuple(at)].sum():.0f} times. Majority vote "
            "counts them as separate witnesses; join them into one, or make one look at something "
            "else."
        )
        yield Finding("dependent", tuple(names[j] for j in group), text)


def _components(linked: NDArray[np.bool_]) -> list[NDArray[np.intp]]:
    """Return the connected groups of two or more."""
    left = set(np.flatnonzero(linked.any(axis=1)).tolist())
    groups = []
    while left:
        group: set[int] = set()
        waiting = {min(left)}
        while waiting:
            group |= waiting
            waiting = set(np.flatnonzero(linked[list(waiting)].any(axis=0)).tolist()) - group
        left -= group
        groups.append(np.array(sorted(group), dtype=np.intp))
    return groups

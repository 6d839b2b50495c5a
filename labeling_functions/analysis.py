"""How the LFs vote, one row an LF: coverage, overlaps, conflicts, agreement, accuracy, redundancy.

Try it: ``analyse(result.votes, [lf.name for lf in lfs], classes=classes, gold=gold)``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labeling_functions.drill import check_gold
from labeling_functions.pairs import ROWS_AT_ONCE, PairCounts, contradictions, pair_counts, sayings
from weaklight.contracts import (
    ABSTAIN,
    ClassSet,
    Votes,
    check_posterior,
    check_votes,
    expand_votes,
)
from weaklight.errors import DataError
from weaklight.intervals import Proportion

__all__ = ["analyse", "nearest_copies"]

REDUNDANT_AGREEMENT = 0.95  # share of jointly covered items with the same vote
REDUNDANT_JACCARD = 0.9  # jointly covered items over items that either covers


def analyse(
    votes: Votes,
    names: Sequence[str],
    *,
    classes: Sequence[str],
    class_sets: Sequence[ClassSet] = (),
    gold: NDArray[np.integer] | None = None,
    posterior: NDArray[np.floating] | None = None,
    labels: NDArray[np.integer] | None = None,
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
    labels : (n,) int
        The labels that came out in the end, class ids, -1 where an item has none.

    Returns
    -------
    DataFrame indexed by LF ``name`` in column order:

    ``polarity`` names it votes for; ``coverage``, ``overlaps`` and ``conflicts`` shares of the n
    items on which it votes, votes beside another LF, and votes against another LF; ``n_votes``;
    ``agreement`` share of its votes on labelled items that fit the final label (NaN without
    labels): agreement, not accuracy, for the label comes from these votes; ``correct`` of
    ``gold_n`` votes on known items; ``accuracy`` with its Wilson interval ``low``, ``high`` (NaN
    without gold); ``learned_accuracy`` mean posterior of what it voted for (NaN without
    posterior); ``redundant_with`` the other LF that votes almost the same on almost the same
    items, or "" where there is none.

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
    members = expand_votes(len(classes), tuple(class_sets)) > 0
    named = [*classes, *(class_set.name for class_set in class_sets)]
    if posterior is not None:
        posterior = check_posterior(posterior, len(classes))
        if len(posterior) != n:
            raise DataError(f"posterior must have {n} rows like votes, not {len(posterior)}")
    said, sums = _sums(
        votes,
        members,
        gold=check_gold(gold, n, len(classes)),
        labels=check_gold(labels, n, len(classes)),
        posterior=posterior,
    )
    copies = nearest_copies(pair_counts(votes, classes=classes, class_sets=class_sets))
    n_votes = said.sum(axis=1)
    known, right = sums["known"].astype(int), sums["right"].astype(int)
    judged = [Proportion(r, k) for r, k in zip(right.tolist(), known.tolist(), strict=True)]
    intervals = [p.interval if p.n else (np.nan, np.nan) for p in judged]
    nothing = np.full(m, np.nan)
    return pd.DataFrame(
        {
            "polarity": [[named[v] for v in np.flatnonzero(row)] for row in said],
            "coverage": n_votes / max(n, 1),
            "overlaps": sums["beside"] / max(n, 1),
            "conflicts": sums["against"] / max(n, 1),
            "n_votes": n_votes,
            "agreement": _ratio(sums["fits"], sums["labelled"]),
            "correct": right,
            "gold_n": known,
            "accuracy": _ratio(right, known),
            "low": [low for low, _ in intervals],
            "high": [high for _, high in intervals],
            "learned_accuracy": nothing if posterior is None else _ratio(sums["belief"], n_votes),
            "redundant_with": [names[twin] if twin >= 0 else "" for twin in copies],
        },
        index=pd.Index(names, name="name"),
    )


def nearest_copies(pairs: PairCounts) -> NDArray[np.intp]:
    """Return (m,) each LF's nearest copy by agreement times Jaccard, -1 where it has none.

    A copy gives the same vote on 95 % of the items that both vote on, and shares 90 % of the items
    that either votes on.
    """
    if not len(pairs.both):
        return np.empty(0, np.intp)
    agreement, jaccard = _ratio(pairs.same, pairs.both), _ratio(pairs.both, pairs.either)
    is_copy = (agreement >= REDUNDANT_AGREEMENT) & (jaccard >= REDUNDANT_JACCARD)
    score = np.where(is_copy, agreement * jaccard, -1.0)
    np.fill_diagonal(score, -1.0)
    return np.where(score.max(axis=1) > 0, score.argmax(axis=1), -1)


def _sums(
    votes: Votes,
    members: NDArray[np.bool_],
    *,
    gold: NDArray[np.int64],
    labels: NDArray[np.int64],
    posterior: NDArray[np.float32] | None,
) -> tuple[NDArray[np.int64], dict[str, NDArray[np.float64]]]:
    """Return votes per LF and value (m, V), and per LF sums over its votes, each (m,).

    Every sum is a product of the 0/1 rows "LF j says v" with a column that holds, for each item,
    what such a vote is worth there: 1 if gold is a member of v, the posterior of v, and so on.
    """
    n_values, m = len(members), votes.shape[1]
    clash = contradictions(members)[:-1, :-1]
    said = np.zeros((m, n_values), np.int64)
    keys = ("beside", "against", "known", "right", "labelled", "fits", "belief")
    sums = np.zeros((m, len(keys)))
    for start in range(0, len(votes), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        block = np.ascontiguousarray(votes[rows].T)  # (m, b)
        truth, label = gold[rows], labels[rows]
        voices = np.stack([(block == v).sum(axis=0, dtype=np.int32) for v in range(n_values)])
        beside = (block != ABSTAIN).sum(axis=0, dtype=np.int32) > 1
        belief = None if posterior is None else posterior[rows] @ members.T.astype(np.float32)
        for value, lfs, says in sayings(block, n_values):
            worth = np.stack(  # (b, keys)
                [
                    beside,
                    voices[clash[value]].sum(axis=0) > 0,
                    truth >= 0,
                    (truth >= 0) & members[value, truth],
                    label >= 0,
                    (label >= 0) & members[value, label],
                    np.zeros_like(beside) if belief is None else belief[:, value],
                ],
                axis=1,
                dtype=np.float32,
            )
            said[lfs, value] += says.sum(axis=1).astype(np.int64)
            sums[lfs] += says @ worth
    return said, dict(zip(keys, sums.T, strict=True))


def _ratio(part: NDArray[np.number], whole: NDArray[np.number]) -> NDArray[np.float64]:
    """Return part / whole, NaN where whole is 0."""
    out: NDArray[np.float64] = np.full(np.shape(part), np.nan)
    np.divide(part, whole, out=out, where=np.asarray(whole) > 0)
    return out

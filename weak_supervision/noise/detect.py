"""Every detector at once, one line an item: what is wrong, who says so, what to do instead.

Try it: ``detect_issues(labels, proba, graph=graph, votes=votes).table``.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from weak_supervision.neighbors import NeighborGraph
from weak_supervision.noise.data_issues import find_data_issues
from weak_supervision.noise.dynamics import area_under_margin
from weak_supervision.noise.find import find_issues
from weaklight.contracts import ABSTAIN, Votes, check_posterior
from weaklight.errors import DataError

__all__ = ["Detected", "detect_issues"]

COLUMNS = ("row", "kind", "label", "suggested", "score", "detectors")


@dataclass(frozen=True)
class Detected:
    """What the detectors found.

    Attributes
    ----------
    table
        One line an item and kind, worst first: ``row``; ``kind`` (``label``, ``near_duplicate`` or
        ``outlier``); ``label``, -1 where none, and ``suggested``, class ids; ``score`` in 0..1, low
        = worse; ``detectors``, comma-separated. Label issues come first, those that more detectors
        name before others.
    non_iid_p
        See `data_issues.DataIssues`.
    notes
        What could not be run, and why.
    """

    table: pd.DataFrame
    non_iid_p: float | None
    notes: tuple[str, ...]


def detect_issues(
    labels: NDArray[np.integer],
    pred_probs: NDArray[np.floating],
    *,
    graph: NeighborGraph | None = None,
    votes: Votes | None = None,
    features: NDArray[np.floating] | None = None,
    seed: int = 0,
) -> Detected:
    """Doubt labels by all means at hand.

    Parameters
    ----------
    labels
        (n,) class ids, -1 without a label.
    pred_probs
        (n, K) out-of-fold probabilities of a classifier on the features; never the label model's.
    graph
        For near-duplicates, outliers and the non-iid check.
    votes
        (n, m) votes of LFs or annotators, for CROWDLAB; votes for class sets are left out.
    features
        (n, d), for the training dynamics.
    seed
        Of the detectors that draw.

    Notes
    -----
    ``suggested`` is the classifier's likeliest class, or CROWDLAB's consensus where that detector
    alone doubts the label. Scores rank; none is the probability that a label is right.
    """
    proba = check_posterior(pred_probs, pred_probs.shape[1])
    if len(labels) != len(proba):
        raise DataError(f"labels and pred_probs must match, but have {len(labels)}, {len(proba)}")
    notes: list[str] = []
    found = [find_issues(labels, proba).assign(detectors="confident learning")]
    if votes is not None:
        crowd, note = _crowd(labels, votes, proba)
        found.append(crowd.assign(detectors="crowdlab"))
        notes += [note] if note else []
    if features is not None:
        try:
            found.append(_margins(labels, proba, features, seed).assign(detectors="margins"))
        except DataError as error:
            notes.append(f"no training dynamics: {error}")
    table = _one_line_an_item(pd.concat([f for f in found if len(f)] or found[:1]))
    p_value = None
    if graph is not None:
        others = find_data_issues(graph, seed=seed)
        p_value = others.non_iid_p
        rows = others.table["row"].to_numpy()
        extra = others.table.assign(
            label=labels[rows], suggested=proba[rows].argmax(axis=1), detectors="datalab"
        )
        table = pd.concat([table, extra], ignore_index=True)
    return Detected(table[list(COLUMNS)], p_value, tuple(notes))


def _one_line_an_item(issues: pd.DataFrame) -> pd.DataFrame:
    """Merge the lines of an item: the worst score, the first detector's suggestion, all names."""
    merged = issues.groupby("row", sort=False).agg(
        label=("label", "first"),
        suggested=("suggested", "first"),
        score=("score", "min"),
        detectors=("detectors", ", ".join),
        n=("detectors", "size"),
    )
    merged = merged.reset_index().assign(kind="label")
    return merged.sort_values(["n", "score", "row"], ascending=[False, True, True], kind="stable")


def _margins(
    labels: NDArray[np.integer],
    proba: NDArray[np.float32],
    features: NDArray[np.floating],
    seed: int,
) -> pd.DataFrame:
    margins = area_under_margin(features, labels, proba.shape[1], seed=seed)
    rows = np.flatnonzero(margins.doubted & (proba.argmax(axis=1) != labels))
    known = margins.area[~np.isnan(margins.area)]
    rank = np.searchsorted(np.sort(known), margins.area[rows]) / len(known)
    return pd.DataFrame(
        {"row": rows, "label": labels[rows], "suggested": proba[rows].argmax(axis=1), "score": rank}
    )


def _crowd(
    labels: NDArray[np.integer], votes: Votes, proba: NDArray[np.float32]
) -> tuple[pd.DataFrame, str]:
    """Return the labels that CROWDLAB's consensus of votes and classifier contradicts.

    References
    ----------
    Goh, Tkachenko and Mueller 2022, "CROWDLAB", arXiv:2210.06812.
    """
    none = pd.DataFrame({"row": [], "label": [], "suggested": [], "score": []}).astype(
        {"row": "int64", "label": "int64", "suggested": "int64", "score": "float64"}
    )
    ballots = np.where((votes >= 0) & (votes < proba.shape[1]), votes, np.nan).astype(float)
    rows = np.flatnonzero((labels != ABSTAIN) & ~np.isnan(ballots).all(axis=1))
    ballots = ballots[rows]
    ballots = ballots[:, ~np.isnan(ballots).all(axis=0)]
    if not ((~np.isnan(ballots)).sum(axis=1) >= 2).any():
        return none, "no CROWDLAB: it needs items on which two vote for a class"
    from cleanlab.multiannotator import get_label_quality_multiannotator

    if len(np.unique(ballots[~np.isnan(ballots)])) < proba.shape[1]:
        return none, "no CROWDLAB: it needs a vote for every class"
    with warnings.catch_warnings():  # functions that know a class each never agree
        warnings.filterwarnings("ignore", message="Annotators do not agree on any example")
        found = get_label_quality_multiannotator(ballots, proba[rows], verbose=False)
    quality = found["label_quality"]
    consensus = quality["consensus_label"].to_numpy(np.int64)
    other = consensus != labels[rows]
    score = 1 - quality["consensus_quality_score"].to_numpy(np.float64)
    return pd.DataFrame(
        {
            "row": rows[other],
            "label": labels[rows][other],
            "suggested": consensus[other],
            "score": score[other],
        }
    ), ""

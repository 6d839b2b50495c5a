"""Which labels a classifier on the features doubts.

Try it: ``find_issues(labels, out_of_fold_proba(features, posterior))``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from weak_supervision.classifiers.linear_head import LinearHead
from weak_supervision.folds import deal_folds
from weaklight.contracts import ABSTAIN, check_posterior
from weaklight.errors import DataError

__all__ = ["Teachable", "find_issues", "out_of_fold_proba"]

COLUMNS = ("row", "label", "suggested", "score")


class Teachable(Protocol):
    """A classifier on features, such as a `Head` or a `Discriminant`."""

    def fit(
        self,
        features: NDArray[np.floating],
        targets: NDArray[np.floating],
        weights: NDArray[np.floating] | None = None,
        /,
    ) -> Any:
        """Learn from features (n, d), targets (n, K) and weights (n,)."""

    def predict_proba(self, features: NDArray[np.floating], /) -> NDArray[np.float32]:
        """Return probabilities (n, K)."""


def out_of_fold_proba(
    features: NDArray[np.floating],
    targets: NDArray[np.floating],
    weights: NDArray[np.floating] | None = None,
    *,
    folds: int = 5,
    seed: int = 0,
    new_head: Callable[[], Teachable] = lambda: LinearHead(max_iter=100),
) -> NDArray[np.float32]:
    """Return probabilities for each row from a classifier that never saw that row.

    Parameters
    ----------
    features
        (n, d) floats; rows that are not finite are not trained on and get the class prior.
    targets
        (n, K) floats, rows sum to 1: soft labels.
    weights
        (n,) floats; rows with weight 0 are predicted but not trained on.
    folds, seed
        How many parts, and the draw that deals rows out by their likeliest class.
    new_head
        Makes the classifier of a fold.

    Returns
    -------
    (n, K) float32, rows sum to 1.

    Raises
    ------
    DataError
        If fewer rows can be trained on than there are folds.

    Notes
    -----
    Time: one training a fold. Near-duplicates in two folds know each other's label, so
    drop them first where that matters.
    """
    y = check_posterior(targets, targets.shape[1])
    w = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=np.float64)
    trainable = (w > 0) & np.isfinite(features).all(axis=1)
    if folds < 2 or trainable.sum() < folds:
        raise DataError(
            f"out-of-fold probabilities need at least 2 folds and a row for each, but came "
            f"{int(trainable.sum())} rows with weight and features for {folds} folds; "
            "widen the coverage or ask for fewer folds"
        )
    # untrained rows form a stratum of their own, so that each fold holds some of the others
    strata = np.where(trainable, y.argmax(axis=1), y.shape[1])
    fold = deal_folds(strata, folds=folds, seed=seed)
    proba = np.empty_like(y)
    for held in range(folds):
        inside, outside = trainable & (fold != held), fold == held
        head = new_head()
        head.fit(features[inside], y[inside], w[inside])
        proba[outside] = head.predict_proba(features[outside])
    return proba


def find_issues(labels: NDArray[np.integer], pred_probs: NDArray[np.floating]) -> pd.DataFrame:
    """Return the labels that confident learning doubts, worst first.

    Parameters
    ----------
    labels
        (n,) class ids of the covered rows, -1 elsewhere; rows with -1 are never doubted.
    pred_probs
        (n, K) floats from `out_of_fold_proba`. Never the label model's own posterior: labels that
        are its argmax agree with it by construction, and nothing would ever be found.

    Returns
    -------
    Columns ``row`` int, ``label`` int, ``suggested`` int (the likeliest class), ``score`` float in
    0..1, low = worse. The score ranks; it is not the probability that the label is right.

    Raises
    ------
    DataError
        If the shapes do not fit or the probabilities break their contract.

    References
    ----------
    Northcutt et al. 2021, "Confident learning", arXiv:1911.00068; cleanlab >= 2.8.
    """
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    proba = check_posterior(pred_probs, pred_probs.shape[1])
    if len(labels) != len(proba):
        raise DataError(
            f"labels and pred_probs must match, but have {len(labels)}, {len(proba)} rows"
        )
    rows = np.flatnonzero(labels != ABSTAIN)
    known, p = np.asarray(labels[rows], dtype=np.int64), proba[rows]
    if len(np.unique(known)) < 2:  # one class leaves nothing to confuse it with
        return pd.DataFrame({name: [] for name in COLUMNS}).astype(
            {"row": "int64", "label": "int64", "suggested": "int64", "score": "float64"}
        )
    flagged = find_label_issues(known, p, n_jobs=1)  # a pool of processes would outlive a service
    score = get_label_quality_scores(known, p)
    frame = pd.DataFrame(
        {
            "row": rows[flagged],
            "label": known[flagged],
            "suggested": p[flagged].argmax(axis=1),
            "score": score[flagged].astype(np.float64),
        }
    )
    return frame.sort_values(["score", "row"], kind="stable", ignore_index=True)

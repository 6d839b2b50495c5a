"""Which labels a classifier on the features doubts.

Try it: ``find_issues(labels, out_of_fold_proba(features, posterior))``.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from weaklight.contracts import ABSTAIN, check_posterior
from weaklight.errors import DataError

__all__ = ["find_issues"]

COLUMNS = ("row", "label", "suggested", "score")


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
    with warnings.catch_warnings():  # a line for each class of fewer than six
        warnings.filterwarnings("ignore", message="May not flag all label issues")
        # a pool of processes would outlive a service
        flagged = find_label_issues(known, p, n_jobs=1)
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

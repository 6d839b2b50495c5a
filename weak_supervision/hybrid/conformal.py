"""Admit pseudo-labels so that at most a chosen share of the admitted ones is expected to be wrong.

Gold rows that trained nothing show how confident the model is where it is wrong. A pseudo-label is
admitted only if its confidence would be rare among those.

Try it: ``admit_conformally(proba, gold_proba, gold, alpha=0.1).stop_reason``.
"""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray

from weak_supervision.hybrid.admitted import Admitted, once
from weaklight.contracts import check_posterior
from weaklight.errors import DataError

__all__ = ["admit_conformally", "gold_rows_needed"]


def gold_rows_needed(alpha: float) -> int:
    """Return the gold rows below which admission is refused: 5 / alpha.

    The smallest p-value of n gold rows is 1 / (n + 1), so fewer than 1 / alpha admit nothing at
    all. With five times as many the promise, which holds on average over draws of the gold rows,
    no longer hangs on one or two of them.
    """
    if not 0 < alpha < 1:
        raise DataError(f"alpha is the error to accept, between 0 and 1, but is {alpha}")
    return ceil(5 / alpha)


def admit_conformally(
    proba: NDArray[np.floating],
    gold_proba: NDArray[np.floating],
    gold: NDArray[np.integer],
    *,
    alpha: float = 0.1,
) -> Admitted:
    """Admit likeliest classes with an expected share of errors of at most ``alpha``.

    Parameters
    ----------
    proba
        (n, K) probabilities of unlabelled items.
    gold_proba
        (g, K) probabilities, by the same model, of items drawn at random from the same pool (split
        ``calibration``). They must have trained, tuned and chosen nothing.
    gold
        (g,) their true classes.
    alpha
        The share of wrong labels to accept among the admitted, 0 < alpha < 1.

    Returns
    -------
    Confidence is 1 minus the row's p-value. Nothing is admitted, with the reason, where there are
    fewer than :func:`gold_rows_needed` gold rows.

    Raises
    ------
    DataError
        If gold and its probabilities do not match or alpha is out of range.

    Notes
    -----
    ``p_j = (1 + #{wrong gold rows at least as confident as j}) / (g + 1)``, then Benjamini and
    Hochberg at level alpha. The expectation is over the draw of gold rows and items; a single
    draw can lie above. Time O((n + g) log g).

    References
    ----------
    Jin and Candes 2023, "Selection by prediction with conformal p-values", arXiv:2210.01408, alg. 1
    and thm. 2.3; "Conformal labeling", arXiv:2510.14581.
    """
    p = check_posterior(proba, proba.shape[1])
    known = check_posterior(gold_proba, proba.shape[1])
    if gold.shape != (len(known),):
        raise DataError(
            f"gold must hold one class for each of {len(known)} rows, but came with {gold.shape}"
        )
    needed = gold_rows_needed(alpha)
    labels, top = p.argmax(axis=1), p.max(axis=1)
    if len(gold) < needed:
        return once(
            labels,
            np.zeros(len(p), dtype=np.bool_),
            top,
            "student",
            f"{len(gold)} gold rows are too few for an error of {alpha:g}, {needed} are needed; "
            "label more by `weaklight gold plan --role calibration` or accept a larger error",
        )
    wrong = np.sort(known.max(axis=1)[known.argmax(axis=1) != gold])
    n_above = len(wrong) - np.searchsorted(wrong, top, side="left")
    p_value = (1 + n_above) / (len(gold) + 1)
    cut = _benjamini_hochberg(p_value, alpha)
    admitted = p_value <= cut
    n = int(admitted.sum())
    reason = (
        f"of {n} admitted labels at most {alpha:.0%} are expected to be wrong"
        if n
        else f"no label is sure enough for an error of {alpha:g}"
    )
    return once(labels, admitted, 1 - p_value, "student", reason)


def _benjamini_hochberg(p_value: NDArray[np.float64], alpha: float) -> float:
    """Return the largest p-value that is rejected, -1 where none is (Benjamini, Hochberg 1995)."""
    ordered = np.sort(p_value)
    passes = ordered <= alpha * np.arange(1, len(ordered) + 1) / max(len(ordered), 1)
    return float(ordered[passes][-1]) if passes.any() else -1.0

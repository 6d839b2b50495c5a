"""Pseudo-labels with one threshold a class that follows how well the class is known.

One threshold for all classes starves those that the model is shy about, and with them the classes
that most need more examples.

Try it: ``pseudo_labels(proba).n_admitted``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from weak_supervision.hybrid.admitted import Admitted, once
from weaklight.contracts import check_posterior

__all__ = ["adaptive_thresholds", "pseudo_labels"]


def adaptive_thresholds(proba: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the least confidence at which each class is believed, (K,) float64.

    Parameters
    ----------
    proba
        (n, K) probabilities of unlabelled items, rows sum to 1; out-of-fold or of items that the
        model was not trained on.

    Notes
    -----
    The mean confidence of all items, lowered for a class in proportion to the probability mass that
    the model gives it, relative to the class with the most. FreeMatch follows both by a moving
    average over batches; on frozen features all items are at hand, so these are the plain means.

    References
    ----------
    Wang et al. 2023, "FreeMatch: self-adaptive thresholding for semi-supervised learning",
    arXiv:2205.07246, eqs. 5 to 8.

    Examples
    --------
    >>> adaptive_thresholds(np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8]])).round(3).tolist()
    [0.8, 0.533]
    """
    p = check_posterior(proba, proba.shape[1]).astype(np.float64)
    overall = p.max(axis=1).mean()
    mass = p.mean(axis=0)
    return np.asarray(overall * mass / mass.max())


def pseudo_labels(
    proba: NDArray[np.floating], thresholds: NDArray[np.floating] | None = None
) -> Admitted:
    """Admit each item's likeliest class where its probability reaches the class's threshold.

    Parameters
    ----------
    proba
        (n, K) probabilities, rows sum to 1.
    thresholds
        (K,); :func:`adaptive_thresholds` of ``proba`` where left out.

    Returns
    -------
    Confidence is the probability itself, no better calibrated than the model that gave it.
    """
    p = check_posterior(proba, proba.shape[1])
    least = adaptive_thresholds(p) if thresholds is None else np.asarray(thresholds)
    labels = p.argmax(axis=1)
    top = p[np.arange(len(p)), labels]
    reason = "the others fall below the threshold of their class"
    return once(labels, top >= least[labels], top, "student", reason)

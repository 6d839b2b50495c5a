"""What a classifier says of rows that it was not trained on.

Try it: ``out_of_fold_proba(features, posterior)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from weak_supervision.classifiers.linear_head import LinearHead
from weak_supervision.folds import deal_folds
from weaklight.contracts import check_posterior
from weaklight.errors import DataError

__all__ = ["Teachable", "out_of_fold_proba"]


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

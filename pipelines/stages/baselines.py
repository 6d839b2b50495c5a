"""What the weak labels are measured against: the cheapest ways to the same classifier.

Every baseline uses the features, the linear head and the test rows of the run itself, so that a
difference comes from the labels alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ssl_models.knn import knn_predict_proba
from weak_supervision.classifiers import LinearHead
from weak_supervision.evaluation import CrossoverPoint, crossover_curve
from weaklight.contracts import ABSTAIN

__all__ = ["gold_only_curve", "head_labels", "knn_labels"]


def head_labels(
    features: NDArray[np.float32],
    targets: NDArray[np.float32],
    train: NDArray[np.int64],
    query: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Train the linear head on some rows and label others.

    Parameters
    ----------
    features
        (n, d) float32, finite in the rows of ``train`` and ``query``.
    targets
        (n, K) float32; only the rows of ``train`` are read.
    train, query
        Row numbers.

    Returns
    -------
    (len(query),) class ids; all -1 where there is nothing to train on.
    """
    if len(train) == 0:
        return np.full(len(query), ABSTAIN, dtype=np.int64)
    head = LinearHead().fit(features[train], targets[train])
    return np.asarray(head.predict_proba(features[query]).argmax(axis=1), dtype=np.int64)


def gold_only_curve(
    features: NDArray[np.float32],
    gold: NDArray[np.int64],
    gold_rows: NDArray[np.int64],
    query: NDArray[np.int64],
    n_classes: int,
    *,
    sizes: Sequence[int],
    draws: int,
    seed: int,
) -> tuple[CrossoverPoint, ...]:
    """Train the head on gold rows alone, ever more of them, and measure on ``query``.

    Parameters
    ----------
    gold
        (n,) class ids, known in ``gold_rows`` and ``query``.
    gold_rows
        The rows to draw from: dev rows with gold and features.
    """
    one_hot = np.eye(n_classes, dtype=np.float32)[np.maximum(gold, 0)]

    def fit_predict(drawn: NDArray[np.int64]) -> NDArray[np.int64]:
        return head_labels(features, one_hot, gold_rows[drawn], query)

    return crossover_curve(
        fit_predict, gold[query], n_gold=len(gold_rows), sizes=sizes, draws=draws, seed=seed
    )


def knn_labels(
    features: NDArray[np.floating],
    labels: NDArray[np.int64],
    query: NDArray[np.floating],
    n_classes: int,
    k: int,
) -> NDArray[np.int64]:
    """Label each query by its ``k`` nearest references; all -1 where there is no reference."""
    if len(features) == 0:
        return np.full(len(query), ABSTAIN, dtype=np.int64)
    proba = knn_predict_proba(features, labels, query, n_classes, k=k)
    return np.asarray(proba.argmax(axis=1), dtype=np.int64)

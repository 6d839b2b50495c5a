"""What features are worth on a task: nearest neighbours and a linear probe, side by side.

Try it: ``score_features(Task(train, train_labels, test, test_labels, n_classes=10))``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ssl_models.evaluation.labelled import check_features, check_labels
from ssl_models.evaluation.linear import linear_probe
from ssl_models.knn import knn_predict_proba
from weaklight.intervals import Proportion

__all__ = ["FeatureScores", "Task", "accuracy", "score_features"]

Rows = TypeVar("Rows")


@dataclass(frozen=True)
class Task(Generic[Rows]):
    """Labelled rows to learn from and labelled rows to be judged by.

    Attributes
    ----------
    train, test
        Features (n, d) or pixels (n, H, W, C) uint8, what the function at hand asks for.
    train_labels, test_labels
        (n,) class ids in 0..K-1.
    n_classes
        K.
    """

    train: Rows
    train_labels: NDArray[np.integer]
    test: Rows
    test_labels: NDArray[np.integer]
    n_classes: int

    def with_rows(self, train: NDArray[Any], test: NDArray[Any]) -> Task[NDArray[Any]]:
        """Return the task on other rows of the same items."""
        return Task(train, self.train_labels, test, self.test_labels, self.n_classes)


@dataclass(frozen=True)
class FeatureScores:
    """Test accuracy of one set of features.

    Attributes
    ----------
    dim, n_train
        Length of a feature vector and rows learnt from.
    knn, linear
        Right among the test rows.
    l2
        The probe's regularisation, chosen on a part of the training rows.
    """

    dim: int
    n_train: int
    knn: Proportion
    linear: Proportion
    l2: float

    def as_dict(self) -> dict[str, Any]:
        """Return all fields for a JSON file."""
        return {
            "dim": self.dim,
            "n_train": self.n_train,
            "knn": self.knn.as_dict(),
            "linear": self.linear.as_dict(),
            "l2": self.l2,
        }


def accuracy(proba: NDArray[np.floating], labels: NDArray[np.integer]) -> Proportion:
    """Return how often the largest of the probabilities (n, K) is that of the label (n,)."""
    return Proportion(int((proba.argmax(1) == labels).sum()), len(labels))


def score_features(
    task: Task[NDArray[np.floating]], *, k: int = 20, seed: int = 0
) -> FeatureScores:
    """Return the test accuracy of kNN and of the linear probe on standardised features.

    Parameters
    ----------
    task
        With features (n, d), finite. The training rows decide the standardisation.
    k
        Neighbours; fixed beforehand, as nothing is chosen by the test rows.
    seed
        Of the probe's validation draw.

    Raises
    ------
    DataError
        If shapes or labels do not fit, or a feature is not finite.

    Notes
    -----
    O(n_test n_train d) time for kNN beside that of :func:`~ssl_models.evaluation.linear_probe`.
    """
    train, test = check_features(task.train, "train"), check_features(task.test, "test")
    labels = check_labels(task.test_labels, len(test), task.n_classes)
    mean, spread = train.mean(0), train.std(0)
    scale = np.where(spread > 1e-6, spread, 1)
    neighbours = knn_predict_proba(
        (train - mean) / scale, task.train_labels, (test - mean) / scale, task.n_classes, k
    )
    probe = linear_probe(train, task.train_labels, test, task.n_classes, seed=seed)
    return FeatureScores(
        dim=train.shape[1],
        n_train=len(train),
        knn=accuracy(neighbours, labels),
        linear=accuracy(probe.proba, labels),
        l2=probe.l2,
    )

"""The baseline to beat: describe each bag by statistics of its instances, classify as usual.

Try it: ``EmbeddingBagClassifier().fit(bags, y).predict_proba(bags)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from weak_supervision.bags.base import Bag, check_bags, check_labels, predict_alone
from weak_supervision.bags.svm import ChosenSVM

__all__ = ["STATISTICS", "EmbeddingBagClassifier", "embed_bags"]

STATISTICS = {
    "min": lambda bag: bag.min(axis=0),
    "max": lambda bag: bag.max(axis=0),
    "mean": lambda bag: bag.mean(axis=0),
    "std": lambda bag: bag.std(axis=0),
}


def embed_bags(
    bags: Sequence[Bag], statistics: Sequence[str] = tuple(STATISTICS)
) -> NDArray[np.float32]:
    """Return (n_bags, len(statistics) d) float32: the statistics of each bag, side by side."""
    rows = [np.concatenate([STATISTICS[name](bag) for name in statistics]) for bag in bags]
    return np.stack(rows).astype(np.float32)


class EmbeddingBagClassifier:
    """Statistics of the instances and any scikit-learn classifier with ``predict_proba``.

    Parameters
    ----------
    statistics
        Of ``min``, ``max``, ``mean`` and ``std``.
    classifier
        Cloned before it is trained; an RBF support vector machine whose cost is chosen by
        cross-validation on the training bags where left out.
    seed
        Deals out the folds of that choice.

    Notes
    -----
    No instance is ever scored on the way: `predict_instances` treats each as a bag of one, which
    such a classifier never saw, and is a rough guide at most. Respects no assumption about bags.

    References
    ----------
    Gaertner et al. 2002, "Multi-instance kernels", section 4 (the minimax kernel).
    """

    classes_: NDArray[np.int64]

    def __init__(
        self,
        *,
        statistics: Sequence[str] = tuple(STATISTICS),
        classifier: Any = None,
        seed: int = 0,
    ) -> None:
        self.statistics = statistics
        self.classifier = classifier
        self.seed = seed

    def fit(self, bags: Sequence[Bag], y: ArrayLike) -> Self:
        """Train on ``bags``, (n_i, d) arrays, with integer labels ``y`` (n_bags,)."""
        self._d = check_bags(bags)
        self.classes_, numbers = check_labels(y, len(bags))
        chosen = (
            clone(self.classifier)
            if self.classifier is not None
            else ChosenSVM(SVC(kernel="rbf", gamma="scale"), seed=self.seed)
        )
        self._model = make_pipeline(StandardScaler(), chosen)
        self._model.fit(embed_bags(bags, self.statistics), numbers)
        return self

    def predict_proba(self, bags: Sequence[Bag]) -> NDArray[np.float32]:
        """Return (n_bags, K) float32, rows sum to 1."""
        check_bags(bags, self._d)
        proba = self._model.predict_proba(embed_bags(bags, self.statistics))
        return np.asarray(proba, dtype=np.float32)

    def predict_instances(self, bags: Sequence[Bag]) -> list[NDArray[np.float32]]:
        """Return what each instance would be called as a bag of its own, one array a bag."""
        check_bags(bags, self._d)
        return predict_alone(self.predict_proba, bags)

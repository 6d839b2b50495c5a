"""Compare bags by all pairs of their instances (Gaertner et al. 2002).

Try it: ``SetKernelBagClassifier().fit(bags, y).predict_proba(bags)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.svm import SVC

from weak_supervision.bags.base import Bag, check_bags, check_labels, predict_alone
from weak_supervision.bags.svm import ChosenSVM
from weak_supervision.scaling import scale_about

__all__ = ["SetKernelBagClassifier"]


class SetKernelBagClassifier:
    """A support vector machine on the mean RBF similarity of two bags' instances.

    Parameters
    ----------
    gamma
        Of the RBF kernel on standardised features, relative to 1 / d.
    seed
        Deals out the folds that choose the cost.

    Notes
    -----
    ``K(A, B) = mean of k(a, b)``, normalised so that K(A, A) = 1. Time and memory O(N_train N) for
    N instances: for the thousands of instances of classic sets, not for slides. Respects no
    assumption; `predict_instances` compares each instance, as a bag of one, with the bags.

    References
    ----------
    Gaertner, Flach, Kowalczyk and Smola 2002, "Multi-instance kernels", eq. 1, section 3.
    """

    classes_: NDArray[np.int64]

    def __init__(self, *, gamma: float = 1.0, seed: int = 0) -> None:
        self.gamma = gamma
        self.seed = seed

    def fit(self, bags: Sequence[Bag], y: ArrayLike) -> Self:
        """Train on ``bags``, (n_i, d) arrays, with integer labels ``y`` (n_bags,)."""
        self._d = check_bags(bags)
        self.classes_, numbers = check_labels(y, len(bags))
        stacked = np.concatenate(bags)
        self._mean = stacked.mean(axis=0)
        self._scale = scale_about(self._mean, stacked)
        self._bags = list(bags)
        self._own = np.sqrt([self._similarity([bag], [bag])[0, 0] for bag in bags])
        self._svm = ChosenSVM(SVC(kernel="precomputed"), seed=self.seed)
        self._svm.fit(self._kernel(bags), numbers)
        return self

    def predict_proba(self, bags: Sequence[Bag]) -> NDArray[np.float32]:
        """Return (n_bags, K) float32, rows sum to 1."""
        check_bags(bags, self._d)
        return np.asarray(self._svm.predict_proba(self._kernel(bags)), dtype=np.float32)

    def predict_instances(self, bags: Sequence[Bag]) -> list[NDArray[np.float32]]:
        """Return what each instance would be called as a bag of its own, one array a bag."""
        check_bags(bags, self._d)
        return predict_alone(self.predict_proba, bags)

    def _kernel(self, bags: Sequence[Bag]) -> NDArray[np.float64]:
        """Return the normalised kernel (n_bags, n_training bags)."""
        own = np.sqrt([self._similarity([bag], [bag])[0, 0] for bag in bags])
        return np.asarray(self._similarity(bags, self._bags) / np.outer(own, self._own))

    def _similarity(self, left: Sequence[Bag], right: Sequence[Bag]) -> NDArray[np.float64]:
        """Return the mean similarity of all pairs of instances, (len(left), len(right))."""
        a, b = (self._standardised(np.concatenate(list(side))) for side in (left, right))
        k = np.exp(-self.gamma / self._d * euclidean_distances(a, b, squared=True))
        starts = [np.cumsum([0, *(len(bag) for bag in side[:-1])]) for side in (left, right)]
        sums = np.add.reduceat(np.add.reduceat(k, starts[0], axis=0), starts[1], axis=1)
        sizes = [np.array([len(bag) for bag in side]) for side in (left, right)]
        return np.asarray(sums / np.outer(*sizes))

    def _standardised(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        return np.asarray((x - self._mean) / self._scale, dtype=np.float64)

"""mi-SVM: guess the instances' labels, train, guess again (Andrews et al. 2003).

Try it: ``MiSVM().fit(bags, y).predict_instances(bags)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from weak_supervision.bags.base import Bag, check_bags, check_labels, split_like
from weaklight.errors import DataError

__all__ = ["MiSVM"]


class MiSVM:
    """An instance classifier under the standard assumption, for two classes.

    Parameters
    ----------
    cost
        C of the RBF support vector machine, for standardised features.
    max_rounds
        Rounds of relabelling at most; most sets settle within ten.

    Attributes
    ----------
    n_rounds_ : rounds that ran

    Notes
    -----
    All instances of negative bags are negative, and each positive bag keeps one positive instance
    at least, its likeliest. Time: one SVM on all N instances a round; the rounds share one kernel,
    O(N^2) time and memory: for the thousands of instances of classic sets, not for slides. The
    result depends on the start, here that every instance of a positive bag is positive; it draws
    nothing at random.
    The scores of `predict_instances` are sigmoids of decision values, not calibrated.

    References
    ----------
    Andrews, Tsochantaridis and Hofmann 2003, "Support vector machines for multiple-instance
    learning", NeurIPS 15, figure 2.
    """

    classes_: NDArray[np.int64]
    n_rounds_: int

    def __init__(self, *, cost: float = 1.0, max_rounds: int = 20) -> None:
        self.cost = cost
        self.max_rounds = max_rounds

    def fit(self, bags: Sequence[Bag], y: ArrayLike) -> Self:
        """Train on ``bags``, (n_i, d) arrays, with labels ``y`` (n_bags,) of two kinds.

        Raises
        ------
        DataError
            If the bags have more than two classes, beside what all bag classifiers check.
        """
        self._d = check_bags(bags)
        self.classes_, numbers = check_labels(y, len(bags))
        if len(self.classes_) != 2:
            raise DataError(
                f"mi-SVM tells two classes apart, but came {len(self.classes_)}; "
                "use noisy-or or attention for more"
            )
        self._scaler = StandardScaler().fit(np.concatenate(bags))
        x = self._scaler.transform(np.concatenate(bags))
        self._gamma = 1 / (x.shape[1] * x.var())  # scikit-learn's "scale"
        kernel = rbf_kernel(x, gamma=self._gamma)
        bag = np.repeat(np.arange(len(bags)), [len(b) for b in bags])
        positive_bag = numbers[bag] == 1
        labels = positive_bag.astype(np.int64)
        for number in range(1, self.max_rounds + 1):
            self._svm = SVC(C=self.cost, kernel="precomputed").fit(kernel, labels)
            self.n_rounds_ = number
            support = self._svm.support_
            values = kernel[:, support] @ self._svm.dual_coef_[0] + self._svm.intercept_
            guessed = (positive_bag & (values > 0)).astype(np.int64)
            for b in np.flatnonzero(numbers == 1):
                inside = np.flatnonzero(bag == b)
                guessed[inside[values[inside].argmax()]] = 1
            if (guessed == labels).all():
                break
            labels = guessed
        self._support = x[support]
        return self

    def predict_proba(self, bags: Sequence[Bag]) -> NDArray[np.float32]:
        """Return (n_bags, 2) float32: a bag is as positive as its most positive instance."""
        top = np.array([scores[:, 1].max() for scores in self.predict_instances(bags)])
        return np.column_stack([1 - top, top]).astype(np.float32)

    def predict_instances(self, bags: Sequence[Bag]) -> list[NDArray[np.float32]]:
        """Return the sigmoid of each instance's decision value, one (n_i, 2) array a bag."""
        check_bags(bags, self._d)
        x = self._scaler.transform(np.concatenate(bags))
        kernel = rbf_kernel(x, self._support, gamma=self._gamma)
        values = kernel @ self._svm.dual_coef_[0] + self._svm.intercept_
        p = expit(values)
        return split_like(np.column_stack([1 - p, p]).astype(np.float32), bags)

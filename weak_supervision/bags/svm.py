"""A support vector machine that chooses its cost and states probabilities, on training rows alone.

Try it: ``ChosenSVM(SVC(kernel="rbf")).fit(x, y).predict_proba(x)``.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.svm import SVC

__all__ = ["COSTS", "ChosenSVM"]

COSTS = (0.1, 1.0, 10.0, 100.0)
FOLDS = 5


class ChosenSVM(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """An SVC with C from cross-validated accuracy and Platt's sigmoid on cross-validated scores.

    Parameters
    ----------
    svc
        Kernel and other options; ``kernel="precomputed"`` takes square matrices of training rows.
    seed
        Deals out the folds.

    Attributes
    ----------
    cost_ : the chosen C; a tie goes to the smaller one
    """

    def __init__(self, svc: SVC, *, seed: int = 0) -> None:
        self.svc = svc
        self.seed = seed

    def fit(self, x: NDArray[Any], y: NDArray[np.integer]) -> Self:
        """Choose C, then fit and calibrate on all rows."""
        self.classes_, counts = np.unique(y, return_counts=True)
        n_folds = int(min(FOLDS, counts.min()))
        if n_folds < 2:  # too few bags of a class to hold any out
            self.cost_ = 1.0
            self._model: Any = _Uncalibrated(clone(self.svc).set_params(C=1.0)).fit(x, y)
            return self
        folds = StratifiedKFold(n_folds, shuffle=True, random_state=self.seed % 2**32)
        scores = [
            cross_val_score(clone(self.svc).set_params(C=c), x, y, cv=folds).mean() for c in COSTS
        ]
        self.cost_ = COSTS[int(np.argmax(scores))]
        best = clone(self.svc).set_params(C=self.cost_)
        self._model = CalibratedClassifierCV(best, cv=folds, ensemble=False).fit(x, y)
        return self

    def predict_proba(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Return (n, K), rows sum to 1."""
        return np.asarray(self._model.predict_proba(x))

    def predict(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return the likeliest classes (n,)."""
        return np.asarray(self.classes_[self.predict_proba(x).argmax(axis=1)])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self.svc.kernel == "precomputed"
        return tags


class _Uncalibrated:
    """The sigmoid of the decision values as they are."""

    def __init__(self, svc: SVC) -> None:
        self.svc = svc

    def fit(self, x: NDArray[Any], y: NDArray[np.integer]) -> Self:
        self.svc.set_params(decision_function_shape="ovr").fit(x, y)
        return self

    def predict_proba(self, x: NDArray[Any]) -> NDArray[np.float64]:
        values = np.asarray(self.svc.decision_function(x))
        if values.ndim == 1:
            values = np.column_stack([-values / 2, values / 2])
        odds = np.exp(values - values.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))

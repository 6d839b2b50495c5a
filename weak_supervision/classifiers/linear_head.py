"""A linear classifier on frozen features that learns from soft, weighted labels.

Try it: ``LinearHead().fit(features, posterior).predict_proba(features)``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from weak_supervision.classifiers.base import Dev, Head
from weak_supervision.threads import one_thread
from weaklight.errors import DataError, TrainingError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["LinearHead"]


class LinearHead(Head):
    """Multinomial logistic regression with soft targets and row weights.

    Parameters
    ----------
    l2
        Weight of ``|W|^2 / 2`` beside the summed loss, scikit-learn's ``1 / C``. 10 suits
        hundreds of standardised features with labels that are partly wrong.
    max_iter
        Steps of L-BFGS at most; the problem is convex, so more change little.
    balance
        "classes" lets every class count the same, "none" leaves the rows their weights.
    tol
        Stops when a step makes the mean loss less than this share smaller.
    warm_start
        Begin a fit where the last one of this object ended: half the steps or fewer on rows that
        are nearly the same.

    Attributes
    ----------
    coef_, intercept_
        (d, K) and (K,) float32, for standardised features; the rest as in `Head`.

    Notes
    -----
    Time O(n d K) a step on one core, memory O(n d). Convex and without any draw, so there is no
    seed. Row weights and targets are taken as they are: wrong labels are learnt as such.

    References
    ----------
    Liu and Nocedal 1989, "On the limited memory BFGS method", Math. Prog. 45.
    Guo et al. 2017, "On calibration of modern neural networks", arXiv:1706.04599, section 4.2.
    """

    kind = "linear"
    settings = ("l2", "max_iter", "balance")

    coef_: NDArray[np.float32]
    intercept_: NDArray[np.float32]

    def __init__(
        self,
        *,
        l2: float = 10.0,
        max_iter: int = 300,
        balance: str = "none",
        tol: float = 1e-8,  # looser than float64 allows: the loss itself is computed in float32
        warm_start: bool = False,
    ) -> None:
        self.l2 = l2
        self.max_iter = max_iter
        self.balance = balance
        self.tol = tol
        self.warm_start = warm_start

    @classmethod
    def from_layer(
        cls,
        coef: NDArray[np.float32],
        intercept: NDArray[np.float32],
        class_prior: NDArray[np.float32],
        classes: Sequence[str],
    ) -> Self:
        """Return a head for features as they are: (d, K) and (K,) learnt elsewhere, (K,) prior."""
        head = cls()
        head.coef_, head.intercept_ = coef, intercept
        head.mean_, head.scale_ = np.zeros(len(coef), np.float32), np.ones(len(coef), np.float32)
        head.class_prior_, head.classes_, head.temperature_ = class_prior, tuple(classes), 1.0
        return head

    def layer(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return coefficients (d, K) and intercepts (K,) for features that are not standardised."""
        coef = self.coef_ / self.scale_[:, None]
        return coef, self.intercept_ - self.mean_ @ coef

    def _learn(
        self,
        x: NDArray[np.float32],
        y: NDArray[np.float32],
        w: NDArray[np.float64],
        trusted: NDArray[np.bool_],
        dev: Dev | None,
    ) -> None:
        n_features, n_classes = x.shape[1], y.shape[1]
        total = w.sum()
        penalty = self.l2 / total
        # Items run along the last axis: softmax over K long rows is several times faster.
        x_t = np.ascontiguousarray(x.T)  # (d, n)
        share = (w / total).astype(np.float32)  # (n,)
        weighted_y = np.ascontiguousarray(y.T) * share  # (K, n)

        def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            theta = flat.reshape(n_classes, n_features + 1)
            coef = theta[:, :-1]
            log_p = coef.astype(np.float32) @ x_t + theta[:, -1:].astype(np.float32)  # (K, n)
            log_p -= log_p.max(axis=0)
            p = np.exp(log_p)
            mass = p.sum(axis=0)
            log_p -= np.log(mass)
            value = -float((weighted_y * log_p).sum(dtype=np.float64))
            slope = p * (share / mass) - weighted_y
            gradient = np.empty_like(theta)
            gradient[:, :-1] = slope @ x_t.T + penalty * coef
            gradient[:, -1] = slope.sum(axis=1)
            return value + penalty / 2 * float((coef**2).sum()), gradient.ravel()

        with one_thread():
            result = minimize(
                loss,
                self._start(n_features, n_classes),
                jac=True,
                method="L-BFGS-B",
                options={"maxiter": self.max_iter, "ftol": self.tol, "gtol": 1e-6},
            )
        if not np.isfinite(result.fun):
            raise TrainingError(
                "the head's loss became NaN or infinite; look for huge values in the features"
            )
        theta = result.x.reshape(n_classes, n_features + 1).astype(np.float32)
        self.coef_, self.intercept_ = np.ascontiguousarray(theta[:, :-1].T), theta[:, -1].copy()

    def _start(self, n_features: int, n_classes: int) -> NDArray[np.float64]:
        """Return the flat (K, d + 1) coefficients and intercepts that a fit begins with."""
        start = np.zeros((n_classes, n_features + 1))
        if self.warm_start and hasattr(self, "coef_"):
            if self.coef_.shape != (n_features, n_classes):
                raise DataError(
                    f"a warm start needs the {self.coef_.shape} features and classes of the last "
                    f"fit, but came {(n_features, n_classes)}; set warm_start=False"
                )
            start[:, :-1], start[:, -1] = self.coef_.T, self.intercept_
        return start.ravel()

    def _logits(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        return (x @ self.coef_ + self.intercept_).astype(np.float32)

    def _arrays(self) -> dict[str, NDArray[np.float32]]:
        return {"coef": self.coef_, "intercept": self.intercept_}

    def _restore(self, arrays: Mapping[str, NDArray[np.float32]]) -> None:
        self.coef_, self.intercept_ = arrays["coef"], arrays["intercept"]
        expected = (self.n_features_in_, len(self.classes_))
        if self.coef_.shape != expected:
            raise ValueError(
                f"head.json speaks of {expected[0]} features and {expected[1]} classes, but "
                f"head.safetensors holds {self.coef_.shape}"
            )

    def networks(self) -> list[nn.Module]:
        """Return the one layer, as torch has it."""
        import torch
        from torch import nn
        from torch.nn.utils import skip_init

        layer = skip_init(nn.Linear, *self.coef_.shape)
        layer.load_state_dict(
            {
                "weight": torch.from_numpy(np.ascontiguousarray(self.coef_.T)),
                "bias": torch.from_numpy(self.intercept_),
            }
        )
        return [layer]

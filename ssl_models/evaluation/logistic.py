"""Multinomial logistic regression at many strengths of regularisation in one optimisation.

Try it: ``fit_logistic(features, labels, n_classes=10, l2=(1.0, 10.0)).predict_proba(others)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["LogisticFits", "fit_logistic"]

MAX_STEPS = 1000
TOLERANCE = 1e-10  # what one more step could still gain of the mean loss
NEGLIGIBLE = 1e-7  # of the largest variance: directions that float32 cannot tell from none


@dataclass(frozen=True)
class LogisticFits:
    """G fits to the same rows.

    Attributes
    ----------
    mean, scale
        (d,) float32 of the training rows; a feature that never varies has scale 1.
    coef, intercept
        (G, d, C) and (G, C) float32 for standardised features.
    classes
        (C,) the class ids that the training rows held, of ``n_classes``.
    """

    mean: Tensor
    scale: Tensor
    coef: Tensor
    intercept: Tensor
    classes: Tensor
    n_classes: int

    def predict_proba(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (G, n, K) float32, rows sum to 1; a class that training never met gets 0."""
        x = (torch.from_numpy(features) - self.mean) / self.scale
        logits = x @ self.coef + self.intercept[:, None]  # (G, n, C)
        proba = logits.new_zeros(*logits.shape[:2], self.n_classes)
        proba[:, :, self.classes] = logits.softmax(-1)
        return np.asarray(proba.numpy())


@torch.no_grad()
def fit_logistic(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    n_classes: int,
    l2: Sequence[float],
) -> LogisticFits:
    """Fit softmax regression on standardised features once for each of G values of ``l2``.

    Parameters
    ----------
    features
        (n, d) finite, n >= 1.
    labels
        (n,) class ids.
    n_classes
        K.
    l2
        G positive weights of ``|W|^2 / 2`` beside the summed cross entropy; the intercept is free.
        scikit-learn's ``1 / C`` from three classes on. With two, ours has a row of W for each and
        theirs one for both: ours is then twice their ``1 / C``.

    Notes
    -----
    The Hessian of the loss is at most that of half the squared error whatever the weights
    (Boehning), so X'X is decomposed once and every fit takes accelerated steps of length one in its
    eigenbasis, scaled by 1 / (s^2 / 2 + l2): nothing to tune, no line search. All fits share each
    matrix product; one that has converged drops out. Time O(n d min(n, d)) once and
    O(n min(n, d) G C) a step, memory O(n (d + G C)).

    References
    ----------
    Boehning 1992, "Multinomial logistic regression algorithm", Ann. Inst. Statist. Math. 44.
    O'Donoghue and Candes 2015, "Adaptive restart for accelerated gradient schemes",
    arXiv:1204.3982, section 3.2, the gradient scheme.
    """
    x = torch.from_numpy(features)
    mean = x.mean(0)
    spread = (x - mean).square().mean(0).sqrt()
    scale = torch.where(spread > 1e-6, spread, 1.0)
    x = (x - mean) / scale
    classes, targets = torch.from_numpy(labels).unique(return_inverse=True)
    one_hot = torch.nn.functional.one_hot(targets, len(classes)).float()  # (n, C)

    directions = _principal_directions(x)  # (d, r)
    z = torch.cat([x @ directions, torch.ones(len(x), 1)], 1)  # (n, r + 1)
    penalty = torch.tensor(l2, dtype=torch.float32).expand(z.shape[1], -1).clone()  # (r + 1, G)
    penalty[-1] = 0  # the intercept; x is centred, so it is a direction of its own
    theta = _minimise(z, one_hot, penalty)
    return LogisticFits(
        mean=mean,
        scale=scale,
        coef=torch.einsum("dr,rgc->gdc", directions, theta[:-1]),
        intercept=theta[-1],
        classes=classes,
        n_classes=n_classes,
    )


def _principal_directions(x: Tensor) -> Tensor:
    """Return the orthonormal directions (d, r) in which the rows vary, r <= min(n, d)."""
    n, d = x.shape
    if n < d:
        _, singular, directions = torch.linalg.svd(x.double(), full_matrices=False)
        variance, directions = singular.square(), directions.T
    else:
        variance, directions = torch.linalg.eigh((x.T @ x).double())
    kept = variance > NEGLIGIBLE * variance.max().clamp(min=1e-12)
    return directions[:, kept].float()  # type: ignore[no-any-return]


def _minimise(z: Tensor, one_hot: Tensor, penalty: Tensor) -> Tensor:
    """Return the weights (r + 1, G, C) of each fit; the columns of ``z`` are orthogonal."""
    (n, r), c = z.shape, one_hot.shape[1]
    theta = z.new_zeros(r, penalty.shape[1], c)
    # One column a running fit: where it is, where it was, and how far its momentum has grown.
    running = torch.arange(penalty.shape[1])
    here, before = theta.clone(), theta.clone()
    age = torch.zeros(len(running))
    curvature = z.square().sum(0)[:, None] / 2 + penalty  # (r + 1, G)
    for _ in range(MAX_STEPS):
        ahead = here + (age / (age + 3))[:, None] * (here - before)
        proba = (z @ ahead.flatten(1)).view(n, -1, c).softmax(-1)  # (n, G, C)
        residual = (proba - one_hot[:, None]).flatten(1)  # (n, G C)
        gradient = (z.T @ residual).view_as(ahead) + penalty[:, :, None] * ahead
        step = gradient / curvature[:, :, None]
        before, here = here, ahead - step
        climbs = (gradient * (here - before)).sum((0, 2)) > 0
        age = torch.where(climbs, 0.0, age + 1)
        gain = (gradient * step).sum((0, 2))
        theta[:, running] = here
        going = gain > TOLERANCE * n
        if not going.any():
            break
        if not going.all():
            running, age, penalty, curvature = (
                running[going],
                age[going],
                penalty[:, going],
                curvature[:, going],
            )
            here, before = here[:, going], before[:, going]
    return theta

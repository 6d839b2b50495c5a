"""Losses that bend less to wrong labels than cross-entropy does. All return one loss a row.

Try it: ``generalized_cross_entropy(logits, targets).mean().backward()``.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = [
    "EarlyLearning",
    "forward_corrected",
    "generalized_cross_entropy",
    "soft_cross_entropy",
    "symmetric_cross_entropy",
]

_LEAST = 1e-4  # probabilities are kept above this where a logarithm or a power needs it


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return cross-entropy (B,) with soft targets (B, K)."""
    return -(targets * logits.log_softmax(dim=1)).sum(dim=1)


def generalized_cross_entropy(logits: Tensor, targets: Tensor, *, q: float = 0.7) -> Tensor:
    """Return ``(1 - p^q) / q`` (B,), between cross-entropy (q -> 0) and absolute error (q = 1).

    Rows that the network contradicts pull less than in cross-entropy, by the factor p^q.

    References
    ----------
    Zhang and Sabuncu 2018, arXiv:1805.07836, eq. 6; q = 0.7 is theirs.
    """
    p = logits.softmax(dim=1).clamp_min(_LEAST)
    return (targets * (1 - p**q)).sum(dim=1) / q


def symmetric_cross_entropy(
    logits: Tensor, targets: Tensor, *, alpha: float = 0.1, beta: float = 1.0
) -> Tensor:
    """Return ``alpha CE + beta RCE`` (B,): cross-entropy and the same with the sides exchanged.

    References
    ----------
    Wang et al. 2019, arXiv:1908.06112, eqs. 4 to 6; alpha, beta and -4 for the logarithm of 0 as
    there for CIFAR-10.
    """
    p = logits.softmax(dim=1)
    log_target = targets.log().clamp_min(-4.0)
    reverse = -(p * log_target).sum(dim=1)
    return alpha * soft_cross_entropy(logits, targets) + beta * reverse


def forward_corrected(logits: Tensor, targets: Tensor, transition: Tensor) -> Tensor:
    """Return cross-entropy (B,) of what the noise would make of the network's prediction.

    Parameters
    ----------
    transition
        (K, K), row c: how a true c gets labelled; rows sum to 1. At the minimum the network then
        predicts the true classes, if the matrix is right and depends on nothing but the class.

    References
    ----------
    Patrini et al. 2017, "Making deep neural networks robust to label noise", arXiv:1609.03683,
    thm. 2.
    """
    noisy = (logits.softmax(dim=1) @ transition).clamp_min(_LEAST)
    return -(targets * noisy.log()).sum(dim=1)


class EarlyLearning:
    """Early-learning regularisation: hold on to what was predicted before memorising began.

    Adds ``strength log(1 - <p, t>)`` to the cross-entropy, t the moving average of the row's own
    predictions. Where the label contradicts that average, the gradient of the label is cancelled.

    Parameters
    ----------
    n, n_classes
        Rows of the training set, since the averages are kept per row: O(n K) memory.
    momentum, strength
        0.7 and 3 as in the paper for CIFAR-10.

    References
    ----------
    Liu et al. 2020, "Early-learning regularization prevents memorization of noisy labels",
    arXiv:2007.00151, eqs. 6 and 9.
    """

    def __init__(
        self, n: int, n_classes: int, *, momentum: float = 0.7, strength: float = 3.0
    ) -> None:
        self.average = torch.zeros(n, n_classes)
        self.momentum = momentum
        self.strength = strength

    def __call__(self, logits: Tensor, targets: Tensor, rows: Tensor) -> Tensor:
        """Return the losses (B,) and move the averages of these rows on."""
        p = logits.softmax(dim=1).clamp(_LEAST, 1 - _LEAST)
        now = p.detach() / p.detach().sum(dim=1, keepdim=True)
        self.average = self.average.to(now.device)
        average = self.momentum * self.average[rows] + (1 - self.momentum) * now
        self.average[rows] = average
        regulariser = torch.log(1 - (p * average).sum(dim=1))
        return soft_cross_entropy(logits, targets) + self.strength * regulariser

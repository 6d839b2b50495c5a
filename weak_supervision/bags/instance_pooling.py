"""Poolings of instance scores that respect the standard assumption.

A bag is positive exactly when it holds a positive instance. If the bag's score can only rise with
each instance's score, nothing in a bag can argue its positive instances away.

Try it: ``NoisyOrBagClassifier().fit(bags, y).predict_instances(bags)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import torch
from torch import Tensor, nn

from weak_supervision.bags.network import NetworkBagClassifier, Pooled, Pooling

__all__ = ["NoisyOrBagClassifier", "TopKBagClassifier", "noisy_or", "top_k"]


def noisy_or(scores: Tensor, mask: Tensor) -> Tensor:
    """Return the bags' log-odds (B, C) if each instance alone may make its bag positive.

    Parameters
    ----------
    scores
        (B, T, C) log-odds of the instances.
    mask
        (B, T) true for real instances.

    Notes
    -----
    ``p = 1 - prod(1 - p_i)``. With ``S = sum softplus(s_i) = -log(1 - p)`` the log-odds are
    ``log(exp(S) - 1) = S + log(1 - exp(-S))``, finite for any bag size.

    References
    ----------
    Maron and Lozano-Perez 1998, "A framework for multiple-instance learning", section 3; Zhang,
    Platt and Viola 2005, "Multiple instance boosting for object detection", eq. 2.
    """
    total = (nn.functional.softplus(scores) * mask[..., None]).sum(dim=1)  # (B, C)
    total = total.clamp_min(1e-6)
    return total + torch.log(-torch.expm1(-total))


def top_k(scores: Tensor, mask: Tensor, k: int) -> Tensor:
    """Return the mean (B, C) of each bag's k largest scores (B, T, C); of all where it has fewer.

    With k = 1 this is max pooling. With more, a bag smaller than k is averaged whole, and the
    assumption holds for larger bags only.
    """
    hidden = scores.masked_fill(~mask[..., None], -torch.inf)
    largest = hidden.topk(min(k, scores.shape[1]), dim=1).values  # (B, k, C)
    real = torch.isfinite(largest)
    return torch.where(real, largest, 0.0).sum(dim=1) / real.sum(dim=1)


class _InstanceScores(Pooling):
    """Score each instance, then pool the scores by ``noisy_or`` (k = 0) or ``top_k``."""

    def __init__(
        self, d: int, n_logits: int, *, hidden: int, dropout: float, k: int, bias: float
    ) -> None:
        super().__init__()
        last = nn.Linear(hidden, n_logits)
        nn.init.constant_(last.bias, bias)
        self.score = nn.Sequential(nn.Linear(d, hidden), nn.ReLU(), nn.Dropout(dropout), last)
        self.k = k

    def forward(self, x: Tensor, mask: Tensor) -> Pooled:
        scores = self.score(x)  # (B, T, C)
        return Pooled(top_k(scores, mask, self.k) if self.k else noisy_or(scores, mask))


class NoisyOrBagClassifier(NetworkBagClassifier):
    """Instances have probabilities of their own; a bag is positive unless all of them are not.

    `predict_instances` gives these probabilities: each instance's chance to be a positive, given
    the standard assumption and instances that are independent given the features.

    References
    ----------
    See :func:`noisy_or`. Raff and Holt 2023, arXiv:2310.17867, for the tests it passes.
    """

    def _pooling(self, d: int, n_logits: int, mean_bag_size: float) -> Pooling:
        # untrained instances are rarely positive, or a large bag would start out certain
        bias = -log(max(mean_bag_size, 1.0))
        return _InstanceScores(
            d, n_logits, hidden=self.hidden, dropout=self.dropout, k=0, bias=bias
        )


@dataclass(kw_only=True, eq=False)
class TopKBagClassifier(NetworkBagClassifier):
    """A bag is as positive as its k most positive instances are on average.

    Parameters
    ----------
    k
        1, max pooling, respects the standard assumption in every bag; more learns from more
        instances at once.
    hidden, dropout, epochs, batch_size, lr, weight_decay, max_steps, seed
        Of `NetworkBagClassifier`.
    """

    k: int = 1

    def _pooling(self, d: int, n_logits: int, mean_bag_size: float) -> Pooling:
        return _InstanceScores(
            d, n_logits, hidden=self.hidden, dropout=self.dropout, k=self.k, bias=0.0
        )

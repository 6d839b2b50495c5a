"""Dual-stream multiple-instance learning (Li, Li and Eliceiri 2021).

Try it: ``DualStreamBagClassifier().fit(bags, y).predict_proba(bags)``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from weak_supervision.bags.network import NetworkBagClassifier, Pooled, Pooling

__all__ = ["DualStreamBagClassifier", "DualStreamPooling"]


class DualStreamPooling(Pooling):
    """Find the critical instance of each class, then weigh all instances by likeness to it.

    Parameters
    ----------
    d, n_logits
        Features an instance, logits a bag.
    hidden
        Width of queries and values.
    dropout
        Share of the value inputs left out in training.
    """

    def __init__(self, d: int, n_logits: int, *, hidden: int, dropout: float) -> None:
        super().__init__()
        self.instance = nn.Linear(d, n_logits)
        self.query = nn.Linear(d, hidden)
        self.value = nn.Sequential(nn.Dropout(dropout), nn.Linear(d, hidden), nn.ReLU())
        self.bag = nn.Conv1d(n_logits, n_logits, kernel_size=hidden)

    def forward(self, x: Tensor, mask: Tensor) -> Pooled:
        """See `Pooling`; the logits are the mean of both streams (eq. 8)."""
        scores = self.instance(x).masked_fill(~mask[..., None], -torch.inf)  # (B, T, C)
        critical = scores.argmax(dim=1)  # (B, C), eq. 1
        first = scores.max(dim=1).values  # (B, C): max pooling
        q = self.query(x)  # (B, T, H), eq. 2
        at = critical[..., None].expand(-1, -1, q.shape[2])
        likeness = torch.einsum("bth,bch->btc", q, q.gather(1, at)) / q.shape[2] ** 0.5
        weights = likeness.masked_fill(~mask[..., None], -torch.inf).softmax(dim=1)  # eq. 3
        embedding = torch.einsum("btc,bth->bch", weights, self.value(x))  # eq. 4 and 5
        second = self.bag(embedding).squeeze(-1)  # (B, C), eq. 6
        return Pooled((first + second) / 2, weights.mean(dim=2))


class DualStreamBagClassifier(NetworkBagClassifier):
    """Max pooling and attention around its winner, averaged.

    Notes
    -----
    Does not respect the standard assumption: the second stream averages over the bag. Published
    figures of DSMIL on the classic sets were chosen on the test folds; see ``docs/bags.md``.

    References
    ----------
    Li, Li and Eliceiri 2021, arXiv:2011.08939, section 3.2, eqs. 1 to 8.
    """

    def _pooling(self, d: int, n_logits: int, mean_bag_size: float) -> Pooling:
        return DualStreamPooling(d, n_logits, hidden=self.hidden, dropout=self.dropout)

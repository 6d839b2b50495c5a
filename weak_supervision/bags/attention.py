"""Attention-based multiple-instance learning on frozen features (Ilse et al. 2018).

Try it: ``AttentionBagClassifier().fit(bags, labels).attention_of(bags)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from weak_supervision.bags.base import Bag, check_bags
from weak_supervision.bags.network import NetworkBagClassifier, Pooled, Pooling

__all__ = ["AttentionBagClassifier", "AttentionPooling"]


class AttentionPooling(Pooling):
    """Embed instances, average them by learnt attention, classify the average.

    Parameters
    ----------
    d, n_logits
        Features an instance, logits a bag.
    hidden, attention
        Widths of the embedding and of the attention's inner layer.
    gated
        Multiply the tanh by a sigmoid gate (eq. 9), which sees nonlinear relations, else eq. 8.
    dropout
        Share of embedding units left out in training.
    """

    def __init__(
        self, d: int, n_logits: int, *, hidden: int, attention: int, gated: bool, dropout: float
    ) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(d, hidden), nn.ReLU(), nn.Dropout(dropout))
        self.V = nn.Linear(hidden, attention)
        self.U = nn.Linear(hidden, attention) if gated else None
        self.w = nn.Linear(attention, 1, bias=False)
        self.classify = nn.Linear(hidden, n_logits)

    def forward(self, x: Tensor, mask: Tensor) -> Pooled:
        """See `Pooling`; the attention is 0 on padding."""
        h = self.embed(x)  # (B, T, H)
        inner = torch.tanh(self.V(h))  # (B, T, L)
        if self.U is not None:
            inner = inner * torch.sigmoid(self.U(h))
        score = self.w(inner).squeeze(-1).masked_fill(~mask, -torch.inf)
        attention = score.softmax(dim=1)  # (B, T), eq. 8 and 9
        pooled = torch.einsum("bt,bth->bh", attention, h)  # eq. 7
        return Pooled(self.classify(pooled), attention)


@dataclass(kw_only=True, eq=False)
class AttentionBagClassifier(NetworkBagClassifier):
    """Learns where to look and classifies what it sees there.

    Parameters
    ----------
    attention, gated
        Of `AttentionPooling`.
    hidden, dropout, epochs, batch_size, lr, weight_decay, max_steps, seed
        Of `NetworkBagClassifier`.

    Notes
    -----
    Does not respect the standard assumption (a bag is positive exactly when it holds a positive):
    it may learn that something makes a bag negative, and then misses a positive beside it (Raff
    and Holt 2023, arXiv:2310.17867; shown in our tests). See `NoisyOrBagClassifier`.

    References
    ----------
    Ilse et al. 2018, "Attention-based deep multiple instance learning", arXiv:1802.04712, eqs. 7-9.
    """

    attention: int = 64
    gated: bool = True

    def _pooling(self, d: int, n_logits: int, mean_bag_size: float) -> Pooling:
        return AttentionPooling(
            d,
            n_logits,
            hidden=self.hidden,
            attention=self.attention,
            gated=self.gated,
            dropout=self.dropout,
        )

    def attention_of(self, bags: Sequence[Bag]) -> list[NDArray[np.float32]]:
        """Return how much each instance weighs in its bag; one (n_i,) array a bag, summing to 1.

        Attention is not a probability: it says where the network looks, in negative bags too, and
        a bag with many positives shares it out among them.
        """
        check_bags(bags, len(self.mean_))
        found: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(bags)
        for rows, pooled in self._forward(bags):
            assert pooled.attention is not None
            for row, weights in zip(rows, pooled.attention.numpy(), strict=True):
                found[row] = weights[: len(bags[row])].copy()
        return found

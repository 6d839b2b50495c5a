"""A transformer over the instances of a bag, in the manner of TransMIL.

Try it: ``TransformerBagClassifier().fit(bags, y).predict_proba(bags)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from weak_supervision.bags.network import NetworkBagClassifier, Pooled, Pooling

__all__ = ["TransformerBagClassifier", "TransformerBlock"]


class TransformerBlock(nn.Module):
    """Pre-norm self-attention; exact, through SDPA, so bags of 10,000 need no approximation."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Sequential(nn.Linear(width, width), nn.Dropout(dropout))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return (B, T, W) from (B, T, W), where ``mask`` (B, T) is true for real instances."""
        b, t, w = x.shape
        qkv = self.qkv(self.norm(x)).view(b, t, 3, self.heads, w // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, T, w / heads)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None])
        mixed = mixed.transpose(1, 2).reshape(b, t, w)
        out: Tensor = x + self.out(mixed)
        return out


class TransformerPooling(Pooling):
    """Project, prepend a class token, two blocks of attention, classify the token."""

    def __init__(
        self, d: int, n_logits: int, *, hidden: int, heads: int, blocks: int, dropout: float
    ) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.Linear(d, hidden), nn.ReLU())
        self.token = nn.Parameter(0.02 * torch.randn(1, 1, hidden))
        self.blocks = nn.ModuleList(TransformerBlock(hidden, heads, dropout) for _ in range(blocks))
        self.classify = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, n_logits))

    def forward(self, x: Tensor, mask: Tensor) -> Pooled:
        h = torch.cat([self.token.expand(len(x), -1, -1), self.project(x)], dim=1)  # (B, 1 + T, H)
        seen = torch.cat([torch.ones_like(mask[:, :1]), mask], dim=1)
        for block in self.blocks:
            h = block(h, seen)
        return Pooled(self.classify(h[:, 0]))


@dataclass(kw_only=True, eq=False)
class TransformerBagClassifier(NetworkBagClassifier):
    """Instances look at one another before the bag is classified.

    Parameters
    ----------
    heads, blocks
        Of the attention.
    hidden, dropout, epochs, batch_size, lr, weight_decay, max_steps, seed
        Of `NetworkBagClassifier`; ``hidden`` must be a multiple of ``heads``.

    Notes
    -----
    TransMIL approximates attention (Nystrom) and encodes positions by convolutions over a squared
    slide; here attention is exact and a bag has no order, so it serves any bags. Time O(T^2) a bag.
    Does not respect the standard assumption; wants more bags than the classic sets have.

    References
    ----------
    Shao et al. 2021, "TransMIL", arXiv:2106.00908, section 3.
    """

    heads: int = 4
    blocks: int = 2

    def _pooling(self, d: int, n_logits: int, mean_bag_size: float) -> Pooling:
        return TransformerPooling(
            d,
            n_logits,
            hidden=self.hidden,
            heads=self.heads,
            blocks=self.blocks,
            dropout=self.dropout,
        )

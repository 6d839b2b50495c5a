"""A head as one torch module, features in and probabilities out, for export.

Try it: ``as_module(load_head(Path("head")))(torch.zeros(1, 128))``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from weak_supervision.classifiers.base import Head

__all__ = ["as_module"]


class _HeadModule(nn.Module):
    mean: Tensor
    scale: Tensor

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(head.mean_))
        self.register_buffer("scale", torch.from_numpy(head.scale_))
        self.networks = nn.ModuleList(head.networks())
        self.temperature = head.temperature_

    def forward(self, features: Tensor) -> Tensor:
        x = (features - self.mean) / self.scale  # (B, d)
        each = torch.stack([network(x).log_softmax(1) for network in self.networks])
        log_p = each.logsumexp(0)  # (B, K): the logarithm of the mean, but for a constant
        return (log_p / self.temperature).softmax(1)


def as_module(head: Head) -> nn.Module:
    """Return (B, d) features -> (B, K) probabilities, in evaluation mode.

    The same numbers as ``head.predict_proba`` for finite features, in float32; a row without
    features gets NaN, not the class prior.
    """
    return _HeadModule(head).eval()

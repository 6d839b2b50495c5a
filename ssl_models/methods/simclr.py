"""SimCLR: two views of an image attract, all other views of the batch repel."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_models.augment import Augment, AugmentConfig
from ssl_models.backbones import Backbone
from ssl_models.distributed import GlobalBatchNorm, gather, rank
from ssl_models.methods.base import Method, register_method

__all__ = ["SimCLR", "nt_xent"]


@register_method("simclr")
class SimCLR(Method):
    """Chen et al. 2020, "A simple framework for contrastive learning", arXiv:2002.05709, alg. 1.

    Parameters
    ----------
    encoder
        f(.), yields h (B, D).
    augment
        How each of the two views is drawn.
    temperature
        tau of eq. 1. 0.2 suits the few hundred negatives of a small batch: they are mostly easy,
        and a low temperature weighs the hard ones up. The paper's CIFAR runs use 0.5 with larger
        batches and ten times the epochs.
    projection_dim
        P, length of z; the paper's 128.
    """

    category = "contrastive"
    principle = "two views of one image attract, all other images of the batch repel"
    cost = "two encoder passes an image; the batch is the pool of negatives, so 256 or more"
    when = "first choice for images: no queue, no teacher, hard to collapse"

    def __init__(
        self,
        encoder: Backbone,
        augment: AugmentConfig,
        *,
        temperature: float = 0.2,
        projection_dim: int = 128,
    ) -> None:
        super().__init__(encoder, augment)
        self.augment = Augment(augment)
        self.temperature = temperature
        # g(.): batch norm in every layer, the last without bias (model_util.py of the authors).
        self.projector = nn.Sequential(
            nn.Linear(encoder.dim, encoder.dim, bias=False),
            GlobalBatchNorm(encoder.dim),
            nn.ReLU(inplace=True),
            nn.Linear(encoder.dim, projection_dim, bias=False),
            GlobalBatchNorm(projection_dim),
        )

    def views(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return (2B, C, H, W): the first views, then the second."""
        return self.augment(images, generator=generator, n_views=2)

    def step(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """Return NT-Xent over the batch and the representations h."""
        h = self.encoder(views)  # (2B, D)
        first, second = self.projector(h).chunk(2)  # (B, P) each
        return nt_xent(first, second, self.temperature), h


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Return the normalised temperature-scaled cross entropy, eq. 1 averaged over 2B anchors.

    Parameters
    ----------
    first, second
        (B, P) embeddings of two views, row i of both from one image; not normalised. Across
        processes each brings its own B rows and its anchors meet the rows of all.
    temperature
        tau > 0; similarities are divided by it.

    Returns
    -------
    Scalar fp32: the mean over this process's anchors. ln(2B - 1) when nothing is learnt.

    Notes
    -----
    O(B^2 P) time, O(B^2) memory. In fp32, with the log-sum-exp of ``cross_entropy``: exponents of
    similarity / 0.1 overflow fp16.
    """
    with torch.autocast(first.device.type, enabled=False):
        a, b = (F.normalize(z.float(), dim=1) for z in (first, second))  # (B, P)
        everyone = torch.cat([gather(a), gather(b)])  # (2M, P), M = rows of all processes
        logits = torch.cat([a, b]) @ everyone.T / temperature  # (2B, 2M)
        n, total = len(a), len(everyone) // 2
        mine = rank() * n + torch.arange(n, device=logits.device)  # columns of my first views
        itself, positive = torch.cat([mine, mine + total]), torch.cat([mine + total, mine])
        logits = logits.scatter(1, itself[:, None], float("-inf"))
        return F.cross_entropy(logits, positive)

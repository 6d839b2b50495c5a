"""SimSiam: predict the other view with one network; a stopped gradient prevents collapse."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_models.augment import Augment, AugmentConfig
from ssl_models.backbones import Backbone
from ssl_models.distributed import GlobalBatchNorm
from ssl_models.methods.base import Method, register_method

__all__ = ["SimSiam", "negative_cosine"]


@register_method("simsiam")
class SimSiam(Method):
    """Chen and He 2020, "Exploring simple siamese representation learning", algorithm 1.

    arXiv:2011.10566.

    Parameters
    ----------
    encoder
        The backbone, yields h (B, D).
    augment
        How each of the two views is drawn.
    projection_dim
        Width of the projector and its output z; the paper's 2048 is its backbone's D, ours 512.
    bottleneck_dim
        Hidden width of the predictor; a quarter of z (section 4.1). As wide as z it trains worse.

    Notes
    -----
    The paper keeps the predictor's learning rate constant, worth 0.7 points (table 1). Here all
    parts share the trainer's schedule. Nor do the residual branches of a ResNet start at zero.
    """

    category = "self-distillation"
    principle = "predict the other view's embedding, whose gradient is stopped"
    cost = "two passes an image; no teacher, no negatives, no queue: the least memory"
    when = "when memory is short; watch the spread, it is the easiest to collapse"

    def __init__(
        self,
        encoder: Backbone,
        augment: AugmentConfig,
        *,
        projection_dim: int = 512,
        bottleneck_dim: int = 128,
    ) -> None:
        super().__init__(encoder, augment)
        self.augment = Augment(augment)
        last = GlobalBatchNorm(projection_dim)  # on z too, without scale and shift of its own
        last.requires_grad_(False)
        self.projector = nn.Sequential(
            nn.Linear(encoder.dim, projection_dim, bias=False),
            GlobalBatchNorm(projection_dim),
            nn.ReLU(inplace=True),
            nn.Linear(projection_dim, projection_dim, bias=False),
            GlobalBatchNorm(projection_dim),
            nn.ReLU(inplace=True),
            nn.Linear(projection_dim, projection_dim, bias=False),
            last,
        )
        self.predictor = nn.Sequential(  # no batch norm on the output: it makes training unstable
            nn.Linear(projection_dim, bottleneck_dim, bias=False),
            GlobalBatchNorm(bottleneck_dim),
            nn.ReLU(inplace=True),
            nn.Linear(bottleneck_dim, projection_dim),
        )

    def views(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return (2B, C, H, W): the first views, then the second."""
        return self.augment(images, generator=generator, n_views=2)

    def step(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """Return the symmetric loss of eq. 2, -1 at best, and the representations h."""
        h1, h2 = (self.encoder(view) for view in views.chunk(2))  # (B, D) each
        z1, z2 = self.projector(h1), self.projector(h2)  # (B, P)
        p1, p2 = self.predictor(z1), self.predictor(z2)
        self.projections = z1.detach()
        loss = (negative_cosine(p1, z2.detach()) + negative_cosine(p2, z1.detach())) / 2
        return loss, torch.cat([h1, h2])


def negative_cosine(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return D(p, z) of eq. 1, the mean over (B, P) rows: -1 when they agree, 1 at worst."""
    return -F.cosine_similarity(predictions.float(), targets.float(), dim=1).mean()

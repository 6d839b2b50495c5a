"""BYOL: predict what a slowly moving copy of yourself says of another view; no negatives."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_models.augment import Augment, AugmentConfig
from ssl_models.backbones import Backbone
from ssl_models.distributed import GlobalBatchNorm
from ssl_models.ema import cosine_momentum, follow, frozen_copy
from ssl_models.methods.base import Method, register_method

__all__ = ["BYOL", "asymmetric", "regression"]


@register_method("byol")
class BYOL(Method):
    """Grill et al. 2020, "Bootstrap your own latent", arXiv:2006.07733, algorithm 1.

    Parameters
    ----------
    encoder
        f, yields h (B, D).
    augment
        The base of T and T', see :func:`asymmetric`.
    momentum
        tau at the start, rising to 1 along a cosine. 0.97 is the authors' for their shortest run,
        12,500 steps, which is what a small data set gets; 0.99 for 8 times, 0.996 for 25 times.
    projection_dim
        Length of the projections; the paper's 256.
    hidden_dim
        Hidden width of projector and predictor; twice a compact encoder's D, as the paper's 4096
        is twice ResNet-50's.
    """

    category = "self-distillation"
    principle = "predict the embedding that a slowly moving teacher gives another view"
    cost = "two passes with and two without gradient an image; a teacher in memory"
    when = "small batches, or where images resemble one another and negatives would be false"

    def __init__(
        self,
        encoder: Backbone,
        augment: AugmentConfig,
        *,
        momentum: float = 0.97,
        projection_dim: int = 256,
        hidden_dim: int = 1024,
    ) -> None:
        super().__init__(encoder, augment)
        self.augment = Augment(*asymmetric(augment))  # T, T'
        self.momentum = momentum
        self.projector = _mlp(encoder.dim, hidden_dim, projection_dim)  # g
        self.predictor = _mlp(projection_dim, hidden_dim, projection_dim)  # q
        # In training mode like the rest: its batch norms use the statistics of the batch.
        self.teacher = frozen_copy(nn.Sequential(encoder, self.projector))

    def views(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return (2B, C, H, W): views by T, then views by T'."""
        return self.augment(images, generator=generator)

    def step(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """Return the symmetric loss of eq. 2 and the representations h."""
        first, second = views.chunk(2)
        h = [self.encoder(view) for view in (first, second)]  # (B, D) each
        z = [self.projector(x) for x in h]  # (B, P) each
        online = [self.predictor(x) for x in z]  # (B, P) each
        with torch.no_grad():
            target = [self.teacher(view) for view in (second, first)]
        self.projections = z[0].detach()
        loss = regression(online[0], target[0]) + regression(online[1], target[1])
        return loss, torch.cat(h)

    def after_step(self, step: int, total_steps: int) -> None:
        """Let the teacher follow, ever more slowly."""
        momentum = cosine_momentum(self.momentum, step, total_steps)
        follow(self.teacher, [self.encoder, self.projector], momentum)


def asymmetric(augment: AugmentConfig) -> tuple[AugmentConfig, AugmentConfig]:
    """Return T and T' (appendix B, table 6) as changes to SimCLR's augmentation.

    T blurs twice as often (the paper: 1.0 for 0.5) and never solarizes. T' blurs a fifth as often
    (0.1) and solarizes at least 0.2 of the views. Without blur in ``augment``, as small images
    have it, neither blurs. The jitter stays that of ``augment``; the paper's saturation is 0.2.
    """
    first = replace(augment, blur=min(1.0, 2 * augment.blur), solarize=0.0)
    return first, replace(augment, blur=augment.blur / 5, solarize=max(0.2, augment.solarize))


def regression(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return the squared distance of unit vectors, eq. 2: 0 when they agree, 4 at worst.

    Parameters
    ----------
    predictions, targets
        (B, P), not normalised.
    """
    return 2 - 2 * F.cosine_similarity(predictions.float(), targets.float(), dim=1).mean()


def _mlp(n_in: int, n_hidden: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(  # bias before the batch norm and none at the end, as the authors' MLP
        nn.Linear(n_in, n_hidden),
        GlobalBatchNorm(n_hidden),
        nn.ReLU(inplace=True),
        nn.Linear(n_hidden, n_out, bias=False),
    )

"""Barlow Twins: dimensions of two views correlate with themselves and with no other."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ssl_models.augment import Augment, AugmentConfig
from ssl_models.backbones import Backbone
from ssl_models.distributed import GlobalBatchNorm, gather
from ssl_models.methods.base import Method, register_method

__all__ = ["BarlowTwins", "redundancy"]


@register_method("barlow_twins")
class BarlowTwins(Method):
    """Zbontar et al. 2021, "Barlow Twins", arXiv:2103.03230, algorithm 1.

    Parameters
    ----------
    encoder
        f, yields h (B, D).
    augment
        How each of the two views is drawn.
    off_diagonal
        lambda of eq. 1; the authors' 0.0051.
    projection_dim
        Width of the projector and its output. The paper's 8192 serves batches of 2048; the
        correlations of 64 rows hold less.
    """

    # Its criterion contrasts dimensions where SimCLR's contrasts images: Garrido et al. 2022,
    # "On the duality between contrastive and non-contrastive", arXiv:2206.02574.
    category = "contrastive"
    principle = "each dimension agrees between two views and repeats no other dimension"
    cost = "two passes an image and a correlation matrix of projection_dim squared"
    when = "no negatives, no teacher, and small batches; wants a wide projector"

    def __init__(
        self,
        encoder: Backbone,
        augment: AugmentConfig,
        *,
        off_diagonal: float = 0.0051,
        projection_dim: int = 1024,
    ) -> None:
        super().__init__(encoder, augment)
        self.augment = Augment(augment)
        self.off_diagonal = off_diagonal
        self.projector = nn.Sequential(
            nn.Linear(encoder.dim, projection_dim, bias=False),
            GlobalBatchNorm(projection_dim),
            nn.ReLU(inplace=True),
            nn.Linear(projection_dim, projection_dim, bias=False),
            GlobalBatchNorm(projection_dim),
            nn.ReLU(inplace=True),
            nn.Linear(projection_dim, projection_dim, bias=False),
        )

    def views(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return (2B, C, H, W): the first views, then the second."""
        return self.augment(images, generator=generator, n_views=2)

    def step(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of eq. 1 and the representations h."""
        h = [self.encoder(view) for view in views.chunk(2)]  # (B, D) each
        first, second = (self.projector(x) for x in h)  # (B, P) each
        return redundancy(first, second, self.off_diagonal), torch.cat(h)


def redundancy(first: Tensor, second: Tensor, off_diagonal: float) -> Tensor:
    """Return the distance of the cross-correlation matrix from the identity, eq. 1.

    Parameters
    ----------
    first, second
        (B, P) embeddings, row i of both from one image. Correlations run over the rows of all
        processes.
    off_diagonal
        lambda, the weight of what should be 0 against what should be 1.

    Returns
    -------
    Scalar fp32, a sum over dimensions: P (1 + lambda (P - 1) / B) for independent noise.

    Notes
    -----
    O(B P^2) time, O(P^2) memory.
    """
    with torch.autocast(first.device.type, enabled=False):
        a, b = (_standardise(gather(z).float()) for z in (first, second))  # (M, P)
        correlation = a.T @ b / len(a)  # (P, P)
        diagonal = correlation.diagonal()
        invariance = (1 - diagonal).square().sum()
        redundancy = correlation.square().sum() - diagonal.square().sum()
        return invariance + off_diagonal * redundancy


def _standardise(z: Tensor) -> Tensor:
    centred = z - z.mean(0)
    return centred * torch.rsqrt(centred.square().mean(0) + 1e-5)  # eps of the authors' batch norm

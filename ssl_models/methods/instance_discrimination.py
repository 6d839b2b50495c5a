"""Instance discrimination: every image is a class of its own, told by a bank of embeddings."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_models.augment import Augment, AugmentConfig
from ssl_models.backbones import Backbone
from ssl_models.memory import Bank, contrast_with_bank
from ssl_models.methods.base import Method, register_method

__all__ = ["InstanceDiscrimination"]


@register_method("instance_discrimination")
class InstanceDiscrimination(Method):
    """Wu et al. 2018, "Unsupervised feature learning via non-parametric instance discrimination".

    arXiv:1805.01978, with the exact softmax of eq. 2 over all images in place of its
    noise-contrastive estimate (the authors' own choice for small data: ``nce_k=0``).

    Parameters
    ----------
    encoder
        f, yields h (B, D).
    augment
        How the one view is drawn.
    temperature
        tau of eq. 2; 0.1 as the authors have it for CIFAR, 0.07 for ImageNet.
    projection_dim
        Length of v; the paper's 128.
    """

    category = "contrastive"
    principle = "tell every image from every other by a bank that remembers each"
    cost = "one pass an image, the cheapest contrastive step; one bank row for each image"
    when = "small sets: an image's entry is an epoch old, so many epochs must go by"

    bank: Bank

    def __init__(
        self,
        encoder: Backbone,
        augment: AugmentConfig,
        *,
        temperature: float = 0.1,
        projection_dim: int = 128,
    ) -> None:
        super().__init__(encoder, augment)
        self.augment = Augment(augment)
        self.temperature, self.projection_dim = temperature, projection_dim
        self.projector = nn.Linear(encoder.dim, projection_dim)

    def begin(self, n_rows: int) -> None:
        """Make room for every image."""
        self.bank = Bank(n_rows, self.projection_dim)

    def views(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return one view of each image (B, C, H, W) and which images they are (B,)."""
        return self.augment(images, generator=generator), self.rows

    def step(self, views: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the non-parametric softmax loss and the representations h."""
        images, rows = views
        h = self.encoder(images)  # (B, D)
        v = F.normalize(self.projector(h).float(), dim=1)  # (B, P)
        self.bank.add(rows, v)  # waits for after_step: the positive is the entry of an epoch ago
        return contrast_with_bank(v, self.bank.entries, rows, self.temperature), h

    def after_step(self, step: int, total_steps: int) -> None:
        """Move the entries of this step's images."""
        self.bank.turn()

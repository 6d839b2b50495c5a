"""Contrastive multiview coding: the brightness and the colour of one image find each other."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_models.augment import Augment, AugmentConfig
from ssl_models.backbones import Backbone
from ssl_models.colour import need_colour, need_convolutions, split_lightness_and_colour
from ssl_models.distributed import gather, rank
from ssl_models.methods.base import Method, register_method

__all__ = ["CMC", "cross_view_nce"]


@register_method("cmc")
class CMC(Method):
    """Tian et al. 2019, "Contrastive multiview coding", arXiv:1906.05849, with two views.

    Parameters
    ----------
    encoder
        Yields h (B, D), one half from brightness and one from colour. Convolutions, batch norm,
        ReLU and pooling only: attention would mix the halves.
    augment
        Crop, flip and the other moves are shared by both views of an image. Its jitter and gray
        are left out: colour is one of the views.
    temperature
        tau of eq. 2; the paper's 0.07.
    projection_dim
        Length of the embeddings; the paper's 128.

    Notes
    -----
    As in the paper each view has a network of half the width, and the features are both halves
    joined; ours live in one ordinary encoder, see
    :func:`ssl_models.colour.split_lightness_and_colour`. The negatives are the batch, in place of a
    bank. Luma and colour differences are the paper's better split (Y and DbDr).
    """

    category = "contrastive"
    principle = "the brightness of an image finds the colours of the same image, and back"
    cost = "one encoder pass an image; the batch is the pool of negatives"
    when = "colour images whose colours mean something; RGB only"

    def __init__(
        self,
        encoder: Backbone,
        augment: AugmentConfig,
        *,
        temperature: float = 0.07,
        projection_dim: int = 128,
    ) -> None:
        super().__init__(encoder, augment)
        need_colour(encoder, "cmc")
        need_convolutions(encoder, "cmc")
        self.augment = Augment(replace(augment, jitter=0.0, gray=0.0))
        self.temperature = temperature
        self.luma_head = nn.Linear(encoder.dim // 2, projection_dim)
        self.colour_head = nn.Linear(encoder.dim // 2, projection_dim)

    def begin(self, n_rows: int) -> None:
        """Part the halves."""
        split_lightness_and_colour(self.encoder)

    def views(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return (B, 3, H, W) in 0..1, brightness and colour together."""
        return self.augment(images, generator=generator)

    def step(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of eq. 3 in both directions and h, one view: its halves are no pair."""
        h = self.encoder(views)
        luma, colour = h.chunk(2, 1)  # (B, D / 2) each
        loss = cross_view_nce(self.luma_head(luma), self.colour_head(colour), self.temperature)
        return loss, h

    def after_step(self, step: int, total_steps: int) -> None:
        """Part the halves again."""
        split_lightness_and_colour(self.encoder)


def cross_view_nce(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Return the loss of finding each row's partner among the other view's rows, both ways.

    Parameters
    ----------
    first, second
        (B, P) embeddings of two kinds of view, row i of both from one image; not normalised.
        Across processes the rows of all are candidates.
    temperature
        tau > 0.

    Returns
    -------
    Scalar fp32, the sum of both directions (eq. 4); 2 ln B when nothing is learnt. Unlike
    :func:`ssl_models.methods.simclr.nt_xent`, rows of the same view never meet.
    """
    with torch.autocast(first.device.type, enabled=False):
        a, b = (F.normalize(z.float(), dim=1) for z in (first, second))
        partner = rank() * len(a) + torch.arange(len(a), device=a.device)
        forth = F.cross_entropy(a @ gather(b).T / temperature, partner)
        back = F.cross_entropy(b @ gather(a).T / temperature, partner)
        return forth + back

"""Contrastive multiview coding: the brightness and the colour of one image find each other."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_models.augment import LUMA, Augment, AugmentConfig
from ssl_models.backbones import Backbone
from ssl_models.distributed import gather, rank
from ssl_models.methods.base import Method, register_method
from weaklight.errors import ConfigError

__all__ = ["CMC", "cross_view_nce", "split_colour"]


@register_method("cmc")
class CMC(Method):
    """Tian et al. 2019, "Contrastive multiview coding", arXiv:1906.05849, with two views.

    Parameters
    ----------
    encoder
        The backbone for RGB images, yields h (B, D).
    augment
        Crop, flip and the other moves are shared by both views of an image. Its jitter and gray
        are left out: colour is one of the views.
    temperature
        tau of eq. 2; the paper's 0.07.
    projection_dim
        Length of the embeddings; the paper's 128.

    Notes
    -----
    The paper trains half an encoder for each view and joins them afterwards. Here one encoder
    learns both, so that what outlives training reads whole images. The negatives are the batch, in
    place of a bank. Luma and colour differences follow the paper's better split (Y and DbDr).
    """

    category = "contrastive"
    principle = "the brightness of an image finds the colours of the same image, and back"
    cost = "two passes an image; the batch is the pool of negatives"
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
        if encoder.channels != 3:
            raise ConfigError(
                f"cmc splits colour from brightness, so images must have 3 channels, but have "
                f"{encoder.channels}; take simclr for gray images"
            )
        self.augment = Augment(replace(augment, jitter=0.0, gray=0.0))
        self.temperature = temperature
        self.luma_head = nn.Linear(encoder.dim, projection_dim)
        self.colour_head = nn.Linear(encoder.dim, projection_dim)

    def views(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return (2B, 3, H, W): brightness alone, then colour alone."""
        return torch.cat(split_colour(self.augment(images, generator=generator)))

    def step(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of eq. 3 in both directions and the representations h."""
        luma, colour = (self.encoder(view) for view in views.chunk(2))  # (B, D) each
        loss = cross_view_nce(self.luma_head(luma), self.colour_head(colour), self.temperature)
        return loss, torch.cat([luma, colour])


def split_colour(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return (B, 3, H, W) images in 0..1 as brightness alone and as colour on mid-gray.

    What is added to mid-gray, the difference of each channel from the luma, has luma 0.
    """
    luma = torch.einsum("c,bchw->bhw", images.new_tensor(LUMA), images).unsqueeze(1)
    return luma.expand_as(images), images - luma + 0.5


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

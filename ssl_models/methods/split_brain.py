"""Split-brain autoencoder: colour from lightness and lightness from colour, half a network each."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ssl_models.augment import Augment, AugmentConfig
from ssl_models.backbones import Backbone
from ssl_models.colour import (
    ab_bins,
    need_colour,
    need_convolutions,
    rgb_to_lab,
    soft_encode,
    split_lightness_and_colour,
)
from ssl_models.decoder import Decoder
from ssl_models.methods.base import Method, register_method
from ssl_models.patches import LAYOUT_SETTINGS, geometry

__all__ = ["SplitBrain"]

SIDE = 8  # of the predicted maps, as in colorization
AB_SPACING = 20.0
LIGHTNESS_BINS = 11  # 0, 10, ... 100


@register_method("split_brain")
class SplitBrain(Method):
    """Zhang et al. 2017, "Split-brain autoencoders", arXiv:1611.09842, the classification form.

    The paper trains two networks of half width, one on L and one on ab, and concatenates their
    features. Both live here in one ordinary encoder: after every step the weights between its
    halves are set to zero, its first filters are projected so that one half sees lightness alone
    and the other colour alone, and its feature vector is the concatenation. What is exported is a
    plain backbone that takes RGB, and one pass serves both.

    Parameters
    ----------
    encoder
        Yields h (B, D). Convolutions, batch norm, ReLU and pooling only: attention would mix the
        halves.
    augment
        How the image is cropped and flipped; its colour changes are left out.
    """

    category = "reconstructive"
    principle = "half the network tells colour from lightness, the other half the reverse"
    cost = "one encoder pass and two small decoders an image"
    when = "photographs whose colours go with the content; the features use both; needs RGB"
    settings = LAYOUT_SETTINGS

    bins: Tensor

    def __init__(self, encoder: Backbone, augment: AugmentConfig) -> None:
        super().__init__(encoder, augment)
        need_colour(encoder, "split_brain")
        need_convolutions(encoder, "split_brain")
        self.augment = Augment(geometry(augment))
        self.register_buffer("bins", ab_bins(AB_SPACING))  # (Q, 2)
        half = encoder.dim // 2
        self.to_colour = Decoder(half, len(self.bins), doublings=1)
        self.to_lightness = Decoder(half, LIGHTNESS_BINS, doublings=1)

    def begin(self, n_rows: int) -> None:
        """Part the halves."""
        split_lightness_and_colour(self.encoder)

    def views(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return (B, 3, H, W) in 0..1."""
        return self.augment(images, generator=generator)

    def step(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sum of both cross entropies and h."""
        h = self.encoder(views)
        from_lightness, from_colour = h.chunk(2, 1)  # (B, D / 2) each
        lab = F.adaptive_avg_pool2d(rgb_to_lab(views), SIDE)  # (B, 3, S, S)
        ab = lab[:, 1:].flatten(2).transpose(1, 2).flatten(0, 1)  # (B S S, 2)
        colours = soft_encode(ab, self.bins, AB_SPACING)
        logits = self.to_colour(from_lightness).flatten(2).transpose(1, 2).flatten(0, 1)
        levels = (lab[:, 0] / 100 * (LIGHTNESS_BINS - 1)).round().long()  # (B, S, S)
        levels = levels.clamp(0, LIGHTNESS_BINS - 1)
        loss = F.cross_entropy(logits, colours)
        return loss + F.cross_entropy(self.to_lightness(from_colour), levels), h

    def after_step(self, step: int, total_steps: int) -> None:
        """Part the halves again."""
        split_lightness_and_colour(self.encoder)

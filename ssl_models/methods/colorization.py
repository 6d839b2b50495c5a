"""Colorization: say which colour each place of a gray image had."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ssl_models.augment import Augment, AugmentConfig
from ssl_models.backbones import Backbone
from ssl_models.colour import (
    ab_bins,
    lab_to_rgb,
    need_colour,
    rgb_to_lab,
    see_lightness,
    soft_encode,
)
from ssl_models.decoder import Decoder
from ssl_models.distributed import mean_over_processes
from ssl_models.methods.base import Method, register_method
from ssl_models.patches import LAYOUT_SETTINGS, geometry

__all__ = ["Colorization", "annealed_mean", "rarity_weights"]

SIDE = 8  # of the colour map: a quarter of a 32 px image, as the paper's of 224
TEMPERATURE = 0.38  # of the annealed mean (section 2.3)
UNIFORM_SHARE = 0.5  # lambda of eq. 4


@register_method("colorization")
class Colorization(Method):
    """Zhang et al. 2016, "Colorful image colorization", arXiv:1603.08511.

    Parameters
    ----------
    encoder
        Yields h (B, D). Its first filters are kept multiples of luma, so it sees no colour in
        training nor afterwards, as the paper's encoder, whose input is lightness alone.
    augment
        How the image is cropped and flipped; its colour changes are left out.
    spacing
        Of the ab bins. 20 gives 75 bins, enough colours for some thousand small images; the
        paper's 10 gives 259.
    """

    category = "reconstructive"
    principle = "tell the colours of a gray image"
    cost = "one encoder pass and a small decoder an image"
    when = "photographs whose colours go with the content; needs RGB"
    settings = LAYOUT_SETTINGS

    bins: Tensor
    seen: Tensor

    def __init__(self, encoder: Backbone, augment: AugmentConfig, *, spacing: float = 20) -> None:
        super().__init__(encoder, augment)
        need_colour(encoder, "colorization")
        self.augment, self.spacing = Augment(geometry(augment)), spacing
        self.register_buffer("bins", ab_bins(spacing))  # (Q, 2)
        # Mean share of each bin over the batches so far: the prior of the colours, learnt on the
        # way as a method sees no data before its first step.
        self.register_buffer("seen", torch.zeros(len(self.bins)))
        self.decoder = Decoder(encoder.dim, len(self.bins), doublings=1)

    def begin(self, n_rows: int) -> None:
        """Hide the colour."""
        see_lightness(self.encoder)

    def views(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return (B, 3, H, W) in 0..1, in colour."""
        return self.augment(images, generator=generator)

    def step(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """Return the cross entropy with the soft bins, rare colours weighing more, and h."""
        h = self.encoder(views)
        logits = self.decoder(h).flatten(2).transpose(1, 2).flatten(0, 1)  # (B S S, Q)
        ab = F.adaptive_avg_pool2d(rgb_to_lab(views)[:, 1:], SIDE)  # (B, 2, S, S)
        target = soft_encode(ab.flatten(2).transpose(1, 2).flatten(0, 1), self.bins, self.spacing)
        if self.training:
            self.seen += mean_over_processes(target.mean(0))
        weights = rarity_weights(self.seen / self.seen.sum())[target.argmax(1)]
        return (weights * F.cross_entropy(logits, target, reduction="none")).mean(), h

    def after_step(self, step: int, total_steps: int) -> None:
        """Hide the colour again."""
        see_lightness(self.encoder)

    @torch.no_grad()
    def paint(self, images: Tensor) -> Tensor:
        """Return (B, 3, H, W) in 0..1: the lightness of ``images`` in predicted colours."""
        logits = self.decoder(self.encoder(images))  # (B, Q, S, S)
        ab = annealed_mean(logits, self.bins, TEMPERATURE)
        size = (images.shape[-2], images.shape[-1])
        ab = F.interpolate(ab, size, mode="bilinear", align_corners=False)
        return lab_to_rgb(torch.cat([rgb_to_lab(images)[:, :1], ab], 1))


def rarity_weights(prior: Tensor) -> Tensor:
    """Return the weight of each bin, eq. 4: one over its prior mixed with a uniform one.

    Parameters
    ----------
    prior
        (Q,) sums to 1.

    Returns
    -------
    (Q,), of mean 1 under the prior: the loss keeps its scale.
    """
    weights = 1 / ((1 - UNIFORM_SHARE) * prior + UNIFORM_SHARE / len(prior))
    return weights / (prior * weights).sum()


def annealed_mean(logits: Tensor, bins: Tensor, temperature: float) -> Tensor:
    """Return ab (B, 2, S, S) between the mean (T = 1) and the mode (T to 0) of the bins, eq. 5."""
    share = (logits.float() / temperature).softmax(1)  # (B, Q, S, S)
    return torch.einsum("bqhw,qc->bchw", share, bins)

"""Context encoder: paint what a hole in an image hides."""

from __future__ import annotations

import torch
from torch import Tensor

from ssl_models.augment import Augment, AugmentConfig
from ssl_models.backbones import Backbone
from ssl_models.decoder import Decoder
from ssl_models.distributed import shared_rows
from ssl_models.methods.base import Method, register_method
from ssl_models.patches import LAYOUT_SETTINGS, geometry, integers

__all__ = ["ContextEncoder", "hole_weights"]

BORDER_WEIGHT = 10.0  # overlapL2Weight of the authors' train.lua


@register_method("context_encoder")
class ContextEncoder(Method):
    """Pathak et al. 2016, "Context encoders: feature learning by inpainting", arXiv:1604.07379.

    The squared error alone. The authors add 0.001 of an adversarial loss to sharpen pictures, and
    leave it out where features are the aim, as it did not converge there (section 5.2).

    Parameters
    ----------
    encoder
        Yields h (B, D).
    augment
        How the image is cropped and flipped; its colour changes are left out.
    """

    category = "reconstructive"
    principle = "paint what a square hole of half the side hides"
    cost = "one encoder pass and a small decoder an image"
    when = "scenes and objects with a layout; gray or colour"
    settings = LAYOUT_SETTINGS

    def __init__(self, encoder: Backbone, augment: AugmentConfig) -> None:
        super().__init__(encoder, augment)
        self.augment = Augment(geometry(augment))
        self.decoder = Decoder(encoder.dim, encoder.channels)

    def views(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return the whole images (B, C, H, W) and the weights (B, 1, H, W) of their pixels.

        The hole lies anywhere ("random block", section 3.2): a hole that is always in the middle
        teaches to look at the border alone, and whole images have a middle.
        """
        whole = self.augment(images, generator=generator)
        uniforms = shared_rows(len(whole), 2, generator)
        return whole, hole_weights(uniforms, whole.shape[-2], whole.shape[-1]).to(whole.device)

    def step(self, views: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the weighted squared error, 1 when always saying the mean, and h."""
        whole, weights = views
        # The mean colour, as the authors fill: 0 behind the encoder's normalisation.
        h = self.encoder(torch.where(weights == 1, self.encoder.mean, whole))
        target = (whole - self.encoder.mean) / self.encoder.std
        error = (self.decoder(h, (whole.shape[-2], whole.shape[-1])) - target).square().mean(1)
        return (error * weights[:, 0]).sum() / weights.sum(), h


def hole_weights(uniforms: Tensor, height: int, width: int) -> Tensor:
    """Return what each pixel's error weighs: 1 inside the hole, 10 on its rim, 0 elsewhere.

    The rim is predicted although it is visible, so that the painting joins its frame: 4 px of the
    authors' 128, in proportion and at least one.

    Parameters
    ----------
    uniforms
        (N, 2) in [0, 1): where the hole lies.

    Returns
    -------
    (N, 1, H, W) float32.
    """

    def along(length: int, uniform: Tensor, inset: int) -> Tensor:
        hole = length // 2
        first = integers(uniform, 0, length - hole)[:, None] + inset
        place = torch.arange(length)
        return (place >= first) & (place < first + hole - 2 * inset)  # (N, length)

    rim = max(1, round(min(height, width) * 4 / 128))
    outer, inner = (
        along(height, uniforms[:, 0], inset)[:, :, None]
        & along(width, uniforms[:, 1], inset)[:, None]
        for inset in (0, rim)
    )
    return (outer * BORDER_WEIGHT - inner * (BORDER_WEIGHT - 1.0))[:, None]

"""Denoising autoencoder: restore an image of which pixels were destroyed."""

from __future__ import annotations

import torch
from torch import Tensor

from ssl_models.augment import Augment, AugmentConfig
from ssl_models.backbones import Backbone
from ssl_models.decoder import Decoder
from ssl_models.distributed import shared_rows
from ssl_models.methods.base import Method, register_method
from ssl_models.patches import LAYOUT_SETTINGS, geometry
from weaklight.errors import ConfigError

__all__ = ["DenoisingAutoencoder", "destroy"]


@register_method("denoising_autoencoder")
class DenoisingAutoencoder(Method):
    """Vincent et al. 2008, "Extracting and composing robust features", ICML, section 2.3.

    Parameters
    ----------
    encoder
        f(.), yields h (B, D).
    augment
        How the clean image is cropped and flipped; its colour changes are left out.
    share
        nu, the share of pixels destroyed, drawn anew each step. 0.5, above the paper's 0.4 at
        most: neighbouring pixels of photographs say nearly the same.
    """

    category = "reconstructive"
    principle = "restore an image of which half the pixels were destroyed"
    cost = "one encoder pass and a small decoder an image"
    when = "gray or colour images whose low-level detail matters; a plain baseline"
    settings = LAYOUT_SETTINGS

    def __init__(self, encoder: Backbone, augment: AugmentConfig, *, share: float = 0.5) -> None:
        super().__init__(encoder, augment)
        if not 0 < share < 1:
            raise ConfigError(f"share must lie between 0 and 1, but is {share}")
        self.augment, self.share = Augment(geometry(augment)), share
        self.decoder = Decoder(encoder.dim, encoder.channels)

    def views(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return the clean images (B, C, H, W) and which pixels to destroy (B, 1, H, W) bool."""
        clean = self.augment(images, generator=generator)
        height, width = clean.shape[-2:]
        uniforms = shared_rows(len(clean), height * width, generator).to(clean.device)
        return clean, (uniforms < self.share).view(-1, 1, height, width)

    def step(self, views: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the mean squared error over all pixels and h of the destroyed images.

        In units of the encoder's standard deviation: 1 is the error of always saying the mean.
        """
        clean, destroyed = views
        h = self.encoder(destroy(clean, destroyed, self.encoder.mean))
        target = (clean - self.encoder.mean) / self.encoder.std
        size = clean.shape[-2], clean.shape[-1]
        error = (self.decoder(h, size) - target).square().mean(1, keepdim=True)  # (B, 1, H, W)
        self.last = error.detach(), destroyed
        return error.mean(), h

    def signals(self) -> dict[str, Tensor]:
        """Return the last step's loss on destroyed and on untouched pixels.

        Where clean is as bad as corrupted, h is too small to hold the image at all.
        """
        lost, destroyed = self.last
        return {
            "loss_corrupted": (lost * destroyed).sum() / destroyed.sum(),
            "loss_clean": (lost * ~destroyed).sum() / (~destroyed).sum(),
        }


def destroy(images: Tensor, where: Tensor, fill: Tensor) -> Tensor:
    """Return ``images`` (B, C, H, W) with ``fill`` (C, 1, 1) where ``where`` (B, 1, H, W) is True.

    The mean colour, which is 0 behind the encoder's normalisation: the paper's 0 for pixels whose
    mean is not subtracted would be a colour that images hold.
    """
    return torch.where(where, fill, images)

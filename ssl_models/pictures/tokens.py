"""Patch tokens of a vision transformer, one vector a patch.

Try it: ``patch_tokens(encoder, pixels).shape  # (n, h, w, D)``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_models.backbones import Backbone
from ssl_models.hardware import resolve_device
from ssl_models.pixels import PixelSource, check_pixels
from ssl_models.vit import transformer_of
from weaklight.errors import DataError

__all__ = ["normalised_batches", "patch_tokens"]


def patch_tokens(
    encoder: Backbone, pixels: PixelSource, *, batch_size: int = 64, device: str = "auto"
) -> NDArray[np.float32]:
    """Return the last layer's token of each patch.

    Parameters
    ----------
    encoder
        With a vision transformer as its body.
    pixels
        (n, H, W, C) uint8, n >= 1. H and W may differ from training: positions interpolate.
    batch_size
        Images a forward pass.
    device
        ``auto``, ``cpu`` or ``cuda``.

    Returns
    -------
    (n, h, w, D) float32, after the final norm, not of unit length; h = H / patch, rounded up.

    Raises
    ------
    ConfigError
        If the backbone is a CNN.
    DataError
        If the pixels do not fit the encoder.
    """
    vit = transformer_of(encoder, "a picture of patches")
    grid = vit.grid(*pixels.shape[1:3])
    batches = normalised_batches(encoder, pixels, batch_size, device)
    with torch.inference_mode():
        tokens = [vit.tokens(images)[1].unflatten(1, grid) for images in batches]  # (B, h, w, D)
    return torch.cat(tokens).cpu().numpy()


def normalised_batches(
    encoder: Backbone, pixels: PixelSource, batch_size: int, device: str
) -> Iterator[Tensor]:
    """Yield images (B, C, H, W) as the encoder's body takes them, on the device."""
    check_pixels(pixels, (encoder.channels,))
    if len(pixels) == 0:
        raise DataError("pictures need at least one image, but came none")
    target = resolve_device(device)
    encoder.to(target).eval()
    for start in range(0, len(pixels), batch_size):
        batch = torch.from_numpy(np.ascontiguousarray(pixels[start : start + batch_size]))
        images = batch.to(target).permute(0, 3, 1, 2).float().div_(255)
        yield encoder.normalised(images)

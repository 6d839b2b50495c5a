"""Patches cut from a batch of images, each image at its own places, and what pretext tasks share.

Try it::

    corner = torch.zeros(len(images), 1, dtype=torch.long)
    patches = cut(images, corner, corner, size=8)  # (B, 1, C, 8, 8)
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional as F

from ssl_models.augment import AugmentConfig
from weaklight.errors import DataError

__all__ = [
    "LAYOUT_SETTINGS",
    "UNRESAMPLED",
    "colours",
    "cut",
    "geometry",
    "integers",
    "pixelate",
    "standardise",
]

# What a pretext task asks lies in the layout of nearly whole images. Jigsaw's authors crop 225 of
# 256 px; on 4,000 CIFAR-10 images jigsaw's loss falls in 300 steps from 4.7 to 3.8 with crops from
# 0.6 of the area, to 4.3 from 0.2.
LAYOUT_SETTINGS = MappingProxyType({"augment": AugmentConfig(crop_scale=(0.6, 1.0))})
# Where parts are put in order, the image is not resampled at all: a crop that is blown up has a
# pattern of sharper and softer pixels that says how far apart two parts lie.
UNRESAMPLED = MappingProxyType(
    {"augment": AugmentConfig(crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0))}
)
FLAT_STD = 4 / 255  # a patch that varies less is flat: dividing by less would amplify noise


def geometry(config: AugmentConfig) -> AugmentConfig:
    """Return ``config`` without what changes pixel values: only crop, flip, rotation and shift.

    A task whose answer is a pixel must not have it blurred, inverted or recoloured first, and none
    of the pretext papers does.
    """
    return replace(config, jitter=0.0, gray=0.0, blur=0.0, solarize=0.0, cutout=0.0)


def colours(config: AugmentConfig) -> AugmentConfig:
    """Return ``config`` without what moves pixels: the rest of :func:`geometry`, but for cutout."""
    whole = (1.0, 1.0)
    return replace(
        config, crop_scale=whole, crop_ratio=whole, flip=0.0, rotate=0.0, translate=0.0, cutout=0.0
    )


def integers(uniforms: Tensor, low: int, high: int) -> Tensor:
    """Return integers in low..high, both included, from uniforms in [0, 1)."""
    return low + (uniforms * (high - low + 1)).long()


def cut(images: Tensor, tops: Tensor, lefts: Tensor, size: int) -> Tensor:
    """Return square patches, pixel by pixel: no interpolation leaves a trace of the place.

    Parameters
    ----------
    images
        (N, C, H, W).
    tops, lefts
        (N, P) int64, the upper left corner of each of P patches of each image.
    size
        s, the side in pixels.

    Returns
    -------
    (N, P, C, s, s), a copy. O(N P C s^2).
    """
    height, width = images.shape[-2:]
    if size > min(height, width):
        raise DataError(
            f"patches of {size} px must fit images of {height} x {width} px; take smaller patches"
        )
    windows = images.unfold(2, size, 1).unfold(3, size, 1)  # (N, C, H', W', s, s), a view
    rows = torch.arange(len(images), device=images.device)[:, None]
    return windows[rows, :, tops.to(images.device), lefts.to(images.device)]


def standardise(patches: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Give each patch the same mean and standard deviation in each channel.

    Neighbouring patches share brightness and contrast; equalised, these no longer say where a
    patch comes from (Noroozi and Favaro 2016, section 4.2; Doersch et al. 2015, section 3.1).

    Parameters
    ----------
    patches
        (..., C, s, s) in 0..1.
    mean, std
        (C, 1, 1) what the encoder subtracts and divides by: the patch gets these, and behind the
        encoder's normalisation it has mean 0 and standard deviation 1. A flat patch stays flat.
    """
    centred = patches - patches.mean((-2, -1), keepdim=True)
    spread = centred.square().mean((-2, -1), keepdim=True).sqrt().clamp(min=FLAT_STD)
    return centred / spread * std + mean


def pixelate(patches: Tensor, sides: Tensor) -> Tensor:
    """Shrink each patch to a side of its own and grow it back.

    Parameters
    ----------
    patches
        (N, C, s, s).
    sides
        (N,) int64 in 1..s; s leaves the patch as it is.

    Returns
    -------
    (N, C, s, s): averaged over areas, then interpolated linearly. O(N C s^3).
    """
    size = patches.shape[-1]
    line = torch.eye(size, device=patches.device)[None]  # each pixel of a line alone
    smaller = [F.interpolate(line, side, mode="area") for side in range(1, size + 1)]
    back = torch.cat([F.interpolate(x, size, mode="linear") for x in smaller])  # (s, from, to)
    chosen = back[sides.to(patches.device) - 1]  # (N, s, s)
    return torch.einsum("ncij,nik,njl->nckl", patches, chosen, chosen)

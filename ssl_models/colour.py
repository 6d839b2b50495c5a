"""Lab colour on the device, and the bins into which colour tasks sort it.

Try it: ``rgb_to_lab(torch.rand(2, 3, 8, 8))``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ssl_models.augment import LUMA
from ssl_models.backbones import Backbone
from weaklight.errors import ConfigError

__all__ = ["ab_bins", "gray_rows", "lab_to_rgb", "need_colour", "rgb_to_lab", "soft_encode"]

# sRGB (IEC 61966-2-1) to CIE XYZ, each row divided by the D65 white point (2 degrees).
RGB_TO_XYZ = (
    (0.412453 / 0.95047, 0.357580 / 0.95047, 0.180423 / 0.95047),
    (0.212671, 0.715160, 0.072169),
    (0.019334 / 1.08883, 0.119193 / 1.08883, 0.950227 / 1.08883),
)
LINEAR_BELOW = 0.008856  # where Lab's cube root becomes a line
SOFT_NEIGHBOURS = 5  # Zhang et al. 2016, section 2.1


def need_colour(encoder: Backbone, method: str) -> None:
    """Raise unless the images have colour.

    Raises
    ------
    ConfigError
        If they are gray.
    """
    if encoder.channels != 3:
        raise ConfigError(
            f"{method} learns from colour and needs images of 3 channels, but these have "
            f"{encoder.channels}; for gray images choose denoising_autoencoder or context_encoder "
            "(reconstructive), or rotation (predictive)"
        )


def gray_rows(images: Tensor, chosen: Tensor) -> Tensor:
    """Return ``images`` (N, C, H, W) with luma in all channels where ``chosen`` (N,) is True."""
    if images.shape[1] == 1:
        return images
    luma = (images * images.new_tensor(LUMA).view(3, 1, 1)).sum(1, keepdim=True)
    return torch.where(chosen.to(images.device).view(-1, 1, 1, 1), luma, images)


def rgb_to_lab(images: Tensor) -> Tensor:
    """Return CIE Lab of sRGB.

    Parameters
    ----------
    images
        (N, 3, H, W) in 0..1.

    Returns
    -------
    (N, 3, H, W) float32: L in 0..100, a and b about -110..110.
    """
    x = images.float()
    linear = torch.where(x > 0.04045, ((x.clamp(min=0) + 0.055) / 1.055) ** 2.4, x / 12.92)
    xyz = torch.einsum("ij,njhw->nihw", x.new_tensor(RGB_TO_XYZ), linear)
    root = torch.where(
        xyz > LINEAR_BELOW, xyz.clamp(min=LINEAR_BELOW) ** (1 / 3), 7.787 * xyz + 16 / 116
    )
    fx, fy, fz = root.unbind(1)
    return torch.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], 1)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """Return sRGB (N, 3, H, W) in 0..1 of Lab, clipped where the screen has no such colour."""
    lightness, a, b = lab.float().unbind(1)
    fy = (lightness + 16) / 116
    root = torch.stack([fy + a / 500, fy, fy - b / 200], 1)
    edge = LINEAR_BELOW ** (1 / 3)
    xyz = torch.where(root > edge, root**3, (root - 16 / 116) / 7.787)
    inverse = torch.linalg.inv(lab.new_tensor(RGB_TO_XYZ, dtype=torch.float32))
    linear = torch.einsum("ij,njhw->nihw", inverse, xyz).clamp(0, 1)
    curve = 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear > 0.0031308, curve, 12.92 * linear)


def ab_bins(spacing: float) -> Tensor:
    """Return the centres (Q, 2) of the cells of an ab grid that hold a colour of the screen.

    Found from a 33-step lattice of RGB, so no table is downloaded. Spacing 10 gives 259 (Zhang
    et al. 2016 count 313, section 2.1), 20 gives 75.
    """
    steps = torch.linspace(0, 1, 33)
    lattice = torch.cartesian_prod(steps, steps, steps).T[None, :, :, None]  # (1, 3, 33^3, 1)
    ab = rgb_to_lab(lattice)[0, 1:, :, 0].T  # (33^3, 2)
    cells: Tensor = torch.unique((ab / spacing).round(), dim=0)
    return cells * spacing


def soft_encode(ab: Tensor, bins: Tensor, spacing: float) -> Tensor:
    """Spread each colour over its 5 nearest bins.

    Parameters
    ----------
    ab
        (N, 2).
    bins
        (Q, 2) centres.
    spacing
        Of the bins; the Gaussian has half of it as sigma (5 of 10 in the paper).

    Returns
    -------
    (N, Q) float32, rows sum to 1. O(N Q).
    """
    distance, nearest = torch.cdist(ab.float(), bins).topk(SOFT_NEIGHBOURS, largest=False)
    share = (-0.5 * (distance / (spacing / 2)).square()).softmax(1)
    return torch.zeros(len(ab), len(bins), device=ab.device).scatter(1, nearest, share)

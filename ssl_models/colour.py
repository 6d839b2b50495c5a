"""Lab colour on the device, the bins into which colour tasks sort it, and encoders that see a part.

A task that hides a part of the colour from its encoder must hide it for good: the features are
read off whole RGB images. So the filters hide it, not the input; what is saved is a plain backbone.

Try it: ``rgb_to_lab(torch.rand(2, 3, 8, 8))``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_models.augment import LUMA
from ssl_models.backbones import Backbone
from weaklight.errors import ConfigError

__all__ = [
    "ab_bins",
    "gray_rows",
    "lab_to_rgb",
    "need_colour",
    "need_convolutions",
    "rgb_to_lab",
    "see_lightness",
    "soft_encode",
    "split_lightness_and_colour",
]

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


def need_convolutions(encoder: Backbone, method: str) -> None:
    """Raise unless the encoder can be two networks side by side.

    Raises
    ------
    ConfigError
        If a layer mixes channels elsewhere than in a convolution, or a convolution is grouped.
    """
    mixes = (nn.Linear, nn.LayerNorm, nn.GroupNorm)
    if any(isinstance(m, mixes) or getattr(m, "groups", 1) > 1 for m in encoder.modules()):
        raise ConfigError(
            f"{method} needs a backbone of ungrouped convolutions alone, but this one mixes "
            "channels elsewhere; choose backbone = 'compact' or 'resnet18'"
        )


@torch.no_grad()
def see_lightness(encoder: Backbone) -> None:
    """Make the encoder blind to colour: its first filters become the nearest multiples of luma.

    An image and its gray copy then have the same features. Done again after each optimiser step.
    """
    weight = _convolutions(encoder)[0].weight
    weight.copy_(_along(weight, _luma_axis(encoder)))


@torch.no_grad()
def split_lightness_and_colour(encoder: Backbone) -> None:
    """Make the encoder two networks side by side, by the nearest weights that are so.

    In the first layer the filters of the first half become multiples of luma, those of the second
    half lose what answers to gray; every later weight from one half to the other becomes 0.
    Batch norm, ReLU and pooling work channel by channel and keep the halves apart. Done again after
    each optimiser step.
    """
    first, *later = _convolutions(encoder)
    half = len(first.weight) // 2
    gray = 1 / encoder.std.flatten()  # a pixel gets brighter along it, behind the normalisation
    first.weight[:half] = _along(first.weight[:half], _luma_axis(encoder))
    first.weight[half:] -= _along(first.weight[half:], gray)
    for conv in later:
        n_out, n_in = conv.weight.shape[0] // 2, conv.weight.shape[1] // 2
        conv.weight[:n_out, n_in:] = 0
        conv.weight[n_out:, :n_in] = 0


def _convolutions(encoder: Backbone) -> list[nn.Conv2d]:
    return [module for module in encoder.modules() if isinstance(module, nn.Conv2d)]


def _luma_axis(encoder: Backbone) -> Tensor:
    """Return the filter (3,) whose answer to normalised pixels is luma, but for a constant."""
    return encoder.std.new_tensor(LUMA) * encoder.std.flatten()


def _along(filters: Tensor, axis: Tensor) -> Tensor:
    """Return the part of (O, 3, h, w) filters that is a multiple of ``axis`` (3,)."""
    direction = F.normalize(axis, dim=0).view(1, 3, 1, 1)
    # Products and a sum, no einsum: a step runs under autocast, which would round it to bfloat16.
    return (filters * direction).sum(1, keepdim=True) * direction


def gray_rows(images: Tensor, chosen: Tensor) -> Tensor:
    """Return ``images`` (N, C, H, W) with luma in all channels where ``chosen`` (N,) is True.

    Images of other than 3 channels come back as they are.
    """
    if images.shape[1] != 3:
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
    with torch.autocast(x.device.type, enabled=False):  # bfloat16 would move colours by a unit
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

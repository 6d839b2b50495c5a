"""Where the pixels of a view come from: linear filters along either axis, and rotation.

Try it: ``filtered(images, *(torch.eye(n).repeat(len(images), 1, 1) for n in images.shape[2:]))``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["blurring", "compute_dtype", "filtered", "interpolation", "rotated"]


def compute_dtype(device: torch.device) -> torch.dtype:
    """Return the type in which products are computed here: autocast's, else float32."""
    if torch.is_autocast_enabled(device.type):
        return torch.get_autocast_dtype(device.type)
    return torch.float32


def interpolation(
    scale: Tensor,
    middle: Tensor,
    n_in: Sequence[int],
    n_out: Sequence[int],
    dtype: torch.dtype = torch.float32,
) -> list[Tensor]:
    """Return the linear filters (N, h, H) and (N, w, W) that place boxes down and across.

    Row i holds what pixel i of the output takes of each pixel of the input; beyond the border the
    last pixel goes on. Equal to ``F.grid_sample(padding_mode="border", align_corners=False)``.

    Parameters
    ----------
    scale, middle
        (2, N), down and across: the box's share of the side, negative to mirror it; where its
        middle lies, in -1..1.
    n_in, n_out
        (H, W) and (h, w).
    dtype
        Of the filters; places are always computed in float32.
    """
    if n_in[0] == n_in[1] and n_out[0] == n_out[1]:  # two axes cost little more than one
        both = _interpolation(scale.flatten(), middle.flatten(), n_in[0], n_out[0], dtype)
        return list(both.chunk(2))
    places = zip(scale, middle, n_in, n_out, strict=True)
    return [_interpolation(*place, dtype) for place in places]


def _interpolation(
    scale: Tensor, middle: Tensor, n_in: int, n_out: int, dtype: torch.dtype
) -> Tensor:
    out = torch.arange(1, 2 * n_out, 2, device=scale.device) / n_out - 1
    slope, origin = n_in / 2 * scale, n_in / 2 * middle + (n_in - 1) / 2
    at = torch.addcmul(origin[:, None], slope[:, None], out)  # (N, n_out) pixels
    at = at.clamp_(0, n_in - 1).flatten()
    left = at.long().clamp_(max=max(n_in - 2, 0))
    share = at.sub_(left).to(dtype)  # of the right one of the two pixels that a row takes
    left += torch.arange(0, len(at) * n_in, n_in, device=at.device)
    filters = torch.zeros(len(at) * n_in, dtype=dtype, device=at.device)
    filters[min(1, n_in - 1) :][left] = share
    filters[left] = 1 - share
    return filters.view(-1, n_out, n_in)


def blurring(sigma: Tensor, radius: int, n: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return matrices (N, n, n) that blur an axis of n pixels, reflected at the border.

    Equal to one axis of torchvision's ``gaussian_blur`` with ``2 * radius + 1`` taps; SimCLR's
    spans a tenth of the side (Chen et al. 2020, appendix A).

    Parameters
    ----------
    sigma
        (N,) in pixels; 0 blurs nothing.
    dtype
        Of the matrices; kernels are computed in float32.

    Notes
    -----
    One shape whichever images are blurred: oneDNN compiles the products of each new shape anew.
    """
    offsets = torch.arange(-radius, radius + 1, device=sigma.device)
    kernel = torch.exp(-0.5 * (offsets / sigma.clamp(min=1e-3)[:, None]) ** 2)  # (N, taps)
    kernel = (kernel / kernel.sum(1, keepdim=True)).to(dtype)
    kernel = F.pad(kernel, [n - 1 - radius] * 2)  # (N, 2 n - 1), of every offset between two pixels
    matrices = kernel.unfold(1, n, 1).flip(1)  # row i, column j: what lies j - i pixels away
    mirrored = kernel[:, n : n + 2 * radius - 1].unfold(1, radius, 1)  # beyond the border
    matrices[:, :radius, 1 : radius + 1] += mirrored
    matrices[:, -radius:, -radius - 1 : -1] += mirrored.flip(1, 2)
    return matrices


def filtered(x: Tensor, vertical: Tensor, horizontal: Tensor) -> Tensor:
    """Return views of ``x`` (N, C, H, W), filtered along its columns and along its rows.

    Parameters
    ----------
    vertical, horizontal
        (V * N, h, H) and (V * N, w, W): the first N are the first view's.

    Returns
    -------
    (V * N, C, h, w) float32, computed in bfloat16 under autocast. O(V N C h W (H + w)), but matrix
    products are what processors do best: at 96 px faster than ``grid_sample`` and a blur after it.
    """
    n, channels, height, width = x.shape
    rows = torch.empty(
        (n, height, channels, width), dtype=compute_dtype(x.device), device=x.device
    )  # no product has to transpose
    rows = rows.copy_(x.transpose(1, 2)).view(n, height, -1)
    h, w = vertical.shape[1], horizontal.shape[1]
    views = torch.empty((len(vertical), channels, h, w), device=x.device)
    for view, down, across in zip(
        views.split(n), vertical.split(n), horizontal.split(n), strict=True
    ):
        y = torch.bmm(down, rows).view(n, -1, width)  # (N, h * C, W)
        y = torch.bmm(y, across.transpose(1, 2))  # (N, h * C, w)
        view.copy_(y.view(n, h, channels, w).transpose(1, 2))
    return views


def rotated(
    x: Tensor,
    angle: Tensor,
    scale: Tensor,
    middle: Tensor,
    size: Sequence[int],
) -> Tensor:
    """Return the boxes (N, C, h, w) of ``x`` (N, C, H, W) float, turned.

    Parameters
    ----------
    angle
        (N,) radians.
    scale, middle
        (2, N), as for :func:`interpolation`.
    size
        Height and width (h, w) of the output.
    """
    (down, across), (middle_y, middle_x) = scale, middle
    aspect = x.shape[3] / x.shape[2]
    cos, sin = angle.cos(), angle.sin()
    # Output coordinates in -1..1 -> input coordinates: mirror, scale to the box, turn, shift.
    theta = torch.stack(
        [
            torch.stack([across * cos, -down * sin / aspect, middle_x], 1),
            torch.stack([across * sin * aspect, down * cos, middle_y], 1),
        ],
        1,
    )  # (N, 2, 3)
    grid = F.affine_grid(theta, [len(x), x.shape[1], *size], align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)

"""Where the pixels of a view come from: linear filters along either axis, and rotation.

Try it: ``filtered(images, *(torch.eye(n).repeat(len(images), 1, 1) for n in images.shape[2:]))``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["blurred_rows", "compute_dtype", "filtered", "interpolation", "rotated"]


def compute_dtype(device: torch.device) -> torch.dtype:
    """Return the type in which products are computed here: autocast's, else float32."""
    if torch.is_autocast_enabled(device.type):
        return torch.get_autocast_dtype(device.type)
    return torch.float32


def interpolation(scale: Tensor, middle: Tensor, n_in: int, n_out: int) -> Tensor:
    """Return the linear filters (N, n_out, n_in) that place boxes along one axis.

    Row i holds what pixel i of the output takes of each pixel of the input; beyond the border the
    last pixel goes on. Equal to ``F.grid_sample(padding_mode="border", align_corners=False)``.

    Parameters
    ----------
    scale, middle
        (N,): the box's share of the side, negative to mirror it; where its middle lies, in -1..1.
    """
    out = (2 * torch.arange(n_out, device=scale.device) + 1) / n_out - 1
    at = ((scale[:, None] * out + middle[:, None] + 1) * n_in - 1) / 2  # (N, n_out) pixels
    at = at.clamp_(0, n_in - 1)
    distance = at[:, :, None] - torch.arange(n_in, device=scale.device)
    return torch.sub(1, distance.abs_(), out=distance).clamp_(min=0)


def blurred_rows(filters: Tensor, sigma: Tensor, radius: int) -> Tensor:
    """Return filters (N, n_out, n_in) whose output is blurred, reflected at the border.

    Equal to one axis of torchvision's ``gaussian_blur`` with ``2 * radius + 1`` taps; SimCLR's
    spans a tenth of the side (Chen et al. 2020, appendix A).

    Parameters
    ----------
    sigma
        (N,) in pixels; 0 leaves a filter as it is.

    Notes
    -----
    Products of one shape whichever images are blurred: oneDNN compiles each new shape anew. Under
    autocast they are computed in bfloat16.
    """
    offsets = torch.arange(-radius, radius + 1, device=sigma.device)
    kernel = torch.exp(-0.5 * (offsets / sigma.clamp(min=1e-3)[:, None]) ** 2)  # (N, taps)
    kernel = kernel / kernel.sum(1, keepdim=True)
    n = filters.shape[1]
    padded = F.pad(torch.eye(n, device=sigma.device)[None], (0, 0, radius, radius), mode="reflect")
    shifts = padded[0].unfold(0, n, 1).transpose(1, 2)  # (taps, n, n): what each tap reads
    return torch.bmm((kernel @ shifts.reshape(len(offsets), -1)).view(-1, n, n), filters)


def filtered(x: Tensor, vertical: Tensor, horizontal: Tensor) -> Tensor:
    """Return views of ``x`` (N, C, H, W), filtered along its columns and along its rows.

    Parameters
    ----------
    vertical, horizontal
        (V * N, h, H) and (V * N, w, W): the first N are the first view's.

    Returns
    -------
    (V * N, C, h, w) float32, computed in bfloat16 under autocast. O(V N C H w (W + h)), but matrix
    products are what processors do best: at 96 px faster than ``grid_sample`` and a blur after it.
    Images whose channels lie innermost, as on disk, are taken as they lie.
    """
    x = x.to(compute_dtype(x.device))
    n, _, height, width = x.shape
    columns = x.permute(0, 2, 3, 1).reshape(n, height, -1).transpose(1, 2)  # (N, W * C, H)
    shape = (len(vertical), x.shape[1], vertical.shape[1], horizontal.shape[1])
    views = torch.empty(shape, device=x.device)
    for view, down, across in zip(
        views.split(n), vertical.split(n), horizontal.split(n), strict=True
    ):
        y = torch.bmm(columns, down.transpose(1, 2)).view(n, width, -1)  # (N, W, C * h)
        view.copy_(torch.bmm(y.transpose(1, 2), across.transpose(1, 2)).view_as(view))
    return views


def rotated(
    x: Tensor,
    angle: Tensor,
    box: tuple[Tensor, Tensor],
    mirror: Tensor,
    middle: tuple[Tensor, Tensor],
    size: Sequence[int],
) -> Tensor:
    """Return the boxes (N, C, h, w) of ``x`` (N, C, H, W) float, turned.

    Parameters
    ----------
    angle
        (N,) radians.
    box, middle
        Height and width of each box as shares of the sides, (N,) each; where its middle lies, y and
        x in -1..1.
    mirror
        (N,): -1 swaps left and right.
    size
        Height and width (h, w) of the output.
    """
    (box_h, box_w), (middle_y, middle_x) = box, middle
    aspect = x.shape[3] / x.shape[2]
    cos, sin = angle.cos(), angle.sin()
    # Output coordinates in -1..1 -> input coordinates: mirror, scale to the box, turn, shift.
    theta = torch.stack(
        [
            torch.stack([box_w * cos * mirror, -box_h * sin / aspect, middle_x], 1),
            torch.stack([box_w * sin * aspect * mirror, box_h * cos, middle_y], 1),
        ],
        1,
    )  # (N, 2, 3)
    grid = F.affine_grid(theta, [len(x), x.shape[1], *size], align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)

"""Which patches a student may not see: rectangles of random size, as in BEiT, iBOT and DINOv2.

Try it: ``block_masks(torch.tensor([0, 16]), 8, 8, torch.rand(2, N_DRAWS))``.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["N_DRAWS", "block_masks"]

N_BOXES = 8  # a box is half of what is asked for on average: eight nearly always suffice
N_DRAWS = 4 * N_BOXES + 1
MIN_PATCHES = 4  # DINOv2's MaskingGenerator; BEiT's 16 belong to a 14 x 14 grid
MIN_ASPECT = 0.3  # height over width lies in 0.3..1/0.3 (BEiT)


def block_masks(counts: Tensor, rows: int, columns: int, uniforms: Tensor) -> Tensor:
    """Return a mask of exactly ``counts`` patches for each image.

    Parameters
    ----------
    counts
        (B,) int64, patches to mask, 0..N with N = rows * columns.
    uniforms
        (B, N_DRAWS) in [0, 1), on the device of the result.

    Returns
    -------
    (B, N) bool, row by row of the grid.

    Notes
    -----
    O(B N). Boxes are drawn for all images at once; a patch's place in the queue is the first box
    that covers it, and the first ``counts`` of the queue are masked. So the last box alone is cut
    short, and whatever eight boxes leave uncovered follows from a random place on.
    """
    counts = counts.to(uniforms.device)
    area, aspect, top, left = uniforms[:, :-1].reshape(len(uniforms), 4, N_BOXES).unbind(1)
    most = counts[:, None].clamp(min=1).float()
    least = most.clamp(max=MIN_PATCHES)
    patches = least + (most - least) * area  # (B, boxes)
    ratio = torch.exp(math.log(MIN_ASPECT) * (1 - 2 * aspect))
    height = (patches * ratio).sqrt().round().clamp(1, rows)
    width = (patches / ratio).sqrt().round().clamp(1, columns)
    top, left = (top * (rows - height + 1)).floor(), (left * (columns - width + 1)).floor()
    y = torch.arange(rows, device=uniforms.device)[:, None]
    x = torch.arange(columns, device=uniforms.device)[:, None]
    in_y = (y >= top[:, None]) & (y < (top + height)[:, None])  # (B, rows, boxes)
    in_x = (x >= left[:, None]) & (x < (left + width)[:, None])  # (B, columns, boxes)
    covered = (in_y[:, :, None] & in_x[:, None]).flatten(1, 2)  # (B, N, boxes)
    first = torch.where(covered.any(-1), covered.int().argmax(-1), N_BOXES)  # (B, N)
    n = rows * columns
    place, last = torch.arange(n, device=uniforms.device) / n, uniforms[:, -1:]
    place = torch.where(last < 0.5, place, 1 - 1 / n - place)  # cut a box from above or below
    place = torch.where(first == N_BOXES, (place + 2 * last) % 1.0, place)
    queue = (first + place).argsort(1).argsort(1)
    return queue < counts[:, None]

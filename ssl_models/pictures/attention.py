"""What a vision transformer looks at: attention maps, their masks, and how well those segment.

Try it::

    maps = attention_maps(encoder, pixels)
    masks = to_pixels(keep_mass(maps), patch, height, width)
    best_head_jaccard(masks, truth).mean()
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_models.backbones import Backbone
from ssl_models.pictures.tokens import normalised_batches
from ssl_models.pixels import PixelSource
from ssl_models.vit import transformer_of
from weaklight.errors import DataError

__all__ = ["attention_maps", "best_head_jaccard", "jaccard", "keep_mass", "to_pixels"]


def attention_maps(
    encoder: Backbone, pixels: PixelSource, *, batch_size: int = 64, device: str = "auto"
) -> NDArray[np.float32]:
    """Return how much the class token attends to each patch in the last block.

    Parameters
    ----------
    encoder
        With a vision transformer as its body.
    pixels
        (n, H, W, C) uint8, n >= 1. H and W may differ from training: positions interpolate.
    batch_size
        Images a forward pass, which holds (B, heads, T, T) attention of T tokens.
    device
        ``auto``, ``cpu`` or ``cuda``.

    Returns
    -------
    (n, heads, h, w) float32 >= 0; h = H / patch, rounded up. A head's map sums to at most 1: the
    rest goes to the class token and the registers, which have no place in the image. Attention
    says where the token reads, not what decided its value.

    Raises
    ------
    ConfigError
        If the backbone is a CNN.
    DataError
        If the pixels do not fit the encoder.

    References
    ----------
    Caron et al. 2021, "Emerging properties in self-supervised vision transformers" (DINO),
    arXiv:2104.14294, figure 1.
    """
    vit = transformer_of(encoder, "an attention map")
    grid = vit.grid(*pixels.shape[1:3])
    maps = []
    for images in normalised_batches(encoder, pixels, batch_size, device):
        to_patches = vit.attention(images)[:, :, 0, 1 + vit.registers :]  # (B, heads, N)
        maps.append(to_patches.unflatten(2, grid).cpu().numpy())
    return np.concatenate(maps)


def keep_mass(maps: NDArray[np.floating], mass: float = 0.6) -> NDArray[np.bool_]:
    """Return the fewest patches that together hold a share of a map.

    Parameters
    ----------
    maps
        (..., h, w) finite, >= 0, each with a positive sum; scale is free.
    mass
        Share in (0, 1]; 0.6 as in DINO, figure 4.

    Returns
    -------
    (..., h, w) bool, True where kept. Of equal patches the first in reading order enters first.

    Raises
    ------
    DataError
        If a map or the share is outside its range.

    Examples
    --------
    >>> keep_mass(np.array([[0.5, 0.25], [0.125, 0.125]]), mass=0.6)
    array([[ True,  True],
           [False, False]])
    """
    flat = np.asarray(maps, np.float64).reshape(*maps.shape[:-2], -1)  # (..., h * w)
    order = np.argsort(-flat, axis=-1, kind="stable")
    held = np.cumsum(np.take_along_axis(flat, order, axis=-1), axis=-1)
    total = held[..., -1:]
    if not (0 < mass <= 1 and (flat >= 0).all() and (total > 0).all() and np.isfinite(total).all()):
        raise DataError(
            "keep_mass takes finite maps >= 0 with a positive sum and a mass in (0, 1], but came "
            f"values from {flat.min():g} to {flat.max():g} and mass {mass}"
        )
    before = np.concatenate([np.zeros_like(total), held[..., :-1]], axis=-1)  # by larger patches
    kept = np.empty(flat.shape, np.bool_)
    np.put_along_axis(kept, order, before < mass * total, axis=-1)
    return kept.reshape(maps.shape)


def to_pixels(grids: NDArray[Any], patch: int, height: int, width: int) -> NDArray[Any]:
    """Return grids of patches at the size of the image: each pixel takes its patch's value.

    Parameters
    ----------
    grids
        (..., h, w) of any dtype, with h * patch >= height and w * patch >= width.
    patch
        Side of a patch in pixels, ``encoder.body.patch``.

    Returns
    -------
    (..., height, width) of the same dtype; what a patch covers beyond the border is cut off.

    Raises
    ------
    DataError
        If the patches do not cover the image.
    """
    whole = grids.repeat(patch, axis=-2).repeat(patch, axis=-1)
    if whole.shape[-2] < height or whole.shape[-1] < width:
        raise DataError(
            f"{grids.shape[-2]} x {grids.shape[-1]} patches of side {patch} do not cover "
            f"{height} x {width} pixels; take the patch of the encoder that made the grids"
        )
    return whole[..., :height, :width]


def jaccard(masks: NDArray[np.bool_], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return intersection over union; two empty masks are equal, 1.

    Parameters
    ----------
    masks, truth
        (..., H, W) bool; leading axes broadcast.

    Returns
    -------
    (...) float64 in [0, 1].

    Examples
    --------
    >>> float(jaccard(np.array([[True, True]]), np.array([[True, False]])))
    0.5
    """
    if masks.dtype != np.bool_ or truth.dtype != np.bool_ or masks.shape[-2:] != truth.shape[-2:]:
        raise DataError(
            f"masks must be bool and share height and width, but came {masks.dtype} "
            f"{masks.shape} and {truth.dtype} {truth.shape}; upsample with to_pixels"
        )
    shared = (masks & truth).sum(axis=(-2, -1))
    union = (masks | truth).sum(axis=(-2, -1))
    return np.where(union == 0, 1.0, shared / np.maximum(union, 1))


def best_head_jaccard(masks: NDArray[np.bool_], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return, for each image, the Jaccard similarity of whichever head fits its truth best.

    The head is chosen image by image, knowing the truth, as in the table of DINO's figure 4: the
    paper says "best head", and its author that each true mask takes the head of largest Jaccard
    (facebookresearch/dino, issue 54). So the number measures whether *some* head finds the object.
    It is no segmentation accuracy. More heads raise it; untrained attention reaches far above 0
    (22.0 % against DINO's 45.9 % there); attention that is even on the object and nowhere else gets
    0.6, as 60 % of its mass is 60 % of the object; and where objects stand in the middle of the
    image, so does a fixed blob there. Set it beside a random encoder of the same shape and a blob.

    Parameters
    ----------
    masks
        (n, heads, H, W) bool: ``to_pixels(keep_mass(maps), ...)``.
    truth
        (n, H, W) bool foreground, not empty. One object an image; where a data set has several,
        as VOC, give one row an object and average within the image first.

    Returns
    -------
    (n,) float64 in [0, 1]; the paper reports the mean.

    Raises
    ------
    DataError
        If shapes do not fit or an image has no foreground.
    """
    if masks.ndim != 4 or truth.ndim != 3 or len(masks) != len(truth):
        raise DataError(
            "masks must be (n, heads, H, W) and truth (n, H, W), but came "
            f"{masks.shape} and {truth.shape}"
        )
    empty = np.flatnonzero(~truth.any(axis=(1, 2)))
    if len(empty):
        raise DataError(
            f"every image needs foreground, but {len(empty)} have none, first row {empty[0]}; "
            "leave them out"
        )
    best: NDArray[np.float64] = jaccard(masks, truth[:, None]).max(axis=1)
    return best

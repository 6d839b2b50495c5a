r"""Where bags come from when no column names them: patches, paragraphs, windows.

Try it: ``paragraphs("Dear Ada,\n\nfree money!")``.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from weaklight.errors import DataError

__all__ = ["image_patches", "paragraphs", "patch_grid", "windows"]

_BLANK_LINE = re.compile(r"\n\s*\n")


def patch_grid(height: int, width: int, patch: int, stride: int) -> NDArray[np.int64]:
    """Return the top left corners (T, 2) of an image's patches, row by row.

    The last patch of a row or column is moved in to the border, so no pixel is left out.

    Raises
    ------
    DataError
        If the patch is larger than the image or the stride is not positive.
    """
    if not 0 < patch <= min(height, width) or stride < 1:
        raise DataError(
            f"a patch must fit into the image and the stride be positive, but came patch {patch}, "
            f"stride {stride} for {height} x {width} pixels"
        )
    tops, lefts = (
        np.unique(np.minimum(np.arange(0, size - patch + stride, stride), size - patch))
        for size in (height, width)
    )
    return np.stack(np.meshgrid(tops, lefts, indexing="ij"), axis=-1).reshape(-1, 2)


def image_patches(
    image: NDArray[np.uint8], patch: int, stride: int | None = None
) -> NDArray[np.uint8]:
    """Cut an image (H, W, C) into patches (T, patch, patch, C); the image is the bag.

    Patches touch where ``stride`` is left out.
    """
    height, width = image.shape[:2]
    corners = patch_grid(height, width, patch, stride or patch)
    return np.stack([image[y : y + patch, x : x + patch] for y, x in corners])


def paragraphs(text: str, *, at_most: int = 200) -> list[str]:
    r"""Cut a text at blank lines; the text is the bag, and it always has one paragraph.

    Examples
    --------
    >>> paragraphs("Dear Ada,\n\n\nfree money!\n")
    ['Dear Ada,', 'free money!']
    >>> paragraphs("")
    ['']
    """
    parts = [part.strip() for part in _BLANK_LINE.split(text)]
    return [part for part in parts if part][:at_most] or [text.strip()]


def windows(series: NDArray[np.generic], length: int, stride: int) -> NDArray[np.generic]:
    """Cut a series (T, ...) into windows (n, length, ...); the series is the bag.

    A shorter series is one window, padded by its last value; the last window ends at the end.

    Raises
    ------
    DataError
        If the series is empty or length or stride is not positive.
    """
    if len(series) == 0 or length < 1 or stride < 1:
        raise DataError(
            f"windows need a series with values and a positive length and stride, but came "
            f"{len(series)} values, length {length}, stride {stride}"
        )
    if len(series) < length:
        padding = np.repeat(series[-1:], length - len(series), axis=0)
        return np.concatenate([series, padding])[None]
    starts = np.unique(
        np.minimum(np.arange(0, len(series) - length + stride, stride), len(series) - length)
    )
    return np.stack([series[s : s + length] for s in starts])

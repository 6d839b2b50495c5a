r"""Where bags come from when no column names them: patches, paragraphs, windows.

`patch_grid`, `paragraph_spans` and `window_starts` say where the instances lie, which is what a
heat map needs; the others cut them out.

Try it: ``paragraphs("Dear Ada,\n\nfree money!")``.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from weaklight.errors import DataError

__all__ = [
    "heat_map",
    "image_patches",
    "paragraph_spans",
    "paragraphs",
    "patch_grid",
    "window_starts",
    "windows",
]

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


def heat_map(
    scores: NDArray[np.floating],
    corners: NDArray[np.integer],
    patch: tuple[int, int],
    shape: tuple[int, int],
) -> NDArray[np.float64]:
    """Return the mean score of the patches over each pixel, (H, W).

    Parameters
    ----------
    scores
        (T,) finite scores of an image's patches.
    corners
        (T, 2) their top left corners, as `patch_grid` gives them.
    patch
        Height and width of a patch.
    shape
        Height and width of the image; pixels under no patch are 0.
    """
    total, count = np.zeros(shape), np.zeros(shape)
    for score, (y, x) in zip(scores, corners, strict=True):
        under = np.s_[y : y + patch[0], x : x + patch[1]]
        total[under] += score
        count[under] += 1
    return np.asarray(total / np.maximum(count, 1))


def paragraph_spans(text: str, *, at_most: int = 200) -> list[tuple[int, int]]:
    r"""Return where each paragraph of a text starts and stops; blank lines stand between them.

    Examples
    --------
    >>> paragraph_spans("Dear Ada,\n\n\nfree money!\n")
    [(0, 9), (12, 23)]
    >>> paragraph_spans("")
    [(0, 0)]
    """
    gaps = [gap.span() for gap in _BLANK_LINE.finditer(text)]
    starts, stops = [0, *(stop for _, stop in gaps)], [*(start for start, _ in gaps), len(text)]
    spans = []
    for start, stop in zip(starts, stops, strict=True):
        words = text[start:stop].strip()
        if words:
            first = text.index(words, start)
            spans.append((first, first + len(words)))
    return spans[:at_most] or [(0, 0)]


def paragraphs(text: str, *, at_most: int = 200) -> list[str]:
    r"""Cut a text at blank lines; the text is the bag, and it always has one paragraph.

    Examples
    --------
    >>> paragraphs("Dear Ada,\n\n\nfree money!\n")
    ['Dear Ada,', 'free money!']
    >>> paragraphs("")
    ['']
    """
    return [text[start:stop] for start, stop in paragraph_spans(text, at_most=at_most)]


def window_starts(n: int, length: int, stride: int) -> NDArray[np.int64]:
    """Return where the windows of a series of n values start; the last one ends at the end.

    Raises
    ------
    DataError
        If the series is empty or length or stride is not positive.
    """
    if n == 0 or length < 1 or stride < 1:
        raise DataError(
            f"windows need a series with values and a positive length and stride, but came "
            f"{n} values, length {length}, stride {stride}"
        )
    last = max(n - length, 0)
    return np.unique(np.minimum(np.arange(0, last + stride, stride), last))


def windows(series: NDArray[np.generic], length: int, stride: int) -> NDArray[np.generic]:
    """Cut a series (T, ...) into windows (n, length, ...); the series is the bag.

    A shorter series is one window, padded by its last value; the last window ends at the end.

    See `window_starts` for what it refuses.
    """
    starts = window_starts(len(series), length, stride)
    if len(series) < length:
        padding = np.repeat(series[-1:], length - len(series), axis=0)
        series = np.concatenate([series, padding])
    return np.stack([series[s : s + length] for s in starts])

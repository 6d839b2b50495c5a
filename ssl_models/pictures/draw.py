"""Pictures as PNG bytes, with Pillow alone: heat over an image, rows of images, matched points.

Try it: ``png(contact_sheet([as_rgb(image), heat_overlay(image, heat)], columns=2))``.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ssl_models.pictures.matching import Matches
from weaklight.errors import DataError

__all__ = ["as_rgb", "contact_sheet", "heat_overlay", "matched_pair", "png"]

Picture = NDArray[np.uint8]

# Dark violet to yellow through red: light grows with heat, so it reads in gray and to the colour
# blind (the idea of matplotlib's inferno).
HEAT = np.array([(20, 10, 60), (125, 30, 110), (225, 90, 50), (255, 225, 110)], np.float64)
DIMMED = 0.3  # brightness of what a mask leaves out
GAP, BETWEEN = 4, 128  # pixels between pictures, of a gray that suits light and dark pages
LINE = 2  # pixels
SMOOTHING = 3  # lines are drawn this many times larger and shrunk


def as_rgb(image: Picture) -> Picture:
    """Return an image (H, W, C) with C = 1 or 3 as (H, W, 3)."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3):
        raise DataError(
            f"a picture is (H, W, C) uint8 with C = 1 or 3, but came {image.shape} {image.dtype}"
        )
    return np.broadcast_to(image, (*image.shape[:2], 3))


def heat_overlay(
    image: Picture,
    heat: NDArray[np.floating],
    mask: NDArray[np.bool_] | None = None,
    *,
    strength: float = 0.6,
) -> Picture:
    """Return the image under a veil of heat.

    Parameters
    ----------
    image
        (H, W, C) uint8, C = 1 or 3.
    heat
        (H, W) finite; its own least and largest value become dark violet and yellow.
    mask
        (H, W) bool: what it leaves out is dimmed. None dims nothing.
    strength
        Share of heat in the mix, 0 to 1.

    Returns
    -------
    (H, W, 3) uint8.
    """
    if heat.shape != image.shape[:2]:
        raise DataError(
            f"heat must be as large as the image, {image.shape[:2]}, but is {heat.shape}; upsample "
            "with to_pixels"
        )
    span = float(np.ptp(heat)) or 1.0
    level = (heat - heat.min()) / span * (len(HEAT) - 1)
    steps = np.arange(len(HEAT))
    veil = np.stack([np.interp(level, steps, channel) for channel in HEAT.T], axis=-1)
    mixed = strength * veil + (1 - strength) * as_rgb(image)
    if mask is not None:
        mixed = np.where(mask[..., None], mixed, DIMMED * mixed)
    return np.asarray(np.round(mixed), np.uint8)


def contact_sheet(pictures: Sequence[Picture], columns: int) -> Picture:
    """Return pictures of one size in rows, gray between them.

    Parameters
    ----------
    pictures
        At least one, each (H, W, 3) uint8.
    columns
        Pictures a row; the last row may be shorter.

    Returns
    -------
    (rows * H + gaps, columns * W + gaps, 3) uint8.
    """
    if not pictures or columns < 1 or len({p.shape for p in pictures}) != 1:
        raise DataError(
            "a contact sheet takes at least one picture, all of one shape, and columns >= 1, but "
            f"came {[p.shape for p in pictures]} and {columns}"
        )
    height, width = pictures[0].shape[:2]
    rows, columns = -(-len(pictures) // columns), min(columns, len(pictures))
    shape = (rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3)
    sheet = np.full(shape, BETWEEN, np.uint8)
    for i, picture in enumerate(pictures):
        top, left = i // columns * (height + GAP), i % columns * (width + GAP)
        sheet[top : top + height, left : left + width] = picture
    return sheet


def matched_pair(
    first: Picture, second: Picture, matches: Matches, *, scale: int = 4, most: int = 12
) -> Picture:
    """Return two images side by side with lines between matched points.

    Parameters
    ----------
    first, second
        (H, W, C) uint8 of one shape.
    matches
        What :func:`match_patches` found in them.
    scale
        How many times larger than the images the picture is, so that lines stay thin.
    most
        The most similar pairs that are drawn; more make a tangle.

    Returns
    -------
    (scale * H, 2 * scale * W + gap, 3) uint8.
    """
    pair = [as_rgb(image).repeat(scale, axis=0).repeat(scale, axis=1) for image in (first, second)]
    picture = Image.fromarray(contact_sheet(pair, columns=2))
    offset = pair[0].shape[1] + GAP
    large = picture.resize([SMOOTHING * side for side in picture.size], Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(large)
    shown = min(most, len(matches.similarity))
    for i in range(shown):
        # Neighbouring lines get colours far apart on the wheel, and always the same ones.
        ink = f"hsl({i * 137.5 % 360:.0f}, 90%, 60%)"
        left = tuple(SMOOTHING * scale * float(v) for v in matches.first[i])
        x, y = (float(v) for v in matches.second[i])
        right = (SMOOTHING * (scale * x + offset), SMOOTHING * scale * y)
        draw.line([left, right], fill=ink, width=LINE * SMOOTHING)
        for x, y in (left, right):
            reach = 3.5 * SMOOTHING
            draw.ellipse([x - reach, y - reach, x + reach, y + reach], fill=ink)
    return np.asarray(large.reduce(SMOOTHING))


def png(picture: Picture, colours: int | None = None) -> bytes:
    """Return the picture (H, W, C), C = 1 or 3, as PNG bytes, equal for equal pictures.

    Parameters
    ----------
    colours
        At most so many, 2 to 256: a palette makes a photo a third as large. None keeps all.
    """
    is_gray = picture.shape[2] == 1
    image = Image.fromarray(picture[:, :, 0] if is_gray else picture)
    if colours is not None and not is_gray:
        # The octree keeps a thin line's colour, which a median cut gives up.
        image = image.quantize(colours, method=Image.Quantize.FASTOCTREE)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()

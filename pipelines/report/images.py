"""Pictures inside the page: small PNGs as data URIs."""

from __future__ import annotations

import base64

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssl_models.pictures import png

__all__ = ["data_uri", "enlarged", "thumbnail"]

PALETTE = 256  # colours of a picture: a photo takes a third of the bytes and looks the same


def thumbnail(picture: NDArray[np.uint8], largest: int) -> NDArray[np.uint8]:
    """Return a picture (H, W, C), shrunk so that no side is longer than ``largest`` pixels."""
    height, width, channels = picture.shape
    if max(height, width) <= largest:
        return picture
    image = Image.fromarray(picture[:, :, 0] if channels == 1 else picture)
    image.thumbnail((largest, largest))
    return np.asarray(image).reshape(image.height, image.width, channels)


def enlarged(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return a picture (H, W, C) enlarged a whole number of times, or shrunk, to fit ``side``."""
    times = max(1, side // max(picture.shape[:2]))
    return thumbnail(picture.repeat(times, axis=0).repeat(times, axis=1), side)


def data_uri(picture: NDArray[np.uint8]) -> str:
    """Return a picture (H, W, C), C = 1 or 3, for the ``src`` of an image."""
    data = png(picture, colours=PALETTE)
    return "data:image/png;base64," + base64.b64encode(data).decode()

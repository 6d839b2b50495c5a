"""What the encoder's input must be, and what is read off it before training."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from weaklight.errors import DataError

__all__ = ["PixelSource", "channel_statistics", "check_pixels", "sample_rows"]

SAMPLE_ROWS = 4096  # mean and deviation of so many images are known to a few parts in a thousand


class PixelSource(Protocol):
    """(n, H, W, C) uint8 images that are read by rows: an array, a memmap, or shards of them."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, H, W, C)."""

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """Always uint8."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice | NDArray[np.integer], /) -> NDArray[np.uint8]: ...


def check_pixels(pixels: PixelSource, channels: tuple[int, ...] = ()) -> None:
    """Say what is wrong with ``pixels``, if anything.

    Parameters
    ----------
    channels
        The numbers of channels that are allowed; empty allows any: 1 is gray, 3 RGB, others are
        multi-channel images such as satellite bands.

    Raises
    ------
    DataError
        If they are not (n, H, W, C) uint8 with an allowed number of channels.
    """
    shape = tuple(pixels.shape)
    fits = len(shape) == 4 and (shape[3] in channels if channels else shape[3] >= 1)
    if not fits or pixels.dtype != np.uint8:
        wanted = " or ".join(map(str, channels)) or "1 or more"
        raise DataError(
            f"pixels must be (n, H, W, C) uint8 with C = {wanted}, but came as {shape} "
            f"{pixels.dtype}; convert gray to RGB or back, and floats to 0..255"
        )


def sample_rows(pixels: PixelSource) -> NDArray[np.uint8]:
    """Return at most 4096 images spread evenly over the rows."""
    return np.ascontiguousarray(pixels[:: -(-len(pixels) // SAMPLE_ROWS)])


def channel_statistics(images: NDArray[np.uint8]) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation per channel of pixels scaled to 0..1.

    Exact and independent of the order of the rows: counted in integers.

    Examples
    --------
    >>> channel_statistics(np.array([0, 255], np.uint8).reshape(1, 1, 2, 1))
    ([0.5], [0.5])
    """
    levels = np.arange(256) / 255
    means, deviations = [], []
    for channel in np.moveaxis(images, -1, 0):
        share = np.bincount(channel.ravel(), minlength=256) / channel.size
        mean = float(share @ levels)
        means.append(mean)
        # A constant channel is left as it is, not blown up.
        deviations.append(float(np.sqrt(share @ (levels - mean) ** 2)) or 1.0)
    return means, deviations

"""From images to features with a frozen encoder.

Try it: ``embed(load_encoder(Path("encoder")), np.load("pixels.npy", mmap_mode="r"))``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from ssl_models.backbones import Backbone
from ssl_models.encoders import load_encoder
from ssl_models.hardware import resolve_device
from ssl_models.pixels import PixelSource, check_pixels

__all__ = ["embed", "load_encoder"]


@torch.inference_mode()
def embed(
    encoder: Backbone,
    pixels: PixelSource,
    batch_size: int = 256,
    device: str = "auto",
    progress: Callable[[int, int, str], None] | None = None,
) -> NDArray[np.float32]:
    """Return one feature vector an image, independent of the other images.

    Parameters
    ----------
    encoder
        What :func:`load_encoder` returned.
    pixels
        (n, H, W, C) uint8, may be a memmap; H, W and C as the encoder was trained.
    batch_size
        Rows a forward pass. The last batch is padded: kernels depend on the shape, so a fixed
        shape gives a row the same bytes alone or in company.
    device
        ``auto``, ``cpu`` or ``cuda``.
    progress
        Called with (rows done, n, message) after each batch.

    Returns
    -------
    (n, d) float32, not normalised, in fp32 arithmetic.

    Raises
    ------
    DataError
        If the pixels do not fit the encoder.
    """
    check_pixels(pixels, (encoder.channels,))
    target = resolve_device(device)
    encoder = encoder.to(target).eval()
    n = len(pixels)
    features = np.empty((n, encoder.dim), np.float32)
    batch = np.zeros((batch_size, *pixels.shape[1:]), np.uint8)
    for start in range(0, n, batch_size):
        stop = min(start + batch_size, n)
        batch[: stop - start] = pixels[start:stop]
        images = torch.from_numpy(batch).to(target).permute(0, 3, 1, 2).float().div_(255)
        features[start:stop] = encoder(images)[: stop - start].float().cpu().numpy()
        if progress is not None:
            progress(stop, n, "images embedded")
    return features

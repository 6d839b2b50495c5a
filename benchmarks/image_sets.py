"""The images that the benchmarks learn from, decoded from ``shared/data``.

Try it: ``cifar10().train.shape``.
"""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["DATA", "cifar10", "clothing_photos", "images"]

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
PHOTO_SIZE = 64, 96  # width and height: of 96 x 144 a CPU core takes 20 a second through DINO


def cifar10() -> Any:
    """Return the task: 20,000 training and 5,000 test images (n, 32, 32, 3) with their labels."""
    from ssl_models.evaluation import Task

    parts = [_decoded(DATA / "cifar10" / f"{name}.npz") for name in ("train_20k", "test_5k")]
    return Task(*parts[0], *parts[1], n_classes=10)


def clothing_photos() -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.float32]]:
    """Return photographs (400, 96, 64, 3), where the person is, and equal parts of what it wears.

    The second is (400, 96, 64) bool: any garment, hair or skin. The third is (400, K) float32,
    rows sum to 1. Photographs are averaged from 96 x 144 px, masks take the nearest pixel.
    """
    with np.load(DATA / "clothing_photos" / "clothing_photos_400.npz") as data:
        photos, mask = images(data["blob"], data["offsets"], PHOTO_SIZE), data["garment_mask"]
        n_classes = len(data["class_names"])
    present = np.array([np.bincount(m.ravel(), minlength=n_classes)[1:] > 0 for m in mask])
    worn = present.astype(np.float32)
    ys, xs = (
        np.round((np.arange(small) + 0.5) * large / small - 0.5).astype(int)
        for small, large in zip(photos.shape[1:3], mask.shape[1:], strict=True)
    )
    person = mask[:, ys[:, None], xs] > 0
    return photos, person, worn / worn.sum(axis=1, keepdims=True)


def _decoded(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    with np.load(path, allow_pickle=False) as data:
        return images(data["blob"], data["offsets"]), data["labels"].astype(np.int64)


def images(
    blob: NDArray[np.uint8], offsets: NDArray[np.integer], size: tuple[int, int] | None = None
) -> NDArray[np.uint8]:
    """Return the JPEG files in ``blob`` as (n, H, W, 3), averaged to ``size`` (width, height)."""
    decoded = (
        Image.open(io.BytesIO(blob[start:stop].tobytes())).convert("RGB")
        for start, stop in pairwise(offsets)
    )
    resized = (image.resize(size, Image.Resampling.BOX) if size else image for image in decoded)
    return np.stack([np.asarray(image) for image in resized])

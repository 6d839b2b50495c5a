"""Transfer: features learnt on one data set, judged on another.

Try it::

    encoders = {"pretrained": encoder, "random": random_encoder("compact", 32, task.train)}
    [print(name, s.knn, s.linear) for name, s in transfer(encoders, task).items()]
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from ssl_models.augment import LUMA
from ssl_models.backbones import Backbone, build_backbone
from ssl_models.embed import embed
from ssl_models.evaluation.layers import DIM, pool
from ssl_models.evaluation.scores import FeatureScores, Task, score_features
from ssl_models.norms import estimate_norms, whiten
from ssl_models.pixels import PixelSource, channel_statistics, check_pixels, sample_rows
from weaklight.seeds import seeded_torch

__all__ = ["PIXELS", "pixel_features", "random_encoder", "transfer", "with_channels"]

PIXELS = "pixels"  # the row without an encoder
BATCH = 256


def transfer(
    encoders: Mapping[str, Backbone],
    task: Task[PixelSource],
    *,
    device: str = "auto",
    k: int = 20,
    seed: int = 0,
) -> dict[str, FeatureScores]:
    """Return the scores of each encoder on ``task`` and of the raw :data:`PIXELS`.

    Parameters
    ----------
    encoders
        The trained one by its name, and a :func:`random_encoder` of the same kind: what it reaches
        is owed to the architecture, not to training.
    task
        With pixels (n, H, W, C) uint8 of a data set that no encoder was trained on. Gray and colour
        are turned into what each encoder reads.
    device, k, seed
        See :func:`ssl_models.embed` and :func:`~ssl_models.evaluation.scores.score_features`.

    Raises
    ------
    DataError
        If the pixels are none, or their channels cannot be turned into an encoder's.

    Notes
    -----
    Nothing is trained but the classifiers, on ``task.train``.
    """
    scores = {}
    for name, encoder in encoders.items():
        train, test = (
            embed(encoder, with_channels(pixels, encoder.channels), device=device)
            for pixels in (task.train, task.test)
        )
        scores[name] = score_features(task.with_rows(train, test), k=k, seed=seed)
    raw = task.with_rows(pixel_features(task.train), pixel_features(task.test))
    return {**scores, PIXELS: score_features(raw, k=k, seed=seed)}


def random_encoder(backbone: str, width: int, pixels: PixelSource, seed: int = 0) -> Backbone:
    """Return an untrained encoder whose batch norms and whitening know the images.

    Without that its activations would fade or explode from layer to layer, and training would look
    better than it is. Its features are `mirrored`, as those of trained encoders mostly are.

    Parameters
    ----------
    backbone, width
        See :func:`ssl_models.build_backbone`.
    pixels
        (n, H, W, C) uint8, n >= 2; a sample gives the channel statistics and those of each layer.
    seed
        Of the weights.
    """
    check_pixels(pixels)
    _, height, wide, channels = pixels.shape
    with seeded_torch(seed, "random encoder"):
        encoder = build_backbone(
            backbone, channels=channels, image_size=min(height, wide), width=width
        )
    sample = sample_rows(pixels)
    encoder.set_normalisation(*channel_statistics(sample))
    estimate_norms(encoder, sample)
    encoder.mirrored = True
    whiten(encoder, sample)
    return encoder


def pixel_features(pixels: PixelSource) -> NDArray[np.float32]:
    """Return the images themselves as (n, d) float32 in 0..1, averaged down to d <= 1024."""
    check_pixels(pixels)
    parts = [
        pool(_images(pixels[start : start + BATCH]), DIM).numpy()
        for start in range(0, len(pixels), BATCH)
    ]
    return np.concatenate(parts)


def with_channels(pixels: PixelSource, channels: int) -> PixelSource:
    """Return gray pixels as RGB, or RGB pixels as gray by their luma; others as they are."""
    have = pixels.shape[-1]
    if (have, channels) == (1, 3):
        return np.repeat(pixels[:], 3, axis=3)
    if (have, channels) == (3, 1):
        luma = pixels[:].astype(np.float32) @ np.array(LUMA, np.float32)  # (n, H, W)
        return luma.round().astype(np.uint8)[..., None]
    return pixels


def _images(pixels: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float().div_(255)

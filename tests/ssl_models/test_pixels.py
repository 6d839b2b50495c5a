from __future__ import annotations

import numpy as np
import pytest

from ssl_models import build_backbone, embed
from ssl_models.pixels import channel_statistics, check_pixels
from weaklight.errors import DataError


def bands(n: int, channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 16, 16, channels), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 2, 3, 7])
def test_images_of_any_number_of_channels_are_embedded(channels: int) -> None:
    pixels = bands(4, channels)
    check_pixels(pixels)
    encoder = build_backbone("compact", channels=channels, image_size=16, width=8)
    encoder.set_normalisation(*channel_statistics(pixels))
    assert embed(encoder, pixels, batch_size=4).shape == (4, encoder.dim)
    with pytest.raises(DataError, match=f"C = {channels}, but"):
        embed(encoder, bands(4, channels + 1))


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((2, 8, 8), np.uint8), np.zeros((2, 8, 8, 0), np.uint8), np.zeros((2, 8, 8, 3))],
)
def test_what_is_no_image_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(DataError, match="C = 1 or more"):
        check_pixels(wrong)


def test_statistics_by_hand() -> None:
    pixels = np.array([[0, 51], [255, 51]], np.uint8).reshape(2, 1, 1, 2)
    mean, std = channel_statistics(pixels)
    assert mean == pytest.approx([0.5, 0.2]) and std == pytest.approx([0.5, 1.0])

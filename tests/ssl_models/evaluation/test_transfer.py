from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ssl_models import embed
from ssl_models.evaluation import Task, random_encoder, transfer
from ssl_models.evaluation.transfer import pixel_features, with_channels
from ssl_models.pixels import sample_rows


def bright_or_dark(n: int = 60, channels: int = 1) -> Task[np.ndarray]:
    generator = np.random.default_rng(0)
    labels = np.arange(n) % 2
    pixels = generator.integers(0, 160, (n, 16, 16, channels)) + 90 * labels[:, None, None, None]
    rows = pixels.astype(np.uint8)
    half = n // 2
    return Task(rows[:half], labels[:half], rows[half:], labels[half:], 2)


def test_encoders_and_pixels_side_by_side() -> None:
    task = bright_or_dark(channels=3)
    encoders = {
        "gray": random_encoder("compact", 8, bright_or_dark().train),
        "colour": random_encoder("compact", 8, task.train),
    }
    scores = transfer(encoders, task, k=5)
    assert list(scores) == ["gray", "colour", "pixels"]
    assert scores["gray"].dim == 128 and scores["pixels"].dim == 16 * 16 * 3
    for row in scores.values():
        assert row.knn.n == row.linear.n == row.n_train == 30
        assert row.linear.successes >= 29


def test_a_random_encoder_depends_on_its_seed_and_knows_the_statistics() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 1), dtype=np.uint8)
    before = torch.get_rng_state()
    first, again, other = (random_encoder("compact", 8, pixels, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    features = [embed(encoder, pixels).tobytes() for encoder in (first, again, other)]
    assert features[0] == features[1] != features[2]
    # One batch of 40: with its own statistics the first batch norm must give mean 0, variance 1.
    seen: list[torch.Tensor] = []
    norm = next(m for m in first.modules() if isinstance(m, nn.BatchNorm2d))
    norm.register_forward_hook(lambda module, inputs, output: seen.append(output.clone()))
    embed(first, pixels, batch_size=40)
    torch.testing.assert_close(seen[0].mean((0, 2, 3)), torch.zeros(16), atol=1e-3, rtol=0)
    torch.testing.assert_close(seen[0].var((0, 2, 3)), torch.ones(16), atol=2e-3, rtol=0)
    assert norm.momentum == 0.1 and len(sample_rows(pixels)) == 40


def test_channels_by_hand() -> None:
    gray = np.array([[[[10]]]], np.uint8)
    assert with_channels(gray, 3).tolist() == [[[[10, 10, 10]]]]
    red = np.array([[[[255, 0, 0]]]], np.uint8)
    assert with_channels(red, 1).tolist() == [[[[76]]]]  # 0.299 * 255
    assert with_channels(red, 3) is red


def test_large_images_are_averaged_down() -> None:
    pixels = np.zeros((2, 64, 64, 1), np.uint8)
    pixels[0, :2, :2, 0] = [[0, 255], [255, 0]]
    features = pixel_features(pixels)
    assert features.shape == (2, 32 * 32) and features[0, 0] == 0.5 and features[0, 1:].max() == 0

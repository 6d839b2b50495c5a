"""What every pretext task must do in the trainer: learn, resume exactly, take odd images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ssl_models import AugmentConfig, TrainConfig, build_backbone, pretrain
from ssl_models.methods import METHODS, build_method
from weaklight.errors import ConfigError

GRAY_TOO = [
    "rotation",
    "denoising_autoencoder",
    "jigsaw",
    "relative_patch",
    "context_encoder",
    "cpc",
]
COLOUR_ONLY = ["colorization", "split_brain"]
STEPS = {"relative_patch": 120}  # eight near-alike positions: 2.11 to 1.75 in these, ln 8 = 2.08
OPTIONS = {"jigsaw": {"n_orders": 4}}  # 100 orders take longer to learn than a test may last


class KilledError(Exception):
    pass


def drawn(n: int, height: int, width: int, channels: int) -> np.ndarray:
    """Bright above, dark below, with one square: an up, a layout (one texture), a colour."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(200, 40, height)[None, :, None, None] * np.ones((n, 1, width, channels))
    ramp += np.linspace(-30, 30, width)[None, None, :, None]
    ramp += rng.normal(0, 40, (height, width, 1))
    for image in ramp:
        top, left = rng.integers(2, height - 10), rng.integers(2, width - 10)
        image[top : top + 8, left : left + 8] = rng.integers(0, 256, channels)
    return (ramp + rng.normal(0, 3, ramp.shape)).clip(0, 255).astype(np.uint8)


def config(method: str, **changes: object) -> TrainConfig:
    settings: dict[str, object] = {
        "method": method,
        "method_options": OPTIONS.get(method, {}),
        "width": 8,
        "steps": 30,
        "batch_size": 16,
        "lr": 5e-3,
        "log_every": 5,
        "checkpoint_every": 4,
        "augment": AugmentConfig(crop_scale=(0.8, 1.0)),
    }
    return TrainConfig(**{**settings, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("method", GRAY_TOO + COLOUR_ONLY)
def test_loss_falls(method: str, tmp_path: Path) -> None:
    channels = 3 if method in COLOUR_ONLY else 1
    settings = config(method, steps=STEPS.get(method, 30))
    summary = pretrain(drawn(64, 24, 24, channels), settings, tmp_path / "o", tmp_path / "s")
    losses = [e["loss"] for e in json.loads((tmp_path / "o/history.json").read_text())["steps"]]
    assert losses[-1] < 0.9 * losses[0]
    assert not summary["verdict"].startswith("Collapsed")


@pytest.mark.parametrize("method", GRAY_TOO + COLOUR_ONLY)
def test_resumes_bit_exactly(method: str, tmp_path: Path) -> None:
    images, settings = drawn(32, 24, 28, 3), config(method, steps=6)
    pretrain(images, settings, tmp_path / "whole", tmp_path / "s1")

    def kill(done: int, total: int, message: str) -> None:
        if done == 5:
            raise KilledError

    with pytest.raises(KilledError):
        pretrain(images, settings, tmp_path / "again", tmp_path / "s2", kill)
    pretrain(images, settings, tmp_path / "again", tmp_path / "s2")
    for name in ("encoder.safetensors", "heads.safetensors", "history.json"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize("method", COLOUR_ONLY)
def test_gray_images_are_told_what_to_choose(method: str) -> None:
    encoder = build_backbone("compact", channels=1, image_size=24, width=8)
    with pytest.raises(ConfigError, match="denoising_autoencoder"):
        build_method(method, encoder, AugmentConfig(), {})


@pytest.mark.parametrize("method", ["jigsaw", "relative_patch"])
def test_images_too_small_are_named(method: str) -> None:
    encoder = build_backbone("compact", channels=1, image_size=16, width=8)
    task = build_method(method, encoder, AugmentConfig(), {})
    with pytest.raises(ConfigError, match="at least 24"):
        task.views(torch.zeros(2, 1, 16, 16, dtype=torch.uint8), torch.Generator())


@pytest.mark.parametrize("method", GRAY_TOO + COLOUR_ONLY)
def test_draws_come_from_the_generator_alone(method: str) -> None:
    images = torch.from_numpy(drawn(4, 32, 32, 3)).permute(0, 3, 1, 2)
    encoder = build_backbone("compact", channels=3, image_size=32, width=8)
    task = build_method(method, encoder, AugmentConfig(), OPTIONS.get(method, {}))
    assert METHODS[method].principle and METHODS[method].when and METHODS[method].cost

    def draw(seed: int) -> list[torch.Tensor]:
        views = task.views(images, torch.Generator().manual_seed(seed))
        return list(views) if isinstance(views, tuple) else [views]

    before = torch.get_rng_state()
    first, again, other = draw(0), draw(0), draw(1)
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])

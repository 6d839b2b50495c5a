"""What every contrastive and negative-free method owes the trainer: it learns, and resumes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ssl_models import AugmentConfig, TrainConfig, build_backbone, pretrain
from ssl_models.methods import METHODS, build_method
from ssl_models.methods.byol import BYOL, regression
from ssl_models.monitor import measure, verdict

SMALL = {
    "barlow_twins": {"projection_dim": 32},
    "byol": {"projection_dim": 16, "hidden_dim": 32},
    "cmc": {"projection_dim": 16},
    "instance_discrimination": {"projection_dim": 16},
    "mocov1": {"projection_dim": 16, "queue_size": 50},  # not a multiple of the batch
    "mocov2": {"projection_dim": 16, "queue_size": 50},
    "pirl": {"projection_dim": 16},
    "simsiam": {"projection_dim": 32, "bottleneck_dim": 8},
    "swav": {"projection_dim": 16, "hidden_dim": 32, "n_prototypes": 12, "queue_size": 50},
}
# A queue of random directions is easier than one of real keys: the loss rises as it fills.
FILLS_FIRST = {"mocov1", "mocov2", "swav"}


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """Return 64 images, each a bright square of its own place, size and colour."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 40, (64, 24, 24, 3))
    for image in images:
        side, colour = rng.integers(6, 12), rng.integers(60, 215, 3)
        y, x = rng.integers(0, 24 - side, 2)
        image[y : y + side, x : x + side] += colour
    return images.astype(np.uint8)


def settings(name: str, **changes: object) -> TrainConfig:
    base = {
        "method": name,
        "method_options": SMALL[name],
        "augment": AugmentConfig(crop_scale=(0.6, 1.0), gray=0.0, jitter=0.2, flip=0.0),
        "width": 8,
        "batch_size": 32,
        "precision": "fp32",
        "log_every": 5,
    }
    return TrainConfig(**{**base, **changes})


@pytest.mark.parametrize("name", sorted(SMALL))
def test_loss_falls_without_collapse(name: str, pixels: np.ndarray, tmp_path: Path) -> None:
    summary = pretrain(pixels, settings(name, steps=40), tmp_path / "out", tmp_path / "scratch")
    history = json.loads((tmp_path / "out" / "history.json").read_text())["steps"]
    losses = [entry["loss"] for entry in history]
    start = losses[1] if name in FILLS_FIRST else losses[0]
    assert losses[-1] < start, losses
    assert not summary["verdict"].startswith("Collapsed")


def test_a_collapse_above_the_encoder_is_called_one(
    pixels: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BYOL without predictor and teacher: constant projections, and an encoder that is spared."""

    def step(self: BYOL, views: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        h = [self.encoder(view) for view in views.chunk(2)]
        z = [self.projector(x) for x in h]
        self.projections = z[0].detach()
        return regression(*z), torch.cat(h)

    config = settings("byol", steps=40, lr=3e-2)
    healthy = pretrain(pixels, config, tmp_path / "whole", tmp_path / "scratch-whole")
    monkeypatch.setattr(BYOL, "step", step)
    broken = pretrain(pixels, config, tmp_path / "broken", tmp_path / "scratch-broken")
    assert not healthy["verdict"].startswith("Collapsed")
    assert broken["verdict"].startswith("Collapsed: all images get nearly the same projections")
    assert broken["std"] > 0.3


@pytest.mark.parametrize("name", ["byol", "simsiam"])
def test_what_is_watched_are_the_projections(name: str) -> None:
    torch.manual_seed(0)
    encoder = build_backbone("compact", channels=1, image_size=24, width=8)
    method = build_method(name, encoder, AugmentConfig(gray=0.0), SMALL[name])
    views = torch.rand(32, 1, 24, 24)
    _, h = method(views)
    plain = method.signals()
    method.projector[0].register_forward_hook(lambda layer, rows, out: torch.ones_like(out))
    method(views)
    health = measure(h, n_views=2)
    assert plain["projection_std"] > 0.3
    assert verdict(health, plain) == verdict(health)
    assert "projections" in verdict(health, method.signals())


class KilledError(Exception):
    pass


@pytest.mark.parametrize("name", sorted(SMALL))
def test_killed_and_resumed_gives_the_same_bytes(
    name: str, pixels: np.ndarray, tmp_path: Path
) -> None:
    """Two micro-batches a step; a teacher, queue or bank that is not saved would show."""
    config = settings(name, steps=6, accumulate=2, checkpoint_every=3)

    def kill(done: int, *_: object) -> None:
        if done == 4:
            raise KilledError

    pretrain(pixels, config, tmp_path / "whole", tmp_path / "scratch")
    with pytest.raises(KilledError):
        pretrain(pixels, config, tmp_path / "parts", tmp_path / "killed", kill)
    pretrain(pixels, config, tmp_path / "parts", tmp_path / "killed")
    for file in ("encoder.safetensors", "heads.safetensors"):
        whole, parts = (
            hashlib.sha256((tmp_path / run / file).read_bytes()).hexdigest()
            for run in ("whole", "parts")
        )
        assert whole == parts, file


@pytest.mark.parametrize("name", sorted(set(SMALL) - {"cmc"}))
def test_gray_images_and_equal_generators(name: str) -> None:
    torch.manual_seed(0)
    encoder = build_backbone("compact", channels=1, image_size=25, width=8)
    method = build_method(name, encoder, AugmentConfig(gray=0.0), SMALL[name])
    method.begin(16)
    method.rows = torch.arange(16)
    images = torch.randint(0, 256, (16, 1, 25, 31), dtype=torch.uint8)
    before = torch.get_rng_state()
    views = method.views(images, torch.Generator().manual_seed(1))
    again = method.views(images, torch.Generator().manual_seed(1))
    torch.testing.assert_close(views, again, atol=0, rtol=0)
    loss, embeddings = method(views)
    loss.backward()
    assert torch.equal(before, torch.get_rng_state())
    assert loss.dtype == torch.float32 and loss.ndim == 0
    assert embeddings.shape[1] == encoder.dim and len(embeddings) % 16 == 0
    learnt = {n: p for n, p in method.named_parameters() if p.requires_grad}
    assert all(p.grad is not None for p in learnt.values())  # DistributedDataParallel waits for all
    method.after_step(1, 10)
    assert METHODS[name].principle and METHODS[name].cost and METHODS[name].when

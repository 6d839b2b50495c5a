"""DINO, iBOT and DINOv2 through the trainer: students learn their teacher, resume is exact."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from ssl_models import AugmentConfig, TrainConfig, build_backbone, pretrain
from ssl_models.methods import build_method

CASES = [
    *((name, "vit_tiny") for name in ("dino", "ibot", "dinov2")),
    *((name, "compact") for name in ("dino", "ibot", "dinov2")),
]
OPTIONS = {"out_dim": 64, "n_small": 1}
AUGMENT = AugmentConfig(gray=0.0, jitter=0.0)


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """64 drawn images: bars of four directions on noise."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 60, (64, 24, 24, 1), dtype=np.uint8)
    y, x = np.mgrid[:24, :24]
    for i, image in enumerate(images):
        stripes = [x, y, x + y, x - y][i % 4]
        image[(stripes + i) % 8 < 3] = 220
    return images


@pytest.mark.parametrize(("name", "backbone"), CASES)
def test_a_student_learns_what_its_teacher_sees(
    pixels: np.ndarray, name: str, backbone: str
) -> None:
    """The teacher stands still: while it moves and its center settles, no loss need fall."""
    torch.manual_seed(0)
    encoder = build_backbone(backbone, channels=1, image_size=24, width=8)
    method = build_method(name, encoder, AUGMENT, OPTIONS)
    images = torch.from_numpy(pixels[:16]).permute(0, 3, 1, 2)
    views = method.views(images, torch.Generator().manual_seed(0))
    learnt = [p for p in method.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(learnt, lr=1e-3)
    losses = []
    for _ in range(20):
        loss, _ = method(views)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.95 * losses[0], losses


@pytest.mark.parametrize(("name", "backbone"), CASES)
def test_a_kill_changes_no_byte(
    pixels: np.ndarray, tmp_path: Path, name: str, backbone: str
) -> None:
    config = TrainConfig(
        method=name,
        method_options=OPTIONS,
        backbone=backbone,
        width=8,
        steps=5,
        batch_size=8,
        checkpoint_every=2,
        augment=AUGMENT,
    )

    def kill(done: int, total: int, message: str) -> None:
        if done == 3:
            raise KilledError

    with pytest.raises(KilledError):
        pretrain(pixels, config, tmp_path / "out", tmp_path / "killed", kill)
    pretrain(pixels, config, tmp_path / "out", tmp_path / "killed")
    pretrain(pixels, config, tmp_path / "undisturbed", tmp_path / "scratch")
    for file in ("encoder.safetensors", "heads.safetensors"):
        digests = {
            hashlib.sha256((tmp_path / folder / file).read_bytes()).hexdigest()
            for folder in ("out", "undisturbed")
        }
        assert len(digests) == 1, file

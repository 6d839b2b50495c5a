from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ssl_models import Backbone, TrainConfig, embed, load_encoder, pretrain
from ssl_models.evaluation import Task, load_projector, projection_head
from ssl_models.evaluation.projection import project
from ssl_models.whitening import Whitening
from weaklight.errors import ArtifactError, ConfigError


def small(method: str) -> TrainConfig:
    return TrainConfig(method=method, width=8, steps=2, batch_size=8)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (16, 16, 16, 1), dtype=np.uint8)


def test_z_loses_what_the_head_drops() -> None:
    """The encoder gives the pixels; the head keeps only the useless half of them."""
    generator = np.random.default_rng(0)
    labels = np.arange(160) % 2
    rows = generator.integers(0, 128, (160, 2, 2, 1))
    rows[labels == 1, 0] += 127  # the upper two pixels know the class
    task = Task(rows[:80].astype(np.uint8), labels[:80], rows[80:].astype(np.uint8), labels[80:], 2)
    encoder = Backbone(nn.Flatten(), 4, 1)
    drawn = torch.rand(10, 4, generator=torch.Generator().manual_seed(0))
    encoder.whitening = Whitening.fitted(drawn)
    head = nn.Linear(4, 2, bias=False)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[0.0, 0, 1, 0], [0, 0, 0, 1]]))
    scores = projection_head(encoder, head, task, k=5)
    assert scores["h"].linear.successes >= 78 and scores["h"].dim == 4
    assert scores["z"].linear.successes < 60 and scores["z"].dim == 2
    z = project(encoder, head, embed(encoder, task.test))
    np.testing.assert_allclose(z, task.test[:, 1].reshape(80, 2) / 255, atol=1e-5)


@pytest.mark.parametrize("method", ["simclr", "mocov2", "byol", "dino"])
def test_the_head_is_the_one_that_was_trained(
    method: str, pixels: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against the method in memory, on mirrored features before they are whitened."""
    kept: dict[str, torch.Tensor] = {}
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255

    def spy(trainer: object) -> None:
        alive = trainer.method.eval()
        head = alive.projector if hasattr(alive, "projector") else alive.head
        with torch.no_grad():
            h = (alive.encoder(images) + alive.encoder(images.flip(3))) / 2
            kept["z"] = getattr(head, "mlp", head)(h)

    from ssl_models import trainer as trainer_module

    export = trainer_module.ImageTrainer.export
    monkeypatch.setattr(
        trainer_module.ImageTrainer, "export", lambda t, out: (spy(t), export(t, out))[1]
    )
    pretrain(pixels, small(method), tmp_path / "out", tmp_path / "scratch")
    state = torch.get_rng_state()
    projector = load_projector(tmp_path / "out", small(method))
    assert torch.equal(torch.get_rng_state(), state)
    encoder = load_encoder(tmp_path / "out")
    z = project(encoder, projector, embed(encoder, pixels))
    np.testing.assert_allclose(z, kept["z"], atol=1e-4, rtol=1e-3)


def test_a_method_without_a_head_and_a_missing_file_are_named(
    pixels: np.ndarray, tmp_path: Path
) -> None:
    pretrain(pixels, small("rotation"), tmp_path / "out", tmp_path / "scratch")
    with pytest.raises(ConfigError, match="rotation has none"):
        load_projector(tmp_path / "out", small("rotation"))
    (tmp_path / "out" / "heads.safetensors").unlink()
    with pytest.raises(ArtifactError, match="pretrain"):
        load_projector(tmp_path / "out", small("simclr"))

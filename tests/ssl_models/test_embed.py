from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from ssl_models import build_backbone, embed, load_encoder, save_encoder
from weaklight.errors import ArtifactError, DataError, TrainingError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    encoder = build_backbone("compact", channels=1, image_size=28, width=32)
    encoder.set_normalisation([0.3], [0.2])
    encoder.eval()
    description = {"backbone": "compact", "width": 32, "image_size": [28, 28], "channels": 1}
    save_encoder(encoder, tmp_path, description)
    return tmp_path


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (150, 28, 28, 1), dtype=np.uint8)


def test_features_are_those_of_the_module(folder: Path, pixels: np.ndarray) -> None:
    encoder = load_encoder(folder)
    features = embed(encoder, pixels, batch_size=64)
    with torch.no_grad():
        expected = encoder(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255)
    assert features.dtype == np.float32 and features.shape == (150, encoder.dim)
    np.testing.assert_allclose(features, expected.numpy(), atol=1e-4, rtol=1e-4)


def test_mirrored_features_are_the_mean_over_an_image_and_its_mirror_image(
    folder: Path, pixels: np.ndarray
) -> None:
    encoder = load_encoder(folder)
    both = [embed(encoder, np.ascontiguousarray(x)) for x in (pixels, pixels[:, :, ::-1])]
    assert np.abs(both[0] - both[1]).max() > 0.01  # an untrained network tells them apart
    encoder.mirrored = True
    description = json.loads((folder / "encoder.json").read_bytes())
    save_encoder(encoder, folder, description)
    mirrored = embed(load_encoder(folder), pixels)
    np.testing.assert_allclose(mirrored, (both[0] + both[1]) / 2, atol=1e-5)
    x = torch.from_numpy(pixels[:8]).permute(0, 3, 1, 2).float() / 255
    encoder.train()(x)
    assert encoder.body(encoder.normalised(x)).equal(encoder(x))  # training sees one view


def test_a_row_does_not_depend_on_its_companions(folder: Path, pixels: np.ndarray) -> None:
    encoder = load_encoder(folder)
    whole = embed(encoder, pixels, batch_size=64)
    order = np.random.default_rng(1).permutation(150)
    assert embed(encoder, pixels[order], batch_size=64).tobytes() == whole[order].tobytes()
    for row in (0, 63, 64, 149):
        alone = embed(encoder, pixels[row : row + 1], batch_size=64)
        assert alone.tobytes() == whole[row : row + 1].tobytes()


def test_progress_and_no_rows(folder: Path, pixels: np.ndarray) -> None:
    seen: list[tuple[int, int]] = []
    encoder = load_encoder(folder)
    embed(encoder, pixels, batch_size=100, progress=lambda done, n, _: seen.append((done, n)))
    assert seen == [(100, 150), (150, 150)]
    assert embed(encoder, pixels[:0]).shape == (0, encoder.dim)


def test_wrong_pixels_are_named(folder: Path, pixels: np.ndarray) -> None:
    encoder = load_encoder(folder)
    with pytest.raises(DataError, match="C = 1"):
        embed(encoder, pixels.repeat(3, axis=3))
    with pytest.raises(DataError, match="uint8"):
        embed(encoder, pixels.astype(np.float32))


def test_missing_and_unexpected_weights_are_errors(folder: Path) -> None:
    file = folder / "encoder.safetensors"
    tensors = load_file(file)
    name = "body.0.1.num_batches_tracked"  # torch's own strict loading lets this one pass
    save_file({k: v for k, v in tensors.items() if k != name}, file)
    with pytest.raises(TrainingError, match=r"missing .*num_batches"):
        load_encoder(folder)
    save_file({**tensors, "surprise": torch.zeros(1)}, file)
    with pytest.raises(TrainingError, match=r"unexpected .*surprise"):
        load_encoder(folder)


def test_damaged_encoder_is_an_artifact_error(folder: Path) -> None:
    file = folder / "encoder.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ArtifactError, match="pretrain"):
        load_encoder(folder)


def test_incomplete_description_is_an_artifact_error(folder: Path) -> None:
    (folder / "encoder.json").write_text(json.dumps({"backbone": "compact"}))
    with pytest.raises(ArtifactError, match="KeyError"):
        load_encoder(folder)

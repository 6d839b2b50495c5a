"""Batch norms estimated on images know these, and nothing of what came before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ssl_models import AugmentConfig, TrainConfig, build_backbone, embed, load_encoder, pretrain
from ssl_models.norms import estimate_norms


def images(n: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 24, 24, 1)).astype(np.uint8)


def test_statistics_are_plain_means_over_whole_batches() -> None:
    torch.manual_seed(0)
    encoder = build_backbone("compact", channels=1, image_size=24, width=8)
    norm = next(module for module in encoder.modules() if isinstance(module, nn.BatchNorm2d))
    norm.running_mean.fill_(7.0)
    pixels, means = images(600), []
    first = next(module for module in encoder.modules() if isinstance(module, nn.Conv2d))
    handle = first.register_forward_hook(lambda _, __, out: means.append(out.mean((0, 2, 3))))
    estimate_norms(encoder, pixels)
    handle.remove()
    assert len(means) == 2  # of 256 each; the 88 left over are no whole batch
    torch.testing.assert_close(norm.running_mean, (means[0] + means[1]) / 2)
    assert norm.momentum == 0.1 and not encoder.training


@pytest.mark.parametrize("method", ["relative_patch", "jigsaw", "cpc", "mae"])
def test_an_encoder_that_learnt_from_parts_is_written_with_norms_of_whole_images(
    method: str, tmp_path: Path
) -> None:
    pixels = images(64)
    config = TrainConfig(
        method=method, width=8, steps=3, batch_size=32, augment=AugmentConfig(gray=0.0)
    )
    pretrain(pixels, config, tmp_path / "out", tmp_path / "scratch")
    encoder = load_encoder(tmp_path / "out")
    written = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    features = embed(encoder, pixels)
    np.testing.assert_allclose(features.mean(0), 0, atol=1e-4)
    estimate_norms(encoder, pixels)
    for name, tensor in encoder.state_dict().items():
        torch.testing.assert_close(tensor, written[name])

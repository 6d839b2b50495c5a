from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ssl_models import AugmentConfig, TrainConfig, build_backbone, pretrain
from ssl_models.augment import LUMA
from ssl_models.colour import rgb_to_lab, soft_encode
from ssl_models.embed import load_encoder
from ssl_models.methods.split_brain import SplitBrain
from weaklight.errors import ConfigError


def test_loss_by_hand() -> None:
    """The lightness half answers for the colours, the colour half for the lightness."""
    torch.manual_seed(0)
    encoder = build_backbone("compact", channels=3, image_size=24, width=8)
    method = SplitBrain(encoder, AugmentConfig.identity())
    method.begin(3)
    images = torch.rand(3, 3, 24, 24) * torch.tensor([0.3, 0.7, 1.0]).view(3, 1, 1, 1)
    loss, h = method(images)
    lab = F.avg_pool2d(rgb_to_lab(images), 3)  # 24 px to 8
    colours = method.to_colour(h[:, : encoder.dim // 2]).log_softmax(1)
    levels = method.to_lightness(h[:, encoder.dim // 2 :]).log_softmax(1)
    assert levels.shape == (3, 11, 8, 8)  # 0, 10, ... 100
    total = 0.0
    for i in range(3):
        for y in range(8):
            for x in range(8):
                target = soft_encode(lab[i, 1:, y, x][None], method.bins, 20.0)[0]
                total -= (target * colours[i, :, y, x]).sum().item()
                total -= levels[i, round(lab[i, 0, y, x].item() / 10), y, x].item()
    assert loss.item() == pytest.approx(total / (3 * 64), rel=1e-4)


def test_what_is_saved_is_one_half_from_lightness_and_one_from_colour(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(20, 200, (16, 24, 24, 3)).astype(np.uint8)
    config = TrainConfig(
        method="split_brain", width=8, steps=3, batch_size=8, augment=AugmentConfig()
    )
    pretrain(images, config, tmp_path / "out", tmp_path / "scratch")
    encoder = load_encoder(tmp_path / "out")
    x = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    generator = torch.Generator().manual_seed(0)
    chroma = 0.05 * torch.randn(x.shape, generator=generator)
    chroma -= torch.einsum("c,bchw->bhw", torch.tensor(LUMA), chroma)[:, None]
    gray = 0.2 * torch.rand(16, 1, 24, 24, generator=generator)
    scale = encoder.body(encoder.normalised(x)).std(dim=0)

    def halves(images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Before whitening, which mixes them."""
        return (encoder.body(encoder.normalised(images)) / scale).chunk(2, 1)

    lightness, colour = halves(x)
    same, moved = halves(x + chroma)
    torch.testing.assert_close(same, lightness, atol=2e-3, rtol=1e-3)
    assert not torch.allclose(moved, colour, atol=0.1)
    moved, same = halves(x + gray)
    torch.testing.assert_close(same, colour, atol=2e-3, rtol=1e-3)
    assert not torch.allclose(moved, lightness, atol=0.1)


def test_backbones_that_would_mix_the_halves_are_refused() -> None:
    encoder = build_backbone("vit_tiny", channels=3, image_size=24, width=16)
    with pytest.raises(ConfigError, match="ungrouped convolutions"):
        SplitBrain(encoder, AugmentConfig())

from __future__ import annotations

import pytest
import torch

from ssl_models import AugmentConfig, build_backbone
from ssl_models.methods.denoising_autoencoder import DenoisingAutoencoder
from weaklight.errors import ConfigError


def planted(share: float) -> DenoisingAutoencoder:
    torch.manual_seed(0)
    encoder = build_backbone("compact", channels=3, image_size=32, width=8).eval()
    encoder.set_normalisation([0.5, 0.4, 0.3], [0.2, 0.25, 0.3])
    return DenoisingAutoencoder(encoder, AugmentConfig.identity(), share=share).eval()


def test_pixels_are_destroyed_anew_each_step() -> None:
    images = torch.randint(0, 256, (20, 3, 32, 32), dtype=torch.uint8)
    method, generator = planted(0.3), torch.Generator().manual_seed(0)
    (clean, first), (again, second) = (method.views(images, generator) for _ in range(2))
    torch.testing.assert_close(clean, images / 255, atol=1e-5, rtol=0)
    torch.testing.assert_close(again, clean)
    assert first.shape == (20, 1, 32, 32)  # all channels of a pixel together
    both = (first & second).float().mean()
    assert abs(float(first.float().mean()) - 0.3) < 0.01 and abs(float(both) - 0.09) < 0.01
    assert not torch.equal(first[0], first[1])  # and for each image


def test_loss_by_hand_and_on_destroyed_and_clean_pixels() -> None:
    method = planted(0.3)
    seen: list[torch.Tensor] = []
    method.encoder.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    clean, destroyed = torch.rand(2, 3, 32, 32), torch.rand(2, 1, 32, 32) < 0.3
    loss, h = method((clean, destroyed))
    mean, std = method.encoder.mean, method.encoder.std
    painting = method.decoder(h) * std + mean
    sums, counts = {True: 0.0, False: 0.0}, {True: 0, False: 0}
    for i in range(2):
        for y in range(32):
            for x in range(32):
                gone = bool(destroyed[i, 0, y, x])
                pixel = clean[i, :, y, x]
                assert torch.equal(seen[0][i, :, y, x], mean.flatten() if gone else pixel)
                error = (painting[i, :, y, x] - pixel) / std.flatten()
                sums[gone] += error.square().mean().item()
                counts[gone] += 1
    assert loss.item() == pytest.approx(sum(sums.values()) / 2048, rel=1e-4)
    assert method.signals()["loss_corrupted"].item() == pytest.approx(
        sums[True] / counts[True], rel=1e-4
    )
    assert method.signals()["loss_clean"].item() == pytest.approx(
        sums[False] / counts[False], rel=1e-4
    )


def test_a_share_that_leaves_nothing_or_all_is_named() -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        planted(1.0)

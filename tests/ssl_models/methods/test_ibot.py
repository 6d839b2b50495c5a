from __future__ import annotations

import pytest
import torch

from ssl_models import AugmentConfig, build_backbone
from ssl_models.masks import N_DRAWS, block_masks
from ssl_models.methods.ibot import IBOT, patch_loss
from weaklight.errors import ConfigError


def test_agrees_with_lightly() -> None:
    loss = pytest.importorskip("lightly.loss", reason="lightly is not installed")
    generator = torch.Generator().manual_seed(0)
    masked = torch.rand(4, 9, generator=generator) < 0.4
    masked[1] = False
    n = int(masked.sum())
    teacher, student = (torch.randn(n, 16, generator=generator) for _ in range(2))
    theirs = loss.IBOTPatchLoss(output_dim=16, teacher_temp=0.05)
    expected = theirs(teacher, student, masked.view(4, 3, 3))
    ours = patch_loss((teacher / 0.05).softmax(-1), student, masked, 0.1)
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)


def test_no_masked_patch_gives_nothing() -> None:
    none = torch.zeros(0, 4)
    assert float(patch_loss(none, none, torch.zeros(2, 9, dtype=torch.bool), 0.1)) == 0


@pytest.mark.parametrize("counts", [[0, 1, 5, 16, 31, 63, 64]])
def test_masks_have_the_size_asked_for_and_are_blocks(counts: list[int]) -> None:
    generator = torch.Generator().manual_seed(0)
    wanted = torch.tensor(counts).repeat(50)
    masks = block_masks(wanted, 8, 8, torch.rand(len(wanted), N_DRAWS, generator=generator))
    assert torch.equal(masks.sum(1), wanted)
    sixteen = masks[wanted == 16].view(-1, 8, 8)
    edges = (sixteen[:, 1:] ^ sixteen[:, :-1]).sum((1, 2)) + (
        sixteen[:, :, 1:] ^ sixteen[:, :, :-1]
    ).sum((1, 2))
    # 16 of 64 patches at random have 112 * 2 * (1/4)(3/4) = 42 edges inside the grid.
    assert float(edges.float().mean()) < 25
    assert len({tuple(mask.flatten().tolist()) for mask in sixteen}) > 40


def test_masks_favour_no_side() -> None:
    generator = torch.Generator().manual_seed(0)
    counts = torch.full((4000,), 20)
    masks = block_masks(counts, 8, 8, torch.rand(4000, N_DRAWS, generator=generator)).float()
    share = masks.mean(0).view(8, 8)
    assert float(share.min()) > 0.04 and float(share.max()) < 0.6
    for turned in (share.flip(0), share.flip(1), share.T):
        torch.testing.assert_close(share, turned, atol=0.04, rtol=0)


def test_half_the_large_crops_are_masked_and_no_small_one() -> None:
    torch.manual_seed(0)
    encoder = build_backbone("vit_tiny", channels=1, image_size=24, width=4)
    method = IBOT(encoder, AugmentConfig(), out_dim=16, n_small=1)
    images = torch.zeros(200, 1, 24, 24, dtype=torch.uint8)
    views = method.views(images, torch.Generator().manual_seed(0))
    share = views.masked.float().mean(1)
    assert views.masked.shape == (400, 36)
    assert 0.4 < float((share > 0).float().mean()) < 0.6
    assert 0.1 - 0.02 <= float(share[share > 0].min()) and float(share.max()) <= 0.5
    assert 0.27 < float(share[share > 0].mean()) < 0.33


def test_classes_and_patches_have_a_center_each() -> None:
    torch.manual_seed(0)
    encoder = build_backbone("vit_tiny", channels=1, image_size=24, width=4)
    method = IBOT(encoder, AugmentConfig(), out_dim=16, n_small=1)
    images = torch.randint(0, 256, (8, 1, 24, 24), dtype=torch.uint8)
    loss, h = method(method.views(images, torch.Generator().manual_seed(0)))
    assert h.shape == (16, encoder.dim) and torch.isfinite(loss)
    loss.backward()
    method.after_step(1, 10)
    assert method.center.value.any() and method.patch_center.value.any()
    assert not torch.equal(method.center.value, method.patch_center.value)
    assert method.mask_token.grad is not None and method.mask_token.grad.any()


def test_needs_a_transformer() -> None:
    encoder = build_backbone("compact", channels=1, image_size=24, width=8)
    with pytest.raises(ConfigError, match="vit_tiny"):
        IBOT(encoder, AugmentConfig())

from __future__ import annotations

import pytest
import torch

from ssl_models import AugmentConfig, build_backbone
from ssl_models.backbones import Backbone, per_pixel
from ssl_models.masks import N_DRAWS, block_masks
from ssl_models.methods.dino import DINOViews
from ssl_models.methods.ibot import IBOT, IBOTViews, patch_loss
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


@pytest.fixture(params=["vit_tiny", "compact"])
def method(request: pytest.FixtureRequest) -> IBOT:
    torch.manual_seed(0)
    encoder = build_backbone(request.param, channels=1, image_size=24, width=4)
    return IBOT(encoder, AugmentConfig(), out_dim=16, n_small=1)


def images(n: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (n, 1, 24, 24), dtype=torch.uint8, generator=generator)


def test_half_the_large_crops_are_masked_and_no_small_one() -> None:
    encoder = build_backbone("vit_tiny", channels=1, image_size=24, width=4)
    views = IBOT(encoder, AugmentConfig(), out_dim=16, n_small=1).views(
        images(200), torch.Generator().manual_seed(0)
    )
    share = views.masked.float().mean(1)
    assert views.masked.shape == (400, 36)
    assert 0.4 < float((share > 0).float().mean()) < 0.6
    assert 0.1 - 0.02 <= float(share[share > 0].min()) and float(share.max()) <= 0.5
    assert 0.27 < float(share[share > 0].mean()) < 0.33


def test_classes_and_patches_have_a_center_each(method: IBOT) -> None:
    loss, h = method(method.views(images(8), torch.Generator().manual_seed(0)))
    assert h.shape == (16, method.encoder.dim) and torch.isfinite(loss)
    loss.backward()
    method.after_step(1, 10)
    assert method.center.value.any() and method.patch_center.value.any()
    assert not torch.equal(method.center.value, method.patch_center.value)
    assert method.mask_token.grad is not None and method.mask_token.grad.any()


def test_the_teacher_s_use_of_prototypes_is_told_for_patches_too(method: IBOT) -> None:
    views = method.views(images(8), torch.Generator().manual_seed(0))
    with torch.no_grad():
        for head in (method.teacher_head, method.teacher_patch_head):
            head.prototypes[1:] = head.prototypes[0]  # one answer for everything, said 16 times
        method(views)
        assert float(method.signals()["patch_prototypes_used"]) == pytest.approx(16, rel=1e-3)
        method.patch_assignments = torch.eye(16)[[3, 3, 5]]  # 2 of 3 patches at one prototype
        used = float(method.signals()["patch_prototypes_used"])
        assert used == pytest.approx(3 / 2 ** (2 / 3), rel=1e-3)
        method(IBOTViews(views.crops, torch.zeros_like(views.masked)))
        assert set(method.signals()) == {"teacher_entropy", "prototypes_used"}


def test_only_masked_patches_meet_the_patch_head(method: IBOT) -> None:
    """In the order of the mask: what the student says of each is compared with the same place."""
    met: list[torch.Tensor] = []
    views = method.views(images(4), torch.Generator().manual_seed(0))
    for head in (method.patch_head, method.teacher_patch_head):
        head.register_forward_pre_hook(lambda _, rows: met.append(rows[0]))
    with torch.no_grad():
        method.eval()(views)
        pixels = method.encoder.normalised(views.crops.large)
        masks = {"masked": views.masked, "mask_token": method.mask_token}
        hidden = method.encoder.body.tokens(pixels, **masks, draws=views.crops.draws[:8])[1]
        plain = method.teacher_body.tokens(pixels)[1]
    student, teacher = (rows for rows in met if len(rows) == int(views.masked.sum()))
    torch.testing.assert_close(student, hidden[views.masked])
    torch.testing.assert_close(teacher, plain[views.masked])


def test_what_is_masked_reaches_no_student(method: IBOT) -> None:
    """The teacher sees it: its targets move, and the student's features do not."""
    (large, small, draws), masked = method.views(images(4), torch.Generator().manual_seed(0))
    side = method.encoder.body.patch
    changed = torch.where(per_pixel(masked, side, 24, 24), 1 - large, large)
    method.eval()
    with torch.no_grad():
        loss, features = method(IBOTViews(DINOViews(large, small, draws), masked))
        other_loss, other = method(IBOTViews(DINOViews(changed, small, draws), masked))
    assert torch.equal(features, other) and not torch.equal(loss, other_loss)


def test_a_head_is_shared_where_both_have_one_length(method: IBOT) -> None:
    same = method.encoder.body.patch_dim == method.encoder.dim
    assert (method.patch_head is method.head) == same
    assert len(method.pairs()) == (2 if same else 3)
    assert {id(p) for _, student in method.pairs() for p in student.parameters()} == {
        id(p) for p in method.parameters() if p.requires_grad
    } - {id(method.mask_token)}


def test_needs_patch_tokens() -> None:
    with pytest.raises(ConfigError, match="compact"):
        IBOT(Backbone(torch.nn.Flatten(), 576, 1), AugmentConfig())

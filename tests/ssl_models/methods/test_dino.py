"""DINO, and through it what iBOT and DINOv2 share: loss, center, teacher, schedules."""

from __future__ import annotations

import math

import pytest
import torch

from ssl_models import AugmentConfig, build_backbone
from ssl_models.methods import build_method
from ssl_models.methods.dino import DINO, Center, DINOHead, distillation_loss
from ssl_models.multicrop import MultiCrop, small_side
from weaklight.errors import ConfigError


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def images(n: int = 8, channels: int = 1, side: int = 24) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (n, channels, side, side), dtype=torch.uint8, generator=generator)


def dino(backbone: str = "compact", **options: object) -> DINO:
    torch.manual_seed(0)
    encoder = build_backbone(backbone, channels=1, image_size=24, width=8)
    method = build_method("dino", encoder, AugmentConfig(gray=0.0), {"out_dim": 32, **options})
    assert isinstance(method, DINO)
    return method


@pytest.mark.parametrize("n_small", [0, 3])
def test_agrees_with_lightly_and_its_center_moves_after_the_loss(n_small: int) -> None:
    loss = pytest.importorskip("lightly.loss", reason="lightly is not installed")
    teacher, student = normal(2, 5, 16), normal(2 + n_small, 5, 16, seed=1)
    theirs, center = loss.DINOLoss(output_dim=16, teacher_temp=0.04), Center(16)
    for _ in range(3):
        targets = ((teacher - center.value) / 0.04).softmax(-1)
        ours = distillation_loss(targets, student, 0.1)
        expected = theirs(list(teacher), list(student))
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)
        center.add(teacher.flatten(0, 1))
        center.turn()
        torch.testing.assert_close(center.value, theirs.center.flatten(), atol=1e-6, rtol=1e-5)
        teacher = teacher + 0.1


def test_a_student_that_agrees_by_hand() -> None:
    """One image, two views, certain targets: only views 0 -> 1 and 1 -> 0 count."""
    targets = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
    logits = torch.tensor([[[0.0, 0.0]], [[math.log(3) * 0.5, 0.0]]])
    # Target 0 meets view 1 (3/4 for prototype 0), target 1 meets view 0 (1/2).
    expected = -(math.log(3 / 4) + math.log(1 / 2)) / 2
    assert float(distillation_loss(targets, logits, 0.5)) == pytest.approx(expected)


def test_center_of_micro_batches_is_that_of_the_batch() -> None:
    x = normal(8, 4)
    whole, parts = Center(4), Center(4)
    whole.add(x)
    for part in x.split([2, 6]):
        parts.add(part)
    whole.turn(), parts.turn()
    torch.testing.assert_close(whole.value, 0.1 * x.mean(0))
    torch.testing.assert_close(parts.value, whole.value)
    before = whole.value.clone()
    whole.turn()
    assert torch.equal(whole.value, before)


def test_head_yields_cosines_and_its_prototypes_stand_still_at_first() -> None:
    head, x = DINOHead(6, 10, hidden=8, bottleneck=4), normal(5, 6)
    logits = head(x)
    assert logits.shape == (5, 10) and logits.abs().max().item() <= 1 + 1e-6
    logits.square().sum().backward()
    assert head.prototypes.grad is not None and not head.prototypes.grad.any()
    head.last_layer_learns.fill_(1)
    head(x).square().sum().backward()
    assert head.prototypes.grad.any()
    scaled = head(x)
    head.prototypes.data *= 3  # weight norm: only directions count
    torch.testing.assert_close(head(x), scaled)


def test_teacher_follows_by_the_schedules_and_has_no_gradient() -> None:
    method = dino(momentum=0.9, teacher_warmup=0.5)
    pairs = [
        (t, s)
        for a, b in method.pairs()
        for t, s in zip(a.parameters(), b.parameters(), strict=True)
    ]
    assert {id(s) for _, s in pairs} == {id(p) for p in method.parameters() if p.requires_grad}
    with torch.no_grad():
        for _, student in pairs:
            student.add_(1)
    before = [teacher.clone() for teacher, _ in pairs]
    method.after_step(1, 4)
    share = 0.1 * (math.cos(math.pi / 4) + 1) / 2
    for (teacher, _), old in zip(pairs, before, strict=True):
        torch.testing.assert_close(teacher, old + share, atol=1e-5, rtol=1e-5)
    assert float(method.teacher_temperature) == pytest.approx((0.04 + 0.07) / 2)
    method.after_step(3, 4)
    assert float(method.teacher_temperature) == pytest.approx(0.07)
    assert not any(teacher.requires_grad for teacher, _ in pairs)
    method.after_step(4, 4)  # the encoder becomes the teacher
    for teacher, student in zip(
        method.teacher_body.parameters(), method.encoder.body.parameters(), strict=True
    ):
        assert torch.equal(teacher, student)


def test_teacher_sees_the_pixels_that_the_student_sees() -> None:
    method = dino("vit_tiny", n_small=0)
    method.encoder.set_normalisation([0.4], [0.2])
    x = torch.rand(2, 1, 24, 24)
    torch.testing.assert_close(method.teacher_body(method.encoder.normalised(x)), method.encoder(x))


@pytest.mark.parametrize(("channels", "side", "small"), [(1, 28, 16), (3, 32, 16), (3, 24, 12)])
def test_crops(channels: int, side: int, small: int) -> None:
    x = images(3, channels, side)
    crops = MultiCrop(AugmentConfig(), n_small=2)(x, torch.Generator().manual_seed(0))
    assert crops.large.shape == (6, channels, side, side)
    assert crops.small.shape == (6, channels, small, small) and small_side(224) == 112
    again = MultiCrop(AugmentConfig(), n_small=2)(x, torch.Generator().manual_seed(0))
    assert torch.equal(crops.large, again.large) and torch.equal(crops.small, again.small)
    same = MultiCrop(AugmentConfig())(x[:1].repeat(2, 1, 1, 1), torch.Generator().manual_seed(0))
    assert not torch.equal(same.large[0], same.large[1])  # each image its own draw


def test_blur_has_dinos_frequencies() -> None:
    """DINOv2's own transform blurs where it should not and the other way round."""
    crop = MultiCrop(AugmentConfig(blur=0.5))
    recipes = (*crop.large.recipes, *crop.small.recipes)
    assert [recipe.blur for recipe in recipes] == [1.0, 0.1, 0.5]
    assert [recipe.solarize for recipe in recipes] == [0.0, 0.2, 0.0]
    assert not any(recipe.blur for recipe in MultiCrop(AugmentConfig()).large.recipes)


def test_options_are_checked() -> None:
    with pytest.raises(ConfigError, match="momentum"):
        dino(momentum=1.0)

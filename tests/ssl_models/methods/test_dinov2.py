from __future__ import annotations

import math

import pytest
import torch

from ssl_models import AugmentConfig, build_backbone
from ssl_models.koleo import koleo
from ssl_models.methods import build_method
from ssl_models.methods.dinov2 import DINOv2
from ssl_models.sinkhorn import sinkhorn_knopp
from weaklight.errors import ConfigError


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_koleo_agrees_with_lightly() -> None:
    loss = pytest.importorskip("lightly.loss", reason="lightly is not installed")
    x = normal(9, 5)
    torch.testing.assert_close(koleo(x), loss.KoLeoLoss()(x), atol=1e-5, rtol=1e-5)


def test_koleo_by_hand() -> None:
    """East, north, west: nearest neighbours are sqrt(2) away."""
    x = torch.tensor([[2.0, 0.0], [0.0, 1.0], [-3.0, 0.0]])
    assert float(koleo(x)) == pytest.approx(-math.log(math.sqrt(2)), abs=1e-6)
    assert float(koleo(x[:1])) == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_koleo_is_finite_in_half_precision_with_a_duplicate(dtype: torch.dtype) -> None:
    """The authors' formula gives infinity here in fp16."""
    x = normal(6, 4).to(dtype)
    x[1] = x[0]
    x.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = koleo(x, 1e-4)
    (gradient,) = torch.autograd.grad(loss, x)
    assert loss.dtype == torch.float32 and torch.isfinite(loss) and torch.isfinite(gradient).all()


def test_koleo_finds_the_nearest_of_near_neighbours_under_autocast() -> None:
    """In bfloat16 their cosines are all 1, and any other row would pass for the nearest."""
    x = 1 + 0.02 * normal(24, 8)
    with torch.autocast("cpu", torch.bfloat16):
        loss = koleo(x)
    torch.testing.assert_close(loss, koleo(x), atol=0, rtol=0)


def test_sinkhorn_is_the_published_algorithm() -> None:
    logits, tau = normal(6, 4), 0.5
    q = torch.exp(logits.double() / tau).T
    q /= q.sum()
    for _ in range(3):
        q /= q.sum(1, keepdim=True)
        q /= 4
        q /= q.sum(0, keepdim=True)
        q /= 6
    torch.testing.assert_close(sinkhorn_knopp(logits, tau), (q * 6).T.float())


def test_sinkhorn_uses_prototypes_evenly_and_never_overflows() -> None:
    q = sinkhorn_knopp(normal(64, 8) + torch.arange(8), 0.5, iterations=50)
    torch.testing.assert_close(q.sum(0), torch.full((8,), 8.0), atol=1e-2, rtol=0)
    torch.testing.assert_close(q.sum(1), torch.ones(64))
    assert torch.isfinite(sinkhorn_knopp(100 * normal(5, 3), 0.04)).all()  # exp(2500) is not
    assert sinkhorn_knopp(normal(0, 3), 0.04).shape == (0, 3)


def method() -> DINOv2:
    torch.manual_seed(0)
    encoder = build_backbone("vit_tiny", channels=3, image_size=24, width=4)
    return DINOv2(encoder, AugmentConfig(), out_dim=16, n_small=1)


def test_heads_are_untied_and_every_teacher_part_follows() -> None:
    v2 = method()
    assert v2.patch_head is not v2.head and len(v2.pairs()) == 3
    images = torch.randint(0, 256, (4, 3, 24, 24), dtype=torch.uint8)
    loss, _ = v2(v2.views(images, torch.Generator().manual_seed(1)))
    loss.backward()
    learnt = [name for name, p in v2.named_parameters() if p.requires_grad]
    assert all(p.grad is not None for p in v2.parameters() if p.requires_grad)
    assert not any("teacher" in name for name in learnt)


def test_options_of_its_parents_are_its_own_and_others_are_errors() -> None:
    encoder = build_backbone("compact", channels=3, image_size=24, width=4)
    options = {"mask_crops": 0.25, "momentum": 0.9, "koleo_weight": 0.2}
    v2 = build_method("dinov2", encoder, AugmentConfig(), options)
    assert isinstance(v2, DINOv2)
    assert (v2.mask_crops, v2.momentum, v2.koleo_weight) == (0.25, 0.9, 0.2)
    assert len(v2.head.prototypes) == 1024
    with pytest.raises(ConfigError, match=r"takes \[.*'teacher_warmup'\], but \['options'\] came"):
        build_method("dinov2", encoder, AugmentConfig(), {"options": 1})


def test_koleo_never_meets_two_views_of_one_image() -> None:
    v2, first = method(), normal(4, 6)
    both = torch.cat([first, first])  # equal across views, far apart within one
    assert float(v2.regulariser(both)) == pytest.approx(
        2 * v2.koleo_weight * float(koleo(first, 1e-4)), rel=1e-5
    )

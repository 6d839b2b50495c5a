from __future__ import annotations

import pytest
import torch

from ssl_models import AugmentConfig, build_backbone
from ssl_models.ema import cosine_momentum
from ssl_models.methods.byol import BYOL, asymmetric, regression


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def byol(**options: float) -> BYOL:
    torch.manual_seed(0)
    encoder = build_backbone("compact", channels=1, image_size=24, width=8)
    return BYOL(encoder, AugmentConfig(gray=0.0), projection_dim=8, hidden_dim=16, **options)


def test_loss_by_hand() -> None:
    """Unit vectors at 0, 90 and 180 degrees: squared distances 0, 2 and 4, whatever the length."""
    p = torch.tensor([[3.0, 0.0], [3.0, 0.0], [3.0, 0.0]])
    z = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-5.0, 0.0]])
    assert float(regression(p, z)) == pytest.approx(2.0)


def test_agrees_with_lightly() -> None:
    losses = pytest.importorskip("lightly.loss", reason="lightly is not installed")
    p, z = normal(9, 5), normal(9, 5, seed=1)
    theirs = 2 + 2 * losses.NegativeCosineSimilarity()(p, z)
    torch.testing.assert_close(regression(p, z), theirs, atol=1e-5, rtol=1e-5)


def test_views_differ_as_in_the_paper() -> None:
    first, second = asymmetric(AugmentConfig(blur=0.5))
    assert (first.blur, second.blur) == (1.0, 0.1)
    assert (first.solarize, second.solarize) == (0.0, 0.2)
    assert all(config.blur == 0 for config in asymmetric(AugmentConfig(blur=0.0)))


def test_loss_is_symmetric() -> None:
    method = byol()
    a, b = torch.rand(8, 1, 24, 24), torch.rand(8, 1, 24, 24)
    one, other = method(torch.cat([a, b]))[0], method(torch.cat([b, a]))[0]
    torch.testing.assert_close(one, other)


def test_momentum_rises_to_one_step_by_step() -> None:
    values = [cosine_momentum(0.97, step, 100) for step in range(101)]
    assert values[0] == pytest.approx(0.97) and values[-1] == 1.0
    assert values[50] == pytest.approx(0.985) and values == sorted(values)
    assert len(set(values)) == 101  # a peer's schedule stands still for an epoch


def test_teacher_has_its_own_batch_statistics_and_no_gradient() -> None:
    method = byol(momentum=0.5)
    views = torch.rand(16, 1, 24, 24)
    method(views)[0].backward()
    assert all(p.grad is None for p in method.teacher.parameters())
    mine, theirs = method.encoder.body[0][1], method.teacher[0].body[0][1]
    assert theirs.training and int(theirs.num_batches_tracked) == 2
    before = theirs.running_mean.clone()
    with torch.no_grad():
        mine.bias += 1.0
        mine.running_mean += 1.0
    method.after_step(1, 10**9)
    assert torch.equal(theirs.running_mean, before)  # statistics do not follow,
    torch.testing.assert_close(theirs.bias, torch.full_like(theirs.bias, 0.5))  # weights do

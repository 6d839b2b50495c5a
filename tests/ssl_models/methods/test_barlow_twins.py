from __future__ import annotations

import pytest
import torch

from ssl_models.methods.barlow_twins import redundancy


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_two_dimensions_by_hand() -> None:
    """Equal views, and two dimensions that repeat each other: only the two off-diagonal ones."""
    z = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]])
    assert float(redundancy(z, z, 0.1)) == pytest.approx(0.0, abs=1e-8)
    assert float(redundancy(z.repeat(1, 2), z.repeat(1, 2), 0.1)) == pytest.approx(0.2, rel=1e-4)
    assert float(redundancy(z, -z, 0.1)) == pytest.approx(4.0, rel=1e-4)  # (1 - -1)^2


@pytest.mark.parametrize("weight", [0.005, 0.1])
def test_agrees_with_lightly(weight: float) -> None:
    losses = pytest.importorskip("lightly.loss", reason="lightly is not installed")
    a, b = 3 * normal(16, 7) + 1, normal(16, 7, seed=1)
    theirs = losses.BarlowTwinsLoss(lambda_param=weight)(a, b)
    torch.testing.assert_close(redundancy(a, b, weight), theirs, atol=1e-5, rtol=1e-5)


def test_noise_costs_what_the_docstring_says() -> None:
    a, b = normal(64, 128), normal(64, 128, seed=1)
    expected = 128 * (1 + 1 / 64 + 0.005 * 127 / 64)
    assert float(redundancy(a, b, 0.005)) == pytest.approx(expected, rel=0.1)


def test_constant_embeddings_have_a_finite_gradient() -> None:
    z = torch.ones(8, 4, dtype=torch.bfloat16, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        loss = redundancy(z, z, 0.005)
    loss.backward()
    assert loss.dtype == torch.float32 and bool(z.grad.isfinite().all())

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from ssl_models import AugmentConfig, build_backbone
from ssl_models.methods import SimCLR, build_method, nt_xent
from ssl_models.methods.base import register_method
from weaklight.errors import ConfigError


def normal(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def test_two_images_by_hand() -> None:
    """Views coincide, images are orthogonal: every anchor sees e^(1/t) against 2 of e^0."""
    z = torch.eye(2)
    expected = -math.log(math.exp(2) / (math.exp(2) + 2))
    assert float(nt_xent(z, z, 0.5)) == pytest.approx(expected, rel=1e-6)


def test_literal_transcription_of_equation_1() -> None:
    a, b, tau = normal(5, 3), normal(5, 3, 1), 0.3
    z = F.normalize(torch.cat([a, b]).double(), dim=1)
    total = 0.0
    for i in range(10):
        j = (i + 5) % 10
        similarity = [float(z[i] @ z[k]) / tau for k in range(10)]
        below = sum(math.exp(similarity[k]) for k in range(10) if k != i)
        total += -math.log(math.exp(similarity[j]) / below)
    assert float(nt_xent(a, b, tau)) == pytest.approx(total / 10, rel=1e-5)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
@pytest.mark.parametrize("n", [2, 33])
def test_agrees_with_lightly(n: int, temperature: float) -> None:
    loss = pytest.importorskip("lightly.loss", reason="lightly is not installed")
    a, b = normal(n, 16), normal(n, 16, 1)
    theirs = loss.NTXentLoss(temperature=temperature)(a, b)
    torch.testing.assert_close(nt_xent(a, b, temperature), theirs, atol=1e-5, rtol=1e-5)


def test_half_precision_and_low_temperature_stay_finite() -> None:
    z = normal(8, 16).to(torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        loss = nt_xent(z, z, 0.005)
    assert loss.dtype == torch.float32 and 0 <= float(loss) < 1e-3


def test_gradient_is_that_of_finite_differences() -> None:
    a, b = normal(4, 3).requires_grad_(), normal(4, 3, 1)

    def loss(x: torch.Tensor) -> torch.Tensor:
        return nt_xent(x, b, 0.5)

    (gradient,) = torch.autograd.grad(loss(a), a)
    step = torch.zeros_like(a)
    step[1, 2] = 1e-2
    with torch.no_grad():
        slope = (loss(a + step) - loss(a - step)) / 2e-2
    torch.testing.assert_close(gradient[1, 2], slope, atol=1e-3, rtol=1e-2)


def test_a_step_lowers_the_loss_on_its_own_batch() -> None:
    torch.manual_seed(0)
    encoder = build_backbone("compact", channels=1, image_size=16, width=8)
    method = SimCLR(encoder, AugmentConfig(gray=0.0))
    images = torch.randint(0, 256, (16, 1, 16, 16), dtype=torch.uint8)
    optimiser = torch.optim.Adam(method.parameters(), lr=1e-2)
    losses = []
    for _ in range(15):
        views = method.views(images, torch.Generator().manual_seed(0))
        loss, h = method(views)
        assert views.shape == (32, 1, 16, 16) and h.shape == (32, encoder.dim)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(math.log(31), abs=2.5) and losses[-1] < 0.3 * losses[0]


def test_projector_normalises_every_layer_and_has_no_last_bias() -> None:
    method = SimCLR(build_backbone("compact", channels=1, image_size=16, width=8), AugmentConfig())
    kinds = [type(layer).__name__ for layer in method.projector]
    assert kinds == ["Linear", "GlobalBatchNorm", "ReLU", "Linear", "GlobalBatchNorm"]
    assert all(layer.bias is None for layer in method.projector if type(layer).__name__ == "Linear")


def test_unknown_method_and_option_are_named() -> None:
    encoder = build_backbone("compact", channels=1, image_size=16, width=8)
    with pytest.raises(ConfigError, match="simclr"):
        build_method("simcrl", encoder, AugmentConfig(), {})
    with pytest.raises(ConfigError, match="temprature"):
        build_method("simclr", encoder, AugmentConfig(), {"temprature": 0.1})


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ConfigError, match="already"):
        register_method("simclr")(SimCLR)

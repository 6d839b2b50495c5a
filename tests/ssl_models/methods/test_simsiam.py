from __future__ import annotations

import pytest
import torch

from ssl_models import AugmentConfig, build_backbone
from ssl_models.methods.simsiam import SimSiam, negative_cosine


def simsiam() -> SimSiam:
    torch.manual_seed(0)
    encoder = build_backbone("compact", channels=1, image_size=24, width=8)
    return SimSiam(encoder, AugmentConfig(gray=0.0), projection_dim=16, bottleneck_dim=4)


def test_loss_by_hand() -> None:
    p, z = torch.tensor([[3.0, 0.0], [3.0, 4.0]]), torch.tensor([[2.0, 0.0], [1.0, 0.0]])
    assert float(negative_cosine(p, z)) == pytest.approx(-(1 + 0.6) / 2)


def test_agrees_with_lightly() -> None:
    losses = pytest.importorskip("lightly.loss", reason="lightly is not installed")
    generator = torch.Generator().manual_seed(0)
    p, z = torch.randn(2, 9, 5, generator=generator)
    theirs = losses.NegativeCosineSimilarity()(p, z)
    torch.testing.assert_close(negative_cosine(p, z), theirs, atol=1e-5, rtol=1e-5)


def test_gradient_is_that_of_the_predictions_alone() -> None:
    method = simsiam()
    views = torch.rand(16, 1, 24, 24)
    method(views)[0].backward()
    name = "projector.0.weight"
    ours = dict(method.named_parameters())[name].grad.clone()
    fixed = [method.projector(method.encoder(v)).detach() for v in views.chunk(2)]
    method.zero_grad()
    p1, p2 = (method.predictor(method.projector(method.encoder(v))) for v in views.chunk(2))
    ((negative_cosine(p1, fixed[1]) + negative_cosine(p2, fixed[0])) / 2).backward()
    torch.testing.assert_close(ours, dict(method.named_parameters())[name].grad)


def test_output_norm_has_no_scale_of_its_own() -> None:
    method = simsiam()
    z = method.projector(torch.randn(64, method.encoder.dim))
    torch.testing.assert_close(z.mean(0), torch.zeros(16), atol=1e-5, rtol=0)
    assert not any(p.requires_grad for p in method.projector[-1].parameters())
    assert isinstance(method.predictor[-1], torch.nn.Linear)  # no norm on the predictions

from __future__ import annotations

import math

import pytest
import torch

from ssl_models import AugmentConfig, build_backbone
from ssl_models.methods.swav import SwAV, swapped_prediction
from ssl_models.sinkhorn import sinkhorn_knopp

IMAGES = torch.randint(
    0, 256, (8, 1, 24, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)


def swav(**options: object) -> SwAV:
    torch.manual_seed(0)
    encoder = build_backbone("compact", channels=1, image_size=24, width=8)
    small = {"n_prototypes": 6, "projection_dim": 8, "hidden_dim": 16, "queue_size": 12}
    return SwAV(encoder, AugmentConfig(gray=0.0), **{**small, **options})


def run(method: SwAV, step: int = 1) -> torch.Tensor:
    loss, _ = method(method.views(IMAGES, torch.Generator().manual_seed(step)))
    loss.backward()
    return loss.detach()


def test_loss_by_hand() -> None:
    """Two prototypes, equal scores: each prediction is 1/2, so every pair costs ln 2."""
    scores, codes = [torch.zeros(3, 2)] * 3, [torch.tensor([[1.0, 0.0]] * 3)] * 2
    assert float(swapped_prediction(scores, codes, 0.1)) == pytest.approx(math.log(2))


@pytest.mark.parametrize("n_local", [0, 2])
def test_agrees_with_lightly(n_local: int) -> None:
    losses = pytest.importorskip("lightly.loss", reason="lightly is not installed")
    generator = torch.Generator().manual_seed(0)
    scores = [torch.rand(8, 5, generator=generator) * 2 - 1 for _ in range(2 + n_local)]
    codes = [sinkhorn_knopp(score, 0.05) for score in scores[:2]]
    theirs = losses.SwaVLoss()(scores[:2], scores[2:]).squeeze()
    torch.testing.assert_close(swapped_prediction(scores, codes, 0.1), theirs, atol=1e-5, rtol=1e-5)


def test_prototypes_stand_still_then_move_and_stay_unit() -> None:
    method = swav(freeze=0.2)
    run(method)
    assert float(method.prototypes.grad.abs().max()) == 0
    method.after_step(1, 10)
    assert float(method.open) == 0
    method.after_step(2, 10)
    method.zero_grad()
    run(method, 2)
    assert float(method.prototypes.grad.abs().max()) > 0
    with torch.no_grad():
        method.prototypes *= 3
    method.after_step(3, 10)
    torch.testing.assert_close(method.prototypes.norm(dim=1), torch.ones(6))


def test_queue_takes_part_once_full() -> None:
    plain, queued = swav(queue_size=0), swav()
    for step in (1, 2):
        torch.testing.assert_close(run(plain, step), run(queued, step))
        plain.after_step(step, 100)
        queued.after_step(step, 100)
    assert all(queue.is_full for queue in queued.queues)
    assert not torch.isclose(run(plain, 3), run(queued, 3))


def test_small_views_are_half_the_side_and_join_the_loss() -> None:
    method = swav(n_local=3)
    whole, parts = method.views(IMAGES, torch.Generator().manual_seed(0))
    assert whole.shape == (16, 1, 24, 24) and parts.shape == (24, 1, 12, 12)
    loss, h = method((whole, parts))
    assert h.shape == (16, method.encoder.dim) and torch.isfinite(loss)

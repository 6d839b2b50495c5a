"""The peer of the speed measurements does the work that it stands for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

lightly_recipes = pytest.importorskip("benchmarks.lightly_recipes", reason="lightly is optional")

from ssl_models import build_backbone  # noqa: E402
from weaklight.seeds import preserve_global_rng  # noqa: E402


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("method", sorted(lightly_recipes.RECIPES))
def test_a_step_trains_the_student_and_moves_the_teacher(method: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3), dtype=np.uint8)
    with preserve_global_rng():
        torch.manual_seed(0)
        backbone = build_backbone("compact", channels=3, image_size=32, width=4)
        peer = lightly_recipes.recipe(method, backbone.body, backbone.dim, 32).train()
        views = next(lightly_recipes.loader(peer, pixels, 8, workers=0))
        n_small = lightly_recipes.N_SMALL if method == "dino" else 0
        assert [tuple(view.shape) for view in views] == [
            *[(8, 3, 32, 32)] * 2,
            *[(8, 3, 16, 16)] * n_small,
        ]
        optimiser, first = peer.optimiser(), next(backbone.body.parameters())
        before = first.detach().clone()
        peer(views).backward()
        optimiser.step()
        assert not torch.equal(first, before)
        if hasattr(peer, "teacher"):
            follower = next(peer.teacher.parameters())
            assert follower.grad is None and torch.equal(follower, before)
            peer.before_step()
            torch.testing.assert_close(follower, before.lerp(first, 0.01))

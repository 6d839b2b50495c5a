from __future__ import annotations

import math

import pytest
import torch

from ssl_models.monitor import measure, measure_assignments, spread, verdict
from weaklight.errors import DataError


def normal(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def test_rank_of_three_equal_directions_is_three() -> None:
    corners = torch.cat([torch.eye(3), -torch.eye(3)])  # centred, singular values all sqrt(2)
    health = measure(torch.nn.functional.pad(corners, (0, 5)))
    assert health.rank == pytest.approx(3, abs=1e-4)
    assert health.rank_cap == 5 and health.rank_share == pytest.approx(3 / 5, abs=1e-4)


def test_uniformity_of_two_opposite_points_by_hand() -> None:
    health = measure(torch.tensor([[1.0, 0.0], [-2.0, 0.0]]))
    assert health.uniformity == pytest.approx(math.log(math.exp(-8)))  # squared distance 4
    assert health.std == pytest.approx(0.5 * math.sqrt(2))  # 1 in one dimension, 0 in the other


def test_normal_embeddings_are_healthy() -> None:
    views = normal(256, 64)
    health = measure(torch.cat([views, views + 0.3 * normal(256, 64, 1)]), n_views=2)
    assert health.std == pytest.approx(1, abs=0.02)
    assert health.rank_share > 0.8 and health.alignment is not None and health.alignment < 0.2
    assert verdict(health).startswith("Healthy")


def test_constant_embeddings_are_collapsed() -> None:
    health = measure(torch.ones(256, 64) + 1e-4 * normal(256, 64))
    assert health.std < 0.01
    assert verdict(health).startswith("Collapsed") and "lr" in verdict(health)
    exact = measure(torch.ones(32, 8))
    assert exact.rank == 0 and exact.std == pytest.approx(0, abs=1e-5)


def test_two_directions_of_sixty_four_are_partly_collapsed() -> None:
    flat = normal(256, 2) @ normal(2, 64, 1)
    health = measure(flat)
    assert health.rank == pytest.approx(2, abs=0.1)
    assert verdict(health).startswith("Partly collapsed")


def test_views_that_do_not_match_are_not_learnt() -> None:
    health = measure(torch.cat([normal(256, 64), normal(256, 64, 1)]), n_views=2)
    assert health.alignment == pytest.approx(1, abs=0.05)
    assert verdict(health).startswith("Not learning")


def test_few_rows_are_judged_by_their_own_cap() -> None:
    """16 rows span at most 15 directions: as healthy as they can be, whatever d is."""
    health = measure(normal(16, 512))
    assert health.rank_cap == 15 and health.rank_share > 0.9


def test_scale_of_a_row_does_not_matter() -> None:
    x = normal(64, 16)
    assert measure(x * torch.rand(64, 1).add(0.5)).std == pytest.approx(measure(x).std, abs=1e-5)


def test_views_must_share_out_the_rows() -> None:
    with pytest.raises(DataError, match="V = 2"):
        measure(normal(5, 4), n_views=2)


def test_use_of_prototypes_by_hand() -> None:
    """Two certain rows on two of four prototypes; then rows that say nothing."""
    certain = measure_assignments(torch.eye(4)[[0, 1]])
    assert float(certain["teacher_entropy"]) == 0
    assert float(certain["prototypes_used"]) == pytest.approx(2)
    silent = measure_assignments(torch.full((3, 4), 0.25))
    assert float(silent["teacher_entropy"]) == pytest.approx(1)
    assert float(silent["prototypes_used"]) == pytest.approx(4)


def test_a_teacher_that_gives_one_answer_or_none_is_found() -> None:
    health = measure(normal(64, 16))
    assert verdict(health, {"prototypes_used": 1.0}).startswith("Collapsed to one prototype")
    of_patches = {"prototypes_used": 40.0, "patch_prototypes_used": 1.0}
    assert verdict(health, of_patches).startswith("Collapsed to one prototype of patches")
    assert verdict(health, {"teacher_entropy": 1.0}).startswith("Not learning")
    assert verdict(health, {"teacher_entropy": 0.9, "prototypes_used": 40}).startswith("Healthy")


def test_projections_that_all_agree_are_found_above_a_spread_encoder() -> None:
    assert float(spread(torch.tensor([[3.0, 0.0], [0.0, 1.0]]))) == pytest.approx(0.5 * 2**0.5)
    health = measure(normal(64, 16))
    assert verdict(health, {"projection_std": 0.9}).startswith("Healthy")
    assert verdict(health, {"projection_std": 0.02}).startswith("Collapsed: all images get nearly")

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ssl_models import AugmentConfig, build_backbone
from ssl_models.methods.jigsaw import Jigsaw, permutation_set, place_tiles
from ssl_models.patches import cut


def planted(channels: int = 1, **options: float) -> Jigsaw:
    torch.manual_seed(0)
    encoder = build_backbone("compact", channels=channels, image_size=32, width=8).eval()
    return Jigsaw(encoder, AugmentConfig.identity(), n_orders=12, tile_dim=8, **options).eval()


def test_each_order_is_the_farthest_of_all_there_are() -> None:
    """Algorithm 1 over all 120 orders of five tiles, in plain Python."""
    orders = [tuple(row) for row in permutation_set(5, 10).tolist()]
    everyone = list(permutations(range(5)))

    def nearest(order: tuple[int, ...], chosen: list[tuple[int, ...]]) -> int:
        return min(sum(a != b for a, b in zip(order, other, strict=True)) for other in chosen)

    for n in range(1, 10):
        farthest = max(nearest(order, orders[:n]) for order in everyone)
        assert nearest(orders[n], orders[:n]) == farthest


def test_the_orders_of_nine_tiles_are_far_apart_and_fixed() -> None:
    orders = permutation_set(9, 100)
    assert np.array_equal(np.sort(orders, 1), np.tile(np.arange(9), (100, 1)))
    assert np.array_equal(orders, permutation_set(9, 100))
    distance = (orders[:, None] != orders[None]).sum(2)[np.triu_indices(100, 1)]
    assert distance.min() == 6  # of 100 random ones some pairs differ in 3 places alone


def test_the_label_names_the_order_of_the_tiles() -> None:
    """Each of nine cells is a ramp in a direction of its own, which outlives the standardising."""
    angles = torch.arange(9) * 2 * math.pi / 9
    y, x = torch.meshgrid(torch.arange(10.0), torch.arange(10.0), indexing="ij")
    image = torch.full((32, 32), 128.0)
    for cell, angle in enumerate(angles):
        ramp = 128 + 12 * ((y - 4.5) * angle.sin() + (x - 4.5) * angle.cos())
        image[cell // 3 * 10 : cell // 3 * 10 + 10, cell % 3 * 10 : cell % 3 * 10 + 10] = ramp
    method = planted(grid=3)
    tiles, label = method.views(
        image.to(torch.uint8).expand(300, 1, 32, 32), torch.Generator().manual_seed(0)
    )
    down = (tiles[..., 1:, :] - tiles[..., :-1, :]).mean((2, 3, 4))  # (300, 9)
    right = (tiles[..., 1:] - tiles[..., :-1]).mean((2, 3, 4))
    cell = (torch.atan2(down, right) / (2 * math.pi / 9)).round().long() % 9
    assert torch.equal(cell, method.orders[label])
    assert len(label.unique()) == 12  # every order occurs


@pytest.mark.parametrize(("grid", "tile"), [(2, 14), (3, 9)])
def test_tiles_lie_anywhere_in_their_cells(grid: int, tile: int) -> None:
    """A tile leaves an eighth of its cell."""
    cells, down, right = grid**2, 32 // grid, 40 // grid
    y, x = torch.meshgrid(torch.arange(32), torch.arange(40), indexing="ij")
    uniforms = torch.rand(200, 2 * cells, generator=torch.Generator().manual_seed(0))
    tops, lefts, size = place_tiles(32, 40, grid, uniforms)
    tiles = cut(torch.stack([y, x]).expand(200, 2, 32, 40), tops, lefts, size)
    corner = tiles[..., 0, 0]  # (200, cells, 2)
    inside = corner - torch.tensor([[i // grid * down, i % grid * right] for i in range(cells)])
    assert size == tile
    free = down - tile
    assert inside.amin((0, 1)).tolist() == [0, 0] and inside.amax((0, 1)).tolist() == [free, free]


def test_four_tiles_have_all_their_orders() -> None:
    encoder = build_backbone("compact", channels=1, image_size=32, width=8)
    orders = {tuple(row) for row in Jigsaw(encoder, AugmentConfig.identity()).orders.tolist()}
    assert orders == set(permutations(range(4)))


def test_two_thirds_of_the_images_come_without_colour() -> None:
    images = torch.randint(0, 256, (2000, 3, 32, 32), dtype=torch.uint8)
    method = planted(3)
    assert method.gray == 0.66  # vissl's jigsaw_8gpu_resnet.yaml
    tiles, _ = method.views(images, torch.Generator().manual_seed(0))
    is_gray = (tiles[:, :, :1] - tiles).abs().amax((2, 3, 4)) < 1e-4  # (2000, 4)
    assert torch.equal(is_gray.all(1), is_gray.any(1))  # an image's tiles alike
    assert abs(float(is_gray.float().mean()) - 0.66) < 0.03


def test_tiles_carry_neither_brightness_nor_contrast() -> None:
    method = planted(3, gray=0.0)
    method.encoder.set_normalisation([0.5, 0.4, 0.3], [0.2, 0.25, 0.3])
    images = torch.randint(60, 120, (5, 3, 32, 32), dtype=torch.uint8)
    tiles, _ = method.views(images, torch.Generator().manual_seed(0))
    seen = (tiles - method.encoder.mean) / method.encoder.std
    torch.testing.assert_close(seen.mean((3, 4)), torch.zeros(5, 4, 3), atol=1e-4, rtol=0)
    torch.testing.assert_close(
        seen.std((3, 4), correction=0), torch.ones(5, 4, 3), atol=1e-3, rtol=0
    )


def test_loss_by_hand() -> None:
    """Each tile meets the encoder alone; all are joined in the order in which they came."""
    method = planted()
    tiles, label = torch.rand(4, 4, 1, 14, 14), torch.tensor([3, 0, 11, 7])
    loss, _ = method((tiles, label))
    joined = torch.cat([method.tile(method.encoder(tiles[:, place])) for place in range(4)], 1)
    torch.testing.assert_close(loss, F.cross_entropy(method.classifier(joined), label))


def test_every_weight_of_the_encoder_learns() -> None:
    """Of a smaller tile a map of one place is left, and only the middle of a filter sees it."""
    method = planted().train()
    images = torch.randint(0, 256, (8, 1, 32, 32), dtype=torch.uint8)
    loss, _ = method(method.views(images, torch.Generator().manual_seed(0)))
    loss.backward()
    for parameter in method.encoder.parameters():
        assert parameter.grad is not None and (parameter.grad != 0).float().mean() > 0.9

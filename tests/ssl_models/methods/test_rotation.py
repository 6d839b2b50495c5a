from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ssl_models import AugmentConfig, build_backbone
from ssl_models.methods.rotation import Rotation, four_rotations


def test_pixels_move_and_do_not_change() -> None:
    """Exactly those of numpy: interpolation would give the answer away."""
    images = torch.rand(3, 2, 5, 5, generator=torch.Generator().manual_seed(0))
    turned = four_rotations(images)
    expected = [np.rot90(images.numpy(), turns, (2, 3)) for turns in range(4)]
    assert torch.equal(turned, torch.from_numpy(np.concatenate(expected)))


def test_of_an_oblong_image_the_middle_square_is_turned() -> None:
    images = torch.arange(2.0 * 6).view(1, 1, 2, 6)
    assert four_rotations(images)[:2, 0].tolist() == [[[2, 3], [8, 9]], [[3, 9], [2, 8]]]


def test_an_image_is_drawn_once_and_then_turned() -> None:
    encoder = build_backbone("compact", channels=1, image_size=24, width=8)
    images = torch.randint(0, 256, (3, 1, 24, 24), dtype=torch.uint8)
    views = Rotation(encoder, AugmentConfig()).views(images, torch.Generator().manual_seed(0))
    assert torch.equal(views, four_rotations(views[:3]))


def test_one_batch_holds_every_turn_of_every_image_under_its_label() -> None:
    torch.manual_seed(0)
    encoder = build_backbone("compact", channels=1, image_size=24, width=8).eval()
    method = Rotation(encoder, AugmentConfig.identity(), hidden_dim=16).eval()
    images = torch.randint(0, 256, (3, 1, 24, 24), dtype=torch.uint8)
    views = method.views(images, torch.Generator())
    torch.testing.assert_close(views, four_rotations(images / 255), atol=1e-5, rtol=0)
    loss, h = method(views)
    by_hand = [
        F.cross_entropy(
            method.classifier(encoder((image[None] / 255).rot90(turns, (2, 3)))),
            torch.tensor([turns]),
        )
        for image in images
        for turns in range(4)
    ]
    assert loss.item() == pytest.approx(float(torch.stack(by_hand).mean().detach()), rel=1e-4)
    torch.testing.assert_close(h, encoder(images / 255), atol=1e-4, rtol=1e-4)

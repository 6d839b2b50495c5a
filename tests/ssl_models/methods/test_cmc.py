from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from ssl_models import AugmentConfig, build_backbone
from ssl_models.augment import LUMA
from ssl_models.methods.cmc import CMC, cross_view_nce, split_colour
from weaklight.errors import ConfigError


def test_loss_by_hand() -> None:
    expected = -2 * math.log(math.exp(2) / (math.exp(2) + 1))
    assert float(cross_view_nce(torch.eye(2), torch.eye(2), 0.5)) == pytest.approx(expected)


def test_rows_of_one_view_never_meet() -> None:
    """All first views coincide: the loss does not see it, where NT-Xent would."""
    a, b = torch.ones(4, 3), torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    logits = F.normalize(a, dim=1) @ F.normalize(b, dim=1).T / 0.5
    own = torch.arange(4)
    expected = F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)
    torch.testing.assert_close(cross_view_nce(a, b, 0.5), expected)


def test_brightness_has_no_colour_and_colour_no_brightness() -> None:
    images = torch.rand(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    luma, colour = split_colour(images)
    assert torch.equal(luma[:, 0], luma[:, 2])
    weighted = torch.einsum("c,bchw->bhw", torch.tensor(LUMA), colour)
    torch.testing.assert_close(weighted, torch.full_like(weighted, 0.5))
    torch.testing.assert_close(luma + colour - 0.5, images)  # nothing is lost


def test_gray_images_are_refused() -> None:
    encoder = build_backbone("compact", channels=1, image_size=24, width=8)
    with pytest.raises(ConfigError, match="3 channels"):
        CMC(encoder, AugmentConfig())

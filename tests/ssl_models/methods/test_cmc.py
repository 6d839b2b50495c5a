from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from ssl_models import AugmentConfig, build_backbone
from ssl_models.augment import LUMA
from ssl_models.methods.cmc import CMC, cross_view_nce
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


def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(30, 220, (6, 3, 24, 24), dtype=torch.uint8, generator=generator)


def trained(steps: int, **options: object) -> CMC:
    torch.manual_seed(0)
    encoder = build_backbone("compact", channels=3, image_size=24, width=8)
    encoder.set_normalisation([0.5, 0.4, 0.3], [0.2, 0.25, 0.3])
    method = CMC(encoder, AugmentConfig(), projection_dim=8, **options)
    method.begin(6)
    optimiser = torch.optim.AdamW(method.parameters(), 1e-2)
    generator = torch.Generator().manual_seed(0)
    for step in range(steps):
        loss, _ = method(method.views(images(), generator))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        method.after_step(step + 1, steps)
    return method


def test_one_half_holds_the_brightness_and_the_other_the_colour() -> None:
    """After optimiser steps too: what is kept must see whole images as it saw the two views."""
    encoder, x = trained(3).encoder.eval(), images() / 255
    chroma = torch.randn(x.shape, generator=torch.Generator().manual_seed(1)) * 0.1
    chroma -= torch.einsum("c,bchw->bhw", torch.tensor(LUMA), chroma)[:, None]
    luma, colour = encoder(x).chunk(2, 1)
    luma_too, other_colour = encoder(x + chroma).chunk(2, 1)
    other_luma, colour_too = encoder(x + 0.2 * x[:, :1].roll(1, 0)).chunk(2, 1)
    torch.testing.assert_close(luma_too, luma, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(colour_too, colour, atol=1e-3, rtol=1e-3)
    assert not torch.allclose(other_colour, colour, atol=1e-2)
    assert not torch.allclose(other_luma, luma, atol=1e-2)


def test_each_half_has_a_head_of_its_own() -> None:
    method = trained(1, temperature=0.2)
    loss, h = method(images() / 255)
    luma, colour = h.split(method.encoder.dim // 2, 1)
    expected = cross_view_nce(method.luma_head(luma), method.colour_head(colour), 0.2)
    torch.testing.assert_close(loss, expected)


def test_gray_images_are_refused() -> None:
    encoder = build_backbone("compact", channels=1, image_size=24, width=8)
    with pytest.raises(ConfigError, match="3 channels"):
        CMC(encoder, AugmentConfig())


def test_backbones_that_would_mix_the_halves_are_refused() -> None:
    encoder = build_backbone("vit_tiny", channels=3, image_size=24, width=16)
    with pytest.raises(ConfigError, match="ungrouped convolutions"):
        CMC(encoder, AugmentConfig())

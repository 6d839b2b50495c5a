"""Whitening against the linear algebra that it is."""

from __future__ import annotations

import torch

from ssl_models.whitening import SHRINKAGE, Whitening


def test_correlations_shrink_as_stated_and_each_dimension_varies_alike() -> None:
    """Two dimensions of correlation r: the sum's variance is (1 + r) / (1 + (1 - SHRINKAGE) r)."""
    r = 0.8
    generator = torch.Generator().manual_seed(0)
    drawn = torch.linalg.qr(torch.randn(1000, 3, generator=generator))[0]
    drawn = torch.linalg.qr(drawn - drawn.mean(dim=0))[0] * 1000**0.5  # exactly white
    a, b = drawn[:, 0], r * drawn[:, 0] + (1 - r**2) ** 0.5 * drawn[:, 1]
    features = torch.stack([3.0 + 100 * a, -b, torch.full_like(a, 7.0)], dim=1)
    whitening = Whitening.fitted(features)
    white = whitening(features)
    torch.testing.assert_close(white.mean(dim=0), torch.zeros(3), atol=1e-4, rtol=0)
    assert white[:, 2].abs().max() < 1e-4  # never varies: stays, and is not divided by zero
    x, y = white[:, 0], -white[:, 1]
    kept = (1 - SHRINKAGE) * r
    for sign in (1, -1):
        direction = (x + sign * y) / 2**0.5
        expected = (1 + sign * r) / (1 + sign * kept)
        torch.testing.assert_close(
            direction.square().mean(), torch.tensor(expected), rtol=1e-3, atol=0
        )
    torch.testing.assert_close(whitening.undone(white), features, rtol=1e-4, atol=1e-3)

from __future__ import annotations

import pytest
import torch

from ssl_models import AugmentConfig, build_backbone
from ssl_models.methods.context_encoder import ContextEncoder, hole_weights


def test_the_authors_hole_by_hand() -> None:
    """Of 128 px: a hole of 64 whose outer 4 px are seen, predicted and weigh ten times as much."""
    weights = hole_weights(torch.tensor([[0.0, 0.999], [0.5, 0.0]]), 128, 128)
    expected = torch.zeros(2, 1, 128, 128)
    expected[0, 0, :64, 64:] = 10
    expected[0, 0, 4:60, 68:124] = 1
    expected[1, 0, 32:96, :64] = 10
    expected[1, 0, 36:92, 4:60] = 1
    assert torch.equal(weights, expected)


def test_the_hole_lies_anywhere_and_its_rim_shrinks_with_the_image() -> None:
    uniforms = torch.rand(500, 2, generator=torch.Generator().manual_seed(0))
    weights = hole_weights(uniforms, 32, 40)[:, 0]
    assert (weights > 0).sum((1, 2)).unique().tolist() == [16 * 20]
    assert (weights == 1).sum((1, 2)).unique().tolist() == [14 * 18]  # 4 of 128 px is 1 of 32
    tops = (weights > 0).any(2).int().argmax(1)
    lefts = (weights > 0).any(1).int().argmax(1)
    assert sorted(tops.unique().tolist()) == list(range(17))
    assert sorted(lefts.unique().tolist()) == list(range(21))


def test_loss_by_hand_and_what_the_encoder_sees() -> None:
    """The mean colour inside the hole, the image on the rim and around it."""
    torch.manual_seed(0)
    encoder = build_backbone("compact", channels=3, image_size=32, width=8).eval()
    mean, std = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.25, 0.3])
    encoder.set_normalisation(mean.tolist(), std.tolist())
    method = ContextEncoder(encoder, AugmentConfig.identity()).eval()
    seen: list[torch.Tensor] = []
    encoder.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    whole = torch.rand(2, 3, 32, 32)
    weights = hole_weights(torch.tensor([[0.2, 0.7], [0.9, 0.1]]), 32, 32)
    loss, h = method((whole, weights))
    painting = method.decoder(h) * std.view(3, 1, 1) + mean.view(3, 1, 1)
    total, n = 0.0, 0.0
    for i in range(2):
        for y in range(32):
            for x in range(32):
                weight = weights[i, 0, y, x].item()
                expected = mean if weight == 1 else whole[i, :, y, x]
                assert torch.equal(seen[0][i, :, y, x], expected)
                error = ((painting[i, :, y, x] - whole[i, :, y, x]) / std).square().mean()
                total, n = total + weight * error.item(), n + weight
    assert loss.item() == pytest.approx(total / n, rel=1e-4)

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ssl_models import AugmentConfig, build_backbone
from ssl_models.methods.relative_patch import RelativePatch, drop_colours, place_pairs
from ssl_models.patches import cut

# As figure 2 of the paper numbers them, from the upper left to the lower right.
STEPS = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)]


def planted(side: int, channels: int = 1) -> RelativePatch:
    torch.manual_seed(0)
    encoder = build_backbone("compact", channels=channels, image_size=side, width=8).eval()
    return RelativePatch(encoder, AugmentConfig.identity()).eval()


@pytest.mark.parametrize(("height", "width"), [(32, 32), (24, 40), (96, 96)])
def test_the_label_says_where_the_second_patch_lies(height: int, width: int) -> None:
    """Pixels hold their place. Neighbours are near and never touch, and no corner is left out."""
    uniforms = torch.rand(4000, 5, generator=torch.Generator().manual_seed(0))
    tops, lefts, size, side = place_pairs(height, width, uniforms)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = cut(torch.stack([y, x]).expand(4000, 2, height, width), tops, lefts, size)
    corners = places[..., 0, 0]  # (4000, 2, 2)
    step, asked = corners[:, 1] - corners[:, 0], torch.tensor(STEPS)[side]
    jitter = max(1, round(size * 7 / 96))
    gap = (step * asked)[asked != 0] - size
    assert gap.min() > 0 and gap.max() - gap.min() == 2 * jitter
    assert size == min(height, width) * 7 // 16
    assert step[asked == 0].abs().max() == jitter
    share = torch.bincount(side) / len(side)
    assert share.min() > 0.1 and share.max() < 0.15
    assert corners.amin((0, 1)).tolist() == [0, 0]
    assert corners.amax((0, 1)).tolist() == [height - size, width - size]


def test_loss_by_hand_over_both_orders() -> None:
    method = planted(32)
    pairs, side = torch.rand(6, 2, 1, 14, 14), torch.tensor([0, 1, 2, 3, 4, 7])
    loss, h = method((pairs, side))
    a, b = method.encoder(pairs[:, 0]), method.encoder(pairs[:, 1])
    opposite = [STEPS.index((-dy, -dx)) for dy, dx in STEPS]
    forth = F.cross_entropy(method.classifier(torch.cat([a, b], 1)), side)
    back = F.cross_entropy(
        method.classifier(torch.cat([b, a], 1)), torch.tensor([opposite[s] for s in side])
    )
    torch.testing.assert_close(loss, (forth + back) / 2)
    torch.testing.assert_close(h, a)


def test_one_channel_stays_and_noise_fills_the_others() -> None:
    generator = torch.Generator().manual_seed(0)
    patches = torch.rand(3000, 3, 8, 8, generator=generator)
    out = drop_colours(patches, torch.rand(3000, 2 + 3 * 64, generator=generator), 0.4)
    same = (out == patches).all((2, 3))  # (3000, 3)
    dropped = ~same.all(1)
    assert abs(float(dropped.float().mean()) - 0.4) < 0.03
    assert torch.equal(same[dropped].sum(1), torch.ones(int(dropped.sum()), dtype=torch.int64))
    kept = same[dropped].float()
    assert kept.mean(0).min() > 0.29 and kept.mean(0).max() < 0.38  # each channel alike
    channel = patches[dropped][same[dropped]]  # (n, 8, 8)
    noise = out[dropped][~same[dropped]].view(-1, 2, 64)
    assert (noise.mean(2) - channel.mean((1, 2))[:, None]).abs().max() < 0.003
    ratio = noise.std(2).mean() / channel.std((1, 2)).mean()
    assert float(ratio) == pytest.approx(0.01, rel=0.05)  # "1/100 the std of the remaining channel"


def test_a_third_of_the_patches_is_shrunk_and_grown_back() -> None:
    """A checkerboard loses contrast by shrinking; left alone it has one form and its reverse."""
    board = (torch.arange(32)[:, None] + torch.arange(32)) % 2 * 200
    images = board.to(torch.uint8).expand(1500, 1, 32, 32)
    method = planted(32)
    assert method.shrink == pytest.approx(1 / 3)
    pairs, side = method.views(images, torch.Generator().manual_seed(0))
    assert pairs.shape == (1500, 2, 1, 14, 14) and side.shape == (1500,)
    method.shrink = 0.0
    sharp, _ = method.views(images[:1], torch.Generator().manual_seed(0))
    shrunk = (pairs.abs() - sharp[0, 0].abs()).abs().amax((2, 3, 4)) > 0.1  # (1500, 2)
    assert abs(float(shrunk.float().mean()) - 1 / 3) < 0.03
    both = float(shrunk.all(1).float().mean())
    assert abs(both - 1 / 9) < 0.03  # each patch by a draw of its own


def test_every_weight_of_the_encoder_learns() -> None:
    """Of a smaller patch a map of one place is left, and only the middle of a filter sees it."""
    method = planted(32).train()
    images = torch.randint(0, 256, (16, 1, 32, 32), dtype=torch.uint8)
    loss, _ = method(method.views(images, torch.Generator().manual_seed(0)))
    loss.backward()
    for parameter in method.encoder.parameters():
        assert parameter.grad is not None and (parameter.grad != 0).float().mean() > 0.9


def test_patches_carry_neither_brightness_nor_contrast() -> None:
    images = torch.randint(0, 256, (40, 3, 32, 32), dtype=torch.uint8)
    pairs, _ = planted(32, 3).views(images // 2 + 60, torch.Generator().manual_seed(0))
    assert pairs.mean((3, 4)).abs().max() < 1e-4
    deviation = pairs.std((3, 4), correction=0)
    noise = deviation < 0.3  # (40, 2, 3)
    assert ((deviation - 1).abs() < 1e-3)[~noise].all()
    assert set(noise.sum(2).unique().tolist()) == {0, 2}  # lenses' fringes say where a patch lay:
    assert 0.3 < float(noise.any(2).float().mean()) < 0.7  # half of the patches have one channel

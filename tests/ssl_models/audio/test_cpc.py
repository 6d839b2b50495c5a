"""CPC on audio: the loss by hand, and nothing asked of padding."""

from __future__ import annotations

import math

import pytest
import torch

from ssl_models.audio.cpc import AudioCPC, excerpts, info_nce
from ssl_models.audio.encoder import AudioEncoder
from weaklight.errors import ConfigError


def test_info_nce_by_hand() -> None:
    """Two clips of two and one frames: three keys, and each prediction scores one of them."""
    z = 2 * torch.eye(4)[[0, 1, 2, 3]].view(2, 2, 4)
    inside = torch.tensor([[True, True], [True, False]])
    predicted = torch.zeros(2, 1, 4)
    predicted[0, 0, 1], predicted[1, 0, 2] = 1.5, 0.5  # logits 1.5 * 2 / sqrt(4) and 0.5
    targets = torch.tensor([[1], [0]])
    expected = (math.log(1 + 2 * math.exp(-1.5)) + math.log(1 + 2 * math.exp(-0.5))) / 2
    assert info_nce(predicted, z, targets, inside).item() == pytest.approx(expected, abs=1e-6)
    z[1, 1] = 1000.0  # padding is no negative
    predicted[..., 3] = 1.0
    assert info_nce(predicted, z, targets, inside).item() == pytest.approx(expected, abs=1e-6)


def test_an_excerpt_of_a_ramp_says_where_and_how_fast_it_was_played() -> None:
    waves = torch.arange(1000.0).repeat(3, 1)
    lengths = torch.tensor([1000, 1000, 60])
    waves[2, 60:] = 0
    rate, place = torch.tensor([1.0, 1.25, 0.5]), torch.tensor([0.0, 0.5, 0.9])
    heard, kept = excerpts(waves, lengths, rate, place, 200)
    assert kept.tolist() == [200, 200, 118]
    torch.testing.assert_close(heard[0], torch.arange(200.0))
    torch.testing.assert_close(heard[1], 0.5 * (999 - 250) + 1.25 * torch.arange(200.0))
    torch.testing.assert_close(heard[2, :118], 0.5 * torch.arange(118.0))
    assert not heard[2, 118:].any()


def test_every_anchor_has_its_whole_future_inside_the_clip() -> None:
    torch.manual_seed(0)
    cpc = AudioCPC(AudioEncoder(width=4, context_dim=4), n_steps=3, excerpt=1200)
    lengths = torch.arange(cpc.shortest, cpc.shortest + 2000, 40)
    inside = (torch.arange(int(lengths.max())) < lengths[:, None]).float()
    views = cpc.views(
        (torch.randn(inside.shape) * inside, lengths), torch.Generator().manual_seed(0)
    )
    last = cpc.encoder.n_frames(views.lengths)[:, None] - 1
    assert views.waves.shape == (len(lengths), 1200)
    assert bool((views.anchors >= 0).all()) and bool((views.anchors + 3 <= last).all())
    assert bool((views.anchors + 3 == last).any())
    loss, mean = cpc(views)
    assert torch.isfinite(loss) and mean.shape == (len(lengths), 4)


def test_draws_come_from_the_generator_alone() -> None:
    cpc = AudioCPC(AudioEncoder(width=4, context_dim=4), n_steps=2, excerpt=800)
    clips = torch.randn(2, 2000), torch.full((2,), 2000)
    before = torch.get_rng_state()
    first, again, other = (cpc.views(clips, torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.waves, other.waves)


def test_an_excerpt_without_room_for_the_future_is_refused() -> None:
    with pytest.raises(ConfigError, match="excerpt at least"):
        AudioCPC(AudioEncoder(width=4), n_steps=12, excerpt=1000)

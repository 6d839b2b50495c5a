"""The audio encoder looks back only, and padding, company and loudness change nothing."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from ssl_models.audio.clips import unit_power
from ssl_models.audio.encoder import (
    AudioEncoder,
    embed_audio,
    load_audio_encoder,
    save_audio_encoder,
)
from ssl_models.audio.fronts import LogMelFront
from weaklight.errors import ArtifactError, DataError


@pytest.fixture(scope="module", params=["waveform", "log_mel"])
def encoder(request: pytest.FixtureRequest) -> AudioEncoder:
    torch.manual_seed(0)
    return AudioEncoder(backbone=request.param, width=8, context_dim=6).eval()


def clips() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(-3000, 3000, n).astype(np.int16) for n in (416, 4000, 900, 2222)]


def test_frames_and_what_they_see(encoder: AudioEncoder) -> None:
    """1 + 9 + 7 * 5 + 3 * 20 + 3 * 40 samples, or three windows of 256; 80 lie between two."""
    reach = {"waveform": 225, "log_mel": 256 + 2 * 80}[encoder.backbone]
    assert (encoder.reach, encoder.hop) == (reach, 80)
    for n in (reach, reach + 79, reach + 80, 4000):
        frames = int(encoder.n_frames(torch.tensor(n)))
        assert encoder(torch.randn(1, n))[0].shape == (1, frames, 8)
    assert encoder.n_frames(torch.tensor([reach, reach + 79, reach + 80])).tolist() == [1, 1, 2]


def test_nothing_looks_ahead(encoder: AudioEncoder) -> None:
    wave = torch.randn(1, 2000)
    changed = wave.clone()
    changed[:, 1000:] = torch.randn(1, 1000)
    untouched = int(encoder.n_frames(torch.tensor(1000)))
    for before, after in zip(encoder(wave), encoder(changed), strict=True):
        torch.testing.assert_close(before[:, :untouched], after[:, :untouched])
        assert not torch.allclose(before[:, untouched], after[:, untouched], atol=1e-3)


def test_the_context_remembers(encoder: AudioEncoder) -> None:
    wave = torch.randn(1, 1000)
    changed = wave.clone()
    changed[:, :100] *= 2
    (z, c), (other_z, other_c) = encoder(wave), encoder(changed)
    torch.testing.assert_close(z[:, 2:], other_z[:, 2:])  # frame 2 begins at sample 160
    assert not torch.equal(c[:, 2:], other_c[:, 2:])


def test_padding_and_company_change_no_feature(encoder: AudioEncoder) -> None:
    together = embed_audio(encoder, clips(), batch_size=4)
    alone = np.concatenate([embed_audio(encoder, [clip]) for clip in clips()])
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-5)
    assert together.shape == (4, encoder.dim) and np.isfinite(together).all()
    assert embed_audio(encoder, clips(), batch_size=4).tobytes() == together.tobytes()


def test_features_are_statistics_over_time(encoder: AudioEncoder) -> None:
    wave = torch.randn(1, 1500)
    tokens = torch.cat(encoder(wave), -1)[0]
    expected = torch.cat([tokens.mean(0), tokens.std(0, correction=0), tokens.amax(0)])
    torch.testing.assert_close(encoder.pooled(wave, torch.tensor([1500]))[0], expected)


def test_loudness_is_taken_out(encoder: AudioEncoder) -> None:
    loud = [clip.astype(np.float32) * 0.01 for clip in clips()]
    np.testing.assert_allclose(embed_audio(encoder, loud), embed_audio(encoder, clips()), atol=1e-4)


def test_survives_the_disk(encoder: AudioEncoder, tmp_path: Path) -> None:
    save_audio_encoder(encoder, tmp_path)
    again = load_audio_encoder(tmp_path)
    assert embed_audio(again, clips()).tobytes() == embed_audio(encoder, clips()).tobytes()
    with pytest.raises(ArtifactError, match="train it again"):
        load_audio_encoder(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("clip", "complaint"),
    [
        (np.zeros(224, np.int16), "at least"),
        (np.zeros((2, 4000), np.int16), r"must be \(T,\)"),
        (np.zeros(4000, np.uint8), "uint8"),
        (np.full(4000, np.nan, np.float32), "finite"),
    ],
)
def test_clips_that_cannot_be_embedded(
    encoder: AudioEncoder, clip: np.ndarray, complaint: str
) -> None:
    with pytest.raises(DataError, match=complaint):
        embed_audio(encoder, [clips()[1], clip])


def test_bands_of_a_tone_and_over_all_frames() -> None:
    front = LogMelFront(8, sample_rate=8000)
    tone = torch.sin(2 * torch.pi * 1000 * torch.arange(4000) / 8000)[None]
    hertz = torch.linspace(0, 2595 * math.log10(1 + 4000 / 700), 42)[1:-1]
    centre = 700 * (10 ** (hertz / 2595) - 1)  # of each band
    loudest = front.bands(tone)[0].argmax(1)
    assert bool((loudest == (centre - 1000).abs().argmin()).all())
    front.fit(clips())
    seen = torch.cat([front.bands(torch.from_numpy(unit_power(c))[None])[0] for c in clips()])
    scaled = (seen - front.mean) / front.std
    torch.testing.assert_close(scaled.mean(0), torch.zeros(40), atol=1e-4, rtol=0)
    torch.testing.assert_close(scaled.std(0, correction=0), torch.ones(40), atol=1e-4, rtol=0)


def test_a_silent_clip_has_finite_features(encoder: AudioEncoder) -> None:
    assert np.isfinite(embed_audio(encoder, [np.zeros(1000, np.int16)])).all()

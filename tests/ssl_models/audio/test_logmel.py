"""Log-mel statistics of tones and silence, which are known beforehand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ssl_models.audio.logmel import FLOOR, log_mel, log_mel_statistics, mel_filters


def tone(hertz: float, seconds: float = 0.5) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(int(8000 * seconds)) / 8000)


def test_filters_are_triangles_that_share_out_every_frequency() -> None:
    filters = mel_filters(10, 512, 8000)
    assert filters.shape == (10, 257) and float(filters.max()) <= 1
    peaks = filters.argmax(1)
    assert bool((peaks.diff() > 0).all())
    shared = filters.sum(0)[peaks[0] + 1 : peaks[-1]]
    torch.testing.assert_close(shared, torch.ones_like(shared))


@pytest.mark.parametrize("hertz", [300, 1000, 2500])
def test_a_tone_is_loudest_in_its_own_band(hertz: float) -> None:
    bands = log_mel(torch.from_numpy(tone(hertz)).float(), sample_rate=8000)
    assert bands.shape == (40, 51)
    mel = 2595 * np.log10(1 + np.array([hertz, 4000]) / 700)
    loudest = int(bands[:, 25].argmax())
    assert abs(loudest - (mel[0] / mel[1] * 41 - 1)) < 1


def test_statistics_of_a_tone_and_of_silence() -> None:
    steady, silent = log_mel_statistics([tone(1000), np.zeros(4000)], sample_rate=8000)
    assert steady.shape == (80,)
    np.testing.assert_allclose(silent, [np.log(FLOOR)] * 40 + [0] * 40, atol=1e-4)
    assert steady[:40].max() > 3 and steady[:40].min() < silent[0] + 8


def test_integers_and_floats_are_one_scale() -> None:
    wave = (tone(700) * 20000).astype(np.int16)
    whole, real = log_mel_statistics([wave, wave / 32768], sample_rate=8000)
    np.testing.assert_allclose(whole, real, atol=1e-4)

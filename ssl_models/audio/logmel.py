"""The plain baseline: mean and spread over time of a clip's log-mel bands.

Try it: ``log_mel_statistics(clips, sample_rate=8000).shape``.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_models.audio.clips import Clips, check_clips

__all__ = ["log_mel", "log_mel_statistics", "mel_filters"]

WINDOW_S, HOP_S = 0.025, 0.010  # what speech recognition has always used
FLOOR = 1e-6  # of a band's power for waves in -1..1: 60 dB below a full-scale tone


def mel_filters(n_bands: int, n_fft: int, sample_rate: int) -> Tensor:
    """Return (n_bands, n_fft // 2 + 1) triangles, evenly spaced in mel up to half the rate.

    Each is 1 at its centre and 0 at its neighbours' centres; mel = 2595 log10(1 + hertz / 700)
    (O'Shaughnessy 1987, "Speech communication", page 150).
    """
    top = 2595 * np.log10(1 + sample_rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, n_bands + 2) / 2595) - 1)
    hertz = np.linspace(0, sample_rate / 2, n_fft // 2 + 1)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rise, fall = (hertz - low) / (centre - low), (high - hertz) / (high - centre)
    return torch.from_numpy(np.minimum(rise, fall).clip(min=0)).float()


def log_mel(wave: Tensor, *, sample_rate: int, n_bands: int = 40) -> Tensor:
    """Return the log power (n_bands, frames) of a wave (T,) in -1..1, a frame every 10 ms."""
    window, hop = round(WINDOW_S * sample_rate), round(HOP_S * sample_rate)
    n_fft = 2 ** (window - 1).bit_length()
    spectrum = torch.stft(
        wave,
        n_fft,
        hop,
        window,
        torch.hann_window(window),
        pad_mode="constant",
        return_complex=True,
    )
    power = mel_filters(n_bands, n_fft, sample_rate) @ spectrum.abs().square()
    return (power + FLOOR).log()


def log_mel_statistics(clips: Clips, *, sample_rate: int, n_bands: int = 40) -> NDArray[np.float32]:
    """Return the mean and the standard deviation over time of each clip's log-mel bands.

    Parameters
    ----------
    clips
        Each (T,) int16, or float in -1..1.
    sample_rate
        In hertz.
    n_bands
        40 as in most speech work.

    Returns
    -------
    (n, 2 * n_bands) float32: means, then standard deviations.
    """
    check_clips(clips, least=1)
    out = np.empty((len(clips), 2 * n_bands), np.float32)
    for row, clip in zip(out, clips, strict=True):
        scale = 1 / 32768 if clip.dtype == np.int16 else 1.0
        wave = torch.from_numpy(clip.astype(np.float32) * np.float32(scale))
        bands = log_mel(wave, sample_rate=sample_rate, n_bands=n_bands)
        row[:] = torch.cat([bands.mean(1), bands.std(1, correction=0)]).numpy()
    return out

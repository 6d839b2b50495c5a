"""From a waveform to one latent every few milliseconds: learnt filters, or log-mel bands first.

Try it: ``LogMelFront(256, sample_rate=8000)(torch.randn(2, 4000)).shape``.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ssl_models.audio.clips import Clips, unit_power
from ssl_models.audio.logmel import HOP_S, WINDOW_S, mel_filters

__all__ = ["FRONTS", "LogMelFront", "WaveformFront"]

# The paper's five layers are (10, 5), (8, 4), (4, 2), (4, 2), (4, 2) at 16 kHz. At 8 kHz the first
# four already give a latent every 10 ms.
KERNELS, STRIDES = (10, 8, 4, 4), (5, 4, 2, 2)
N_BANDS = 40  # as in most speech work
CONTEXT = 3  # frames that a latent of log-mel bands sees
FLOOR = 1e-5  # of power, for clips of unit power: 50 dB below speech, above rounding


class WaveformFront(nn.Module):
    """Strided convolutions on the waveform, as van den Oord et al. 2018, section 3.1.

    Parameters
    ----------
    width
        P, channels of z; the first two layers have a quarter and a half, as they run at up to 16
        times the rate. The paper has 512 in all.
    sample_rate
        Not used: strides are counted in samples.

    Attributes
    ----------
    hop, reach
        Samples from one latent to the next, and samples that one latent sees.

    Notes
    -----
    Layers are normalised over channels, each moment by itself (Riviere et al. 2020,
    arXiv:2002.02848, section 3): batch norm would tell moments of a clip from others without
    listening, and would let padding leak into what is not padding.
    """

    hop = math.prod(STRIDES)
    reach = 1 + sum((kernel - 1) * math.prod(STRIDES[:i]) for i, kernel in enumerate(KERNELS))

    def __init__(self, width: int, *, sample_rate: int) -> None:
        super().__init__()
        widths = [1, width // 4, width // 2, width, width]
        self.layers = nn.ModuleList(
            nn.Conv1d(widths[i], widths[i + 1], KERNELS[i], STRIDES[i]) for i in range(len(KERNELS))
        )
        self.norms = nn.ModuleList(nn.LayerNorm(n) for n in widths[1:])

    def fit(self, clips: Clips) -> None:
        """Learn nothing: clips of unit power are what the layers take."""

    def forward(self, waves: Tensor) -> Tensor:
        """Return latents (B, F, P) of waves (B, T)."""
        x = waves[:, None]
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = norm(layer(x).relu().transpose(1, 2)).transpose(1, 2)
        return x.transpose(1, 2)


class LogMelFront(nn.Module):
    """Log-mel bands of 25 ms every 10 ms, then two learnt layers over three of these frames.

    CPC leaves the encoder open ("any type of encoder", section 2.2), and on minutes of speech there
    is not enough to learn filters from that the ear's scale gives for nothing.

    Parameters
    ----------
    width
        P, channels of z.
    sample_rate
        In hertz.

    Attributes
    ----------
    hop, reach
        As for :class:`WaveformFront`.
    """

    window: Tensor
    filters: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, width: int, *, sample_rate: int) -> None:
        super().__init__()
        size, self.hop = round(WINDOW_S * sample_rate), round(HOP_S * sample_rate)
        self.n_fft = 2 ** (size - 1).bit_length()
        self.reach = self.n_fft + (CONTEXT - 1) * self.hop
        self.register_buffer("window", torch.hann_window(size), persistent=False)
        filters = mel_filters(N_BANDS, self.n_fft, sample_rate)
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("mean", torch.zeros(N_BANDS))
        self.register_buffer("std", torch.ones(N_BANDS))
        self.frames = nn.Conv1d(N_BANDS, width, CONTEXT)
        self.latents = nn.Linear(width, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))

    @torch.no_grad()
    def fit(self, clips: Clips) -> None:
        """Learn the mean and the standard deviation of each band over all frames of ``clips``."""
        bands = torch.cat(
            [self.bands(torch.from_numpy(unit_power(clip))[None])[0] for clip in clips]
        )
        self.mean.copy_(bands.mean(0))
        self.std.copy_(bands.std(0, correction=0).clamp(min=1e-3))

    def bands(self, waves: Tensor) -> Tensor:
        """Return log powers (B, F + 2, bands) of waves (B, T)."""
        with torch.autocast(waves.device.type, enabled=False):
            spectrum = torch.stft(
                waves.float(),
                self.n_fft,
                self.hop,
                len(self.window),
                self.window,
                center=False,
                return_complex=True,
            )
            power = self.filters @ spectrum.abs().square() / len(self.window)
            return (power + FLOOR).log().transpose(1, 2)

    def forward(self, waves: Tensor) -> Tensor:
        """Return latents (B, F, P) of waves (B, T)."""
        x = (self.bands(waves) - self.mean) / self.std  # (B, F + 2, bands)
        x = self.norms[0](self.frames(x.transpose(1, 2)).relu().transpose(1, 2))  # (B, F, P)
        return self.norms[1](self.latents(x).relu())  # type: ignore[no-any-return]


FRONTS: dict[str, type[WaveformFront] | type[LogMelFront]] = {
    "waveform": WaveformFront,
    "log_mel": LogMelFront,
}

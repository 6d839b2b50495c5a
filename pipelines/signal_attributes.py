"""Measure what a listener or an engineer sees in a clip or a series at a glance.

Try it: ``dict(zip(SERIES, measure_series(np.sin(np.arange(100.0))[:, None])))``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["AUDIO", "SERIES", "measure_audio", "measure_series"]

_FRAME_S = 0.025
_ROLLOFF = 0.85  # share of the power below the rolloff, as in most work on audio
_PEAK_HEIGHT = 1.0  # standard deviations above the mean: what the eye takes for a peak

AUDIO: dict[str, str] = {
    "duration": "Seconds.",
    "rms": "Loudness: root of the mean square, 1 is full scale.",
    "peak": "Largest sample, 1 is full scale.",
    "crest": "Peak divided by rms: high for clicks and claps, 1.4 for a steady tone.",
    "zero_crossings": "Changes of sign a second: high for hiss, low for hum.",
    "spectral_centroid": "Hertz around which the power lies: how bright it sounds.",
    "spectral_spread": "Hertz by which the power lies apart from the centroid.",
    "spectral_rolloff": "Hertz below which 85 % of the power lies.",
    "spectral_flatness": "Near 0 for tones, near 1 for noise.",
    "silence_share": "Share of the time that is 40 dB or more below the loudest 25 ms.",
    "attack": "Seconds until the loudest 25 ms.",
}

SERIES: dict[str, str] = {
    "n_steps": "Steps of the series.",
    "mean": "Mean.",
    "std": "Standard deviation.",
    "least": "Smallest value.",
    "largest": "Largest value.",
    "first": "First value.",
    "last": "Last value.",
    "trend": "Slope of the straight line through it, from its start to its end, in deviations.",
    "n_peaks": "Peaks that rise one deviation above the mean.",
    "n_dips": "Dips that fall one deviation below the mean.",
    "crossings": "Share of the steps that cross the mean.",
    "roughness": "Mean change from step to step, in deviations.",
    "autocorrelation": "Correlation of each value with the next, -1 to 1.",
    "period": "Steps of the strongest regular wave; the length where there is none.",
    "skew": "Skewness: above 0 where a few values are very large.",
}


def measure_audio(clip: NDArray[np.int16], rate: int) -> list[float]:
    """Return the values of ``AUDIO`` of a clip (T,) at ``rate`` hertz; O(T log T)."""
    wave = clip.astype(np.float64) / 32768
    rms = float(np.sqrt(np.mean(wave**2)))
    peak = float(np.abs(wave).max())
    power = np.abs(np.fft.rfft(wave)) ** 2
    hertz = np.fft.rfftfreq(len(wave), 1 / rate)
    total = max(float(power.sum()), 1e-12)
    centroid = float((hertz * power).sum() / total)
    spread = float(np.sqrt(((hertz - centroid) ** 2 * power).sum() / total))
    below = int(np.searchsorted(power.cumsum(), _ROLLOFF * total))
    rolloff = float(hertz[min(below, len(hertz) - 1)])
    flatness = float(np.exp(np.log(power + 1e-12).mean()) / (power + 1e-12).mean())
    size = max(1, round(_FRAME_S * rate))
    frames = wave[: len(wave) // size * size].reshape(-1, size)
    loudness = np.sqrt((frames**2).mean(axis=1)) if len(frames) else np.array([rms])
    loudest = float(loudness.max())
    return [
        len(wave) / rate,
        rms,
        peak,
        peak / max(rms, 1e-9),
        float((np.diff(np.signbit(wave)) != 0).sum()) * rate / len(wave),
        centroid,
        spread,
        rolloff,
        flatness,
        float((loudness <= max(loudest, 1e-9) / 100).mean()),
        float(loudness.argmax()) * size / rate,
    ]


def measure_series(series: NDArray[np.float32]) -> list[float]:
    """Return the values of ``SERIES`` of (T, C), T >= 2: those of the mean over channels."""
    values = series.astype(np.float64).mean(axis=1)
    n = len(values)
    mean, std = float(values.mean()), float(values.std())
    unit = (values - mean) / max(std, 1e-12)
    time = np.linspace(-0.5, 0.5, n)
    steps = np.diff(unit)
    power = np.abs(np.fft.rfft(unit)[1:]) ** 2
    return [
        n,
        mean,
        std,
        float(values.min()),
        float(values.max()),
        float(values[0]),
        float(values[-1]),
        float((time * unit).sum() / (time**2).sum()),
        _n_peaks(unit),
        _n_peaks(-unit),
        float((np.diff(np.signbit(unit)) != 0).mean()),
        float(np.abs(steps).mean()),
        float((unit[:-1] * unit[1:]).mean()) if std > 1e-12 else 0.0,
        n / (int(power.argmax()) + 1) if len(power) and std > 1e-12 else float(n),
        float((unit**3).mean()),
    ]


def _n_peaks(unit: NDArray[np.float64]) -> int:
    """Count the stretches above ``_PEAK_HEIGHT``."""
    above = np.concatenate([[False], unit > _PEAK_HEIGHT])
    return int((above[1:] & ~above[:-1]).sum())

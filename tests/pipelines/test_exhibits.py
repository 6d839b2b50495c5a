"""What people see of items: excerpts, curves that lose no spike, sounds that come back."""

from __future__ import annotations

import io
import re

import numpy as np
from scipy.io import wavfile

from pipelines.exhibits import curve, excerpt, sound


def test_an_excerpt_ends_between_words() -> None:
    assert excerpt("short", 10) == "short"
    assert excerpt("one two three\nfour", 15) == "one two three ..."
    assert excerpt("x" * 50, 10) == "x" * 10 + " ..."


def heights(svg: str) -> list[list[float]]:
    return [
        [float(pair.split(",")[1]) for pair in points.split()]
        for points in re.findall(r'points="([^"]+)"', svg)
    ]


def test_a_curve_keeps_a_spike_and_every_channel() -> None:
    wave = np.zeros(100_000, np.int16)
    wave[77_777] = -20_000  # one sample in a hundred thousand; down is a larger y
    (line,) = heights(curve(wave))
    assert len(line) == 200 and max(line) == 92 and line.count(50.0) == 199
    series = np.stack([np.arange(5.0), np.arange(5.0)[::-1]], axis=1).astype(np.float32)
    up, down = heights(curve(series))
    assert up == [92.0, 71.0, 50.0, 29.0, 8.0] == down[::-1]
    assert len(set(heights(curve(np.ones((9, 1), np.float32)))[0])) == 1  # constant: no division


def test_a_sound_comes_back_as_it_was() -> None:
    clip = np.array([0, 1, -32768, 32767], np.int16)
    rate, samples = wavfile.read(io.BytesIO(sound(clip, 8000)))
    assert rate == 8000 and np.array_equal(samples, clip)

"""Settings of CPC follow the clips: how much sound there is, how short the shortest is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ssl_models.audio import pretrain_audio, suggest_audio
from weaklight.errors import ConfigError, DataError


def silence(seconds: float, rate: int, n: int) -> list[np.ndarray]:
    return [np.zeros(round(seconds * rate), np.int16)] * n


def test_filters_are_learnt_from_an_hour_on() -> None:
    minutes, reasons = suggest_audio(silence(60, 8000, 59), 8000)
    hour, _ = suggest_audio(silence(60, 8000, 60), 8000)
    assert (minutes.backbone, minutes.width) == ("log_mel", 128)
    assert (hour.backbone, hour.width) == ("waveform", 256)
    assert any(reason.startswith("backbone = log_mel: 59 minutes") for reason in reasons)
    asked, reasons = suggest_audio(silence(60, 8000, 60), 8000, "log_mel")
    assert asked.backbone == "log_mel" and not any("minutes" in reason for reason in reasons)
    with pytest.raises(ConfigError, match=r"'log_mel', 'waveform'.*'resnet18'"):
        suggest_audio(silence(1, 8000, 2), 8000, "resnet18")


@pytest.mark.parametrize("rate", [4000, 8000, 16000, 44100])
@pytest.mark.parametrize("backbone", ["log_mel", "waveform"])
def test_what_is_suggested_trains_on_the_shortest_clip(
    tmp_path: Path, rate: int, backbone: str
) -> None:
    clips = [
        np.random.default_rng(i).normal(0, 1000, round(rate * seconds)).astype(np.int16)
        for i, seconds in enumerate([0.12, 0.2, 0.3, 0.5])
    ]
    config, reasons = suggest_audio(clips, rate, backbone)
    config = replace(config, steps=1, width=8, context_dim=8)
    pretrain_audio(clips, config, tmp_path / "out", tmp_path / "scratch")
    n_steps = config.method_options["n_steps"]
    assert (n_steps < 12) == any(reason.startswith("n_steps") for reason in reasons)
    if n_steps < 12:
        more = replace(config, method_options={**config.method_options, "n_steps": n_steps + 1})
        with pytest.raises(DataError):
            pretrain_audio(clips, more, tmp_path / "out", tmp_path / "more")

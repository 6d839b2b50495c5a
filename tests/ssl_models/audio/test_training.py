"""Audio encoders train in the trainer's own loop: they learn, resume exactly, refuse others."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ssl_models.audio import AudioConfig, embed_audio, load_audio_encoder, pretrain_audio
from weaklight.errors import DataError, TrainingError

CONFIG = AudioConfig(
    width=16,
    context_dim=16,
    steps=6,
    batch_size=8,
    checkpoint_every=2,
    log_every=3,
    method_options={"n_steps": 3, "excerpt": 1600},
)


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    """24 chirps of several lengths: a pitch that was heard says which one follows."""
    generator = np.random.default_rng(0)
    out = []
    for _ in range(24):
        t = np.arange(generator.integers(1200, 2400)) / 8000
        low, rise = generator.uniform(200, 1500), generator.uniform(-500, 3000)
        wave = np.sin(2 * np.pi * (low * t + rise * t**2 / 2)) + generator.normal(0, 0.05, len(t))
        out.append((wave * generator.uniform(1000, 20000)).astype(np.int16))
    return out


def kill(done: int, total: int, message: str) -> None:
    if done == 5:
        raise KilledError


def test_loss_falls(clips: list[np.ndarray], tmp_path: Path) -> None:
    config = replace(CONFIG, steps=80, lr=1e-2, log_every=10, checkpoint_every=80)
    summary = pretrain_audio(clips, config, tmp_path / "out", tmp_path / "scratch")
    losses = [e["loss"] for e in json.loads((tmp_path / "out/history.json").read_text())["steps"]]
    assert losses[-1] < 0.9 * losses[0]
    assert summary["steps"] == 80 and summary["final_loss"] == losses[-1]
    features = embed_audio(load_audio_encoder(tmp_path / "out"), clips)
    assert features.shape == (24, summary["dim"]) and features.std(0).min() > 0


def test_a_kill_changes_no_byte(clips: list[np.ndarray], tmp_path: Path) -> None:
    pretrain_audio(clips, CONFIG, tmp_path / "whole", tmp_path / "s1")
    with pytest.raises(KilledError):
        pretrain_audio(clips, CONFIG, tmp_path / "again", tmp_path / "s2", kill)
    pretrain_audio(clips, CONFIG, tmp_path / "again", tmp_path / "s2")
    written = sorted(p.name for p in (tmp_path / "whole").iterdir())
    assert written == ["encoder.json", "encoder.safetensors", "heads.safetensors", "history.json"]
    for name in written:
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_scratch_of_other_clips_is_refused(clips: list[np.ndarray], tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        pretrain_audio(clips, CONFIG, tmp_path / "out", tmp_path / "scratch", kill)
    with pytest.raises(TrainingError, match="other settings"):
        pretrain_audio(clips[::-1], CONFIG, tmp_path / "out", tmp_path / "scratch")


def test_a_clip_without_a_future_is_named(clips: list[np.ndarray], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"clip 24 holds 300"):
        pretrain_audio([*clips, clips[0][:300]], CONFIG, tmp_path / "out", tmp_path / "scratch")

"""Two CPU processes over gloo: the same curve as one, recovery from a crash, errors as ours."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ssl_models import AugmentConfig, LaunchSpec, TrainConfig, launch, pretrain
from weaklight.errors import ConfigError

CONFIG = TrainConfig(
    width=8,
    steps=8,
    batch_size=16,
    checkpoint_every=2,
    log_every=2,
    precision="fp32",
    device="cpu",
    augment=AugmentConfig(gray=0.0, blur=0.5),
)


@pytest.fixture
def spec(tmp_path: Path) -> LaunchSpec:
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 1), dtype=np.uint8)
    np.save(tmp_path / "pixels.npy", images)
    return LaunchSpec(tmp_path / "pixels.npy", CONFIG, tmp_path / "two", tmp_path / "scratch-two")


def test_two_processes_with_a_crash_follow_the_curve_of_one(
    spec: LaunchSpec, tmp_path: Path
) -> None:
    images = np.load(spec.pixels)
    pretrain(images, CONFIG, tmp_path / "one", tmp_path / "scratch-one")
    done: list[int] = []

    def kill_a_worker_once(now: int, total: int, message: str) -> None:
        done.append(now)
        if now == 5 and done.count(5) == 1:
            os.kill(workers_of(spec)[-1], signal.SIGKILL)

    summary = launch(spec, 2, progress=kill_a_worker_once)
    assert summary["steps"] == 8 and done.count(8) == 1
    assert 1 not in done[done.index(5) + 1 :]  # went on from a checkpoint, not from the start
    one, two = (json.loads((tmp_path / n / "history.json").read_text()) for n in ("one", "two"))
    for ours, theirs in zip(one["steps"], two["steps"], strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
        assert ours["rank"] == pytest.approx(theirs["rank"], rel=1e-3)
    assert workers_of(spec) == []


def test_an_error_of_ours_comes_back_as_itself(spec: LaunchSpec) -> None:
    with pytest.raises(ConfigError, match="divide"):
        launch(replace(spec, config=replace(CONFIG, batch_size=15)), 2)


def test_spec_survives_its_file(spec: LaunchSpec, tmp_path: Path) -> None:
    spec.write(tmp_path / "spec.json")
    assert LaunchSpec.read(tmp_path / "spec.json") == spec


def workers_of(spec: LaunchSpec) -> list[int]:
    """Return the processes that train for this spec, the agent and torchrun left out."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        if str(spec.scratch / "spec.json") in command and "--processes" not in command:
            found.append(int(process.name))
    return sorted(found)

"""Pretraining on several devices: ``torchrun`` as a child that goes on after a crash.

Try it: ``launch(LaunchSpec(pixels, config, out, scratch), n_devices=2)``.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssl_models.checkpoints import CheckpointStore, write_json
from ssl_models.config import TrainConfig
from weaklight import errors
from weaklight.errors import ConfigError, TrainingError
from weaklight.progress import Progress

__all__ = ["MARK", "LaunchSpec", "launch"]

logger = logging.getLogger(__name__)
MARK = "weaklight-pretrain "  # starts each line in which a worker speaks to its launcher


@dataclass(frozen=True)
class LaunchSpec:
    """What the workers of one run need, all of it on disk.

    Attributes
    ----------
    pixels
        A ``.npy`` of (n, H, W, C) uint8; workers map it, so they share one copy in memory.
    """

    pixels: Path
    config: TrainConfig
    out: Path
    scratch: Path

    def write(self, path: Path) -> None:
        """Write the spec as JSON."""
        paths = {name: str(getattr(self, name).resolve()) for name in ("pixels", "out", "scratch")}
        write_json(path, {**paths, "config": self.config.as_dict()})

    @classmethod
    def read(cls, path: Path) -> LaunchSpec:
        """Return the spec that :meth:`write` wrote."""
        raw = json.loads(path.read_bytes())
        paths = {name: Path(raw[name]) for name in ("pixels", "out", "scratch")}
        return cls(config=TrainConfig.from_dict(raw["config"]), **paths)


def launch(
    spec: LaunchSpec, n_devices: int, progress: Progress | None = None, restarts: int = 3
) -> dict[str, Any]:
    """Pretrain with ``n_devices`` processes and return what :func:`pretrain` returns.

    Parameters
    ----------
    spec
        The run. The batch is shared out: it must divide by ``n_devices``.
    n_devices
        Processes, one for each CUDA device, or on CPU each with one thread.
    progress
        Called with (steps done, steps, message).
    restarts
        How often a crash that is not our own error (a killed worker, a lost device) is followed
        by another start from the newest checkpoint, without any progress in between.

    Raises
    ------
    WeaklightError
        The error that a worker raised.
    TrainingError
        If the workers keep crashing.
    """
    if n_devices < 1:
        raise ConfigError(f"devices must be at least 1, but is {n_devices}")
    path = spec.scratch / "spec.json"
    spec.write(path)
    failures, reached = 0, -1
    while True:
        result, code = _run_agent(path, n_devices, progress)
        if result is not None:
            return result
        newest = max(CheckpointStore(spec.scratch).steps(), default=0)
        failures = failures + 1 if newest <= reached else 1
        reached = max(reached, newest)
        if failures > restarts:
            raise TrainingError(
                f"the workers crashed {failures} times without a new checkpoint after step "
                f"{newest} (last exit code {code}); their last words are in the log, memory is the "
                "usual reason: lower batch_size"
            )
        logger.warning("workers ended with code %d; going on from step %d", code, newest)


def _run_agent(
    spec: Path, n_devices: int, progress: Progress | None
) -> tuple[dict[str, Any] | None, int]:
    """Run torchrun once; return (result or None after a crash, exit code)."""
    command = [sys.executable, "-m", "ssl_models.worker", "--spec", str(spec)]
    environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    result = None
    with subprocess.Popen(
        [*command, "--processes", str(n_devices), "--parent", str(os.getpid())],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
    ) as agent:
        assert agent.stdout is not None
        try:
            for line in agent.stdout:
                if not line.startswith(MARK):
                    logger.info("worker: %s", line.rstrip())
                    continue
                word = json.loads(line.removeprefix(MARK))
                if "error" in word:
                    raise getattr(errors, word["error"])(word["message"])
                if "result" in word:
                    result = word["result"]
                elif progress is not None:
                    progress(*word["progress"])
        except BaseException:
            agent.terminate()  # torchrun passes it on to its workers
            raise
    return (result if agent.returncode == 0 else None), agent.returncode

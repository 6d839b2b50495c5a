"""What every benchmark says about the machine, and how it measures a command."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil

__all__ = ["Measured", "describe", "measure_command", "peak_mib"]

_SAMPLE_S = 0.1


@dataclass(frozen=True)
class Measured:
    """Wall time and peak resident memory of a command with all its children."""

    seconds: float
    peak_mib: float
    output: str


def describe() -> dict[str, object]:
    """Return ``cpu``, ``cores`` and ``versions``."""
    names = ("weaklight", "torch", "numpy", "pandas", "snorkel", "cleanlab", "prefect")
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "versions": {n: metadata.version(n) for n in names} | {"python": platform.python_version()},
    }


def measure_command(command: list[str], env: dict[str, str] | None = None) -> Measured:
    """Run a command to its end, sampling the memory of its process tree.

    Raises
    ------
    RuntimeError
        If the command fails; its output is in the message.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    watched = psutil.Process(process.pid)
    peak = 0
    while process.poll() is None:
        total = 0
        try:
            for p in [watched, *watched.children(recursive=True)]:
                total += p.memory_info().rss
        except psutil.NoSuchProcess:
            pass
        peak = max(peak, total)
        time.sleep(_SAMPLE_S)
    seconds = time.perf_counter() - started
    output = process.stdout.read() if process.stdout else ""
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed with {process.returncode}:\n{output}")
    return Measured(seconds, peak / 2**20, output)


def peak_mib() -> float:
    """Return the most memory that this process ever held (Linux).

    Not ``ru_maxrss``: a process started by a large one inherits that one's peak.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 2**10


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), "")

"""A run killed at any moment ends, when run again, with the bytes of an undisturbed run."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest

from pipelines.project import Project

DRIVER = Path(__file__).with_name("kill_driver.py")


@contextmanager
def driver(home: Path) -> Iterator[Callable[[Path, str, float], int]]:
    """Yield a function that runs a project and returns -9 when the run died on purpose, else 0."""
    with subprocess.Popen(
        [sys.executable, str(DRIVER)],
        env={**os.environ, "WEAKLIGHT_TEST_RUN": str(home)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        asked, answers = process.stdin, process.stdout

        def drive(root: Path, moment: str, number: float) -> int:
            print(root, moment, number, sep="\t", file=asked, flush=True)
            code = int(answers.readline())
            assert code in (0, -9)
            return code

        yield drive
    assert process.returncode == 0


def contents(root: Path) -> dict[str, str]:
    """Every file of the artifacts and pixel shards, with its hash."""
    state = root / ".weaklight"
    return {
        p.relative_to(state).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for folder in ("artifacts", "shards")
        for p in sorted((state / folder).rglob("*"))
        if p.is_file()
    }


def moments(n: int) -> list[tuple[str, float]]:
    """Seeded moments that cover every kind of write, and the clock."""
    rng = np.random.default_rng(2026)
    kinds = ["before-rename", "after-rename", "fsync", "checkpoint", "seconds"]
    chosen: list[tuple[str, float]] = []
    for i in range(n):
        kind = kinds[i % len(kinds)]
        low, high = {"seconds": (1.0, 6.0), "fsync": (1, 40), "checkpoint": (1, 5)}.get(
            kind, (1, 8)
        )
        number = rng.uniform(low, high) if kind == "seconds" else rng.integers(low, high + 1)
        chosen.append((kind, float(number)))
    return chosen


def left_behind(marker: Path) -> list[int]:
    """Processes that carry this test's mark in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("WEAKLIGHT_TEST_RUN") == str(marker):
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


@pytest.mark.parametrize("n", [6, pytest.param(24, marks=pytest.mark.slow)])
def test_killed_runs_end_with_the_same_bytes(
    make_project: Callable[..., Path], tmp_path: Path, n: int
) -> None:
    undisturbed, killed = make_project(name="undisturbed"), make_project(name="killed")
    with driver(tmp_path) as drive:
        assert drive(undisturbed, "never", 0) == 0
        deaths = sum(drive(killed, kind, number) == -9 for kind, number in moments(n))
        assert drive(killed, "never", 0) == 0
    assert deaths >= n // 2  # the last moments may find nothing left to interrupt
    assert contents(killed) == contents(undisturbed)
    states = [r.status for r in Project.open(killed).runs()]
    assert states[-1] == "done" and states.count("running") == 0
    psutil.wait_procs([psutil.Process(p) for p in left_behind(tmp_path)], timeout=10)
    assert left_behind(tmp_path) == []

"""Run projects in processes that die by SIGKILL at a stated moment.

Reads lines ``PROJECT MOMENT NUMBER``, held apart by tabs, and answers each with the exit code of
its run: -9 when it died on purpose. Each run is a process of its own, forked from this one, which
has the heavy libraries at hand but never ran a stage. MOMENT is one of

* ``seconds``: NUMBER seconds after the run began;
* ``before-rename``, ``after-rename``: at the NUMBER-th rename of a file or folder;
* ``fsync``: at the NUMBER-th flush to disk;
* ``checkpoint``: half-way through writing the NUMBER-th checkpoint file;
* ``never``.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from pipelines.engine import run_line
from pipelines.graph import STAGES
from pipelines.project import Project


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def die_at(calls: dict[str, Any], number: int, *, after: bool) -> Any:
    """Wrap ``os`` functions so that their NUMBER-th call, counted together, is the last."""
    seen = 0

    def wrap(original: Any) -> Any:
        def counted(*args: Any, **kwargs: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen == number and not after:
                die()
            result = original(*args, **kwargs)
            if seen == number and after:
                die()
            return result

        return counted

    for name, original in calls.items():
        setattr(os, name, wrap(original))


def die_inside_checkpoint(number: int) -> None:
    """Die when half of the bytes of the NUMBER-th checkpoint file have been written."""
    import ssl_models.checkpoints as checkpoints

    seen = 0
    original = checkpoints.write_bytes

    def half(path: Path, payload: bytes) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            path.write_bytes(payload[: len(payload) // 2])
            die()
        original(path, payload)

    checkpoints.write_bytes = half


def run(project: Path, moment: str, number: float) -> None:
    opened = Project.open(project)
    if moment == "seconds":
        threading.Thread(target=lambda: (time.sleep(number), die()), daemon=True).start()
    elif moment == "fsync":
        die_at({"fsync": os.fsync}, int(number), after=False)
    elif moment == "checkpoint":
        die_inside_checkpoint(int(number))
    elif moment != "never":
        names = {"rename": os.rename, "replace": os.replace}
        die_at(names, int(number), after=moment == "after-rename")
    run_line(opened)


def main() -> None:
    for spec in STAGES:
        importlib.import_module(spec.function.partition(":")[0])
    for module in ("cleanlab", "snorkel.labeling.model"):  # which stages import when they run
        importlib.import_module(module)
    for line in sys.stdin:
        project, moment, number = line.rstrip("\n").split("\t")
        child = os.fork()
        if child == 0:
            run(Path(project), moment, float(number))
            return
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()

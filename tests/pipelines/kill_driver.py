"""Run a project in this process and die by SIGKILL at a stated moment.

Usage: ``python kill_driver.py PROJECT MOMENT NUMBER`` with MOMENT one of

* ``seconds``: NUMBER seconds after the run began;
* ``before-rename``, ``after-rename``: at the NUMBER-th rename of a file or folder;
* ``fsync``: at the NUMBER-th flush to disk;
* ``checkpoint``: half-way through writing the NUMBER-th checkpoint file;
* ``never``.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any


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


def main() -> None:
    project, moment, number = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    from pipelines.engine import run_line
    from pipelines.project import Project

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


if __name__ == "__main__":
    main()

"""No process of ours outlives us, not even when we are killed with SIGKILL.

:func:`guarded` starts a small process that waits for the end of this one and then kills whatever
this one started: the Prefect server, LF workers, torchrun and their children. They are found by an
environment variable, which every program inherits, and by a pipe, which every fork inherits; both
survive a child that changes its session, its parent or its process group. Linux only; elsewhere
nothing is guarded.

Started as a program, this file is that small process, so it uses the standard library alone.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

__all__ = ["guarded"]

_SWEEP_S = 10.0  # how long to look for processes that are just being born
_QUIET_SWEEPS = 3  # sweeps in a row that found nothing
_PAUSE_S = 0.1


@contextmanager
def guarded() -> Iterator[None]:
    """Have every process that is started inside killed if this process dies before the end.

    What is still running at a normal end is left alone. Inside another guard this does nothing.
    """
    is_possible = hasattr(os, "pidfd_open") and Path("/proc/self/environ").exists()
    prefix = f"WEAKLIGHT_GUARD_{os.getpid()}_"
    if not is_possible or any(name.startswith(prefix) for name in os.environ):
        yield
        return
    marker = prefix + uuid4().hex
    own_life = os.pidfd_open(os.getpid())
    reader, writer = os.pipe()
    watchdog = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, str(own_life), marker, _target(writer)],
        pass_fds=[own_life],
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for us, not for the watchdog
    )
    os.environ[marker] = "1"
    try:
        yield
    finally:
        del os.environ[marker]
        watchdog.kill()
        watchdog.wait()
        for descriptor in (own_life, reader, writer):
            os.close(descriptor)


def _target(descriptor: int) -> str:
    """Return what a descriptor points to, such as ``pipe:[4711]``; forks show the same."""
    return os.readlink(f"/proc/self/fd/{descriptor}")


def _main(life: int, marker: str, pipe: str) -> None:
    select.select([life], [], [])  # readable once the guarded process has ended
    stop_at, quiet = time.monotonic() + _SWEEP_S, 0
    while quiet < _QUIET_SWEEPS and time.monotonic() < stop_at:
        left = [pid for pid in _pids() if _is_ours(pid, marker, pipe)]
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        quiet = 0 if left else quiet + 1
        time.sleep(_PAUSE_S)


def _pids() -> Iterator[int]:
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            yield int(name)


def _is_ours(pid: int, marker: str, pipe: str) -> bool:
    folder = Path("/proc", str(pid))
    # A process that ended meanwhile, or belongs to someone else, is not ours.
    with suppress(OSError):
        variables = (folder / "environ").read_bytes().split(b"\0")
        if f"{marker}=1".encode() in variables:
            return True
        for descriptor in os.listdir(folder / "fd"):
            with suppress(OSError):
                if os.readlink(folder / "fd" / descriptor) == pipe:
                    return True
    return False


if __name__ == "__main__":
    _main(int(sys.argv[1]), sys.argv[2], sys.argv[3])

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from pipelines.flows.watchdog import guarded

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the guard reads /proc")

PARENT = """
import os, subprocess, sys, time
from pipelines.flows.watchdog import guarded

def sleeper(**how):
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], **how).pid

with guarded():
    pids = [sleeper(), sleeper(start_new_session=True)]
    forked = os.fork()
    if forked == 0:
        os.setsid()
        time.sleep(60)
    print(*pids, forked, flush=True)
    {then}
"""


def wait_for(holds: Callable[[], bool], limit_s: float = 5.0) -> bool:
    stop_at = time.monotonic() + limit_s
    while not holds() and time.monotonic() < stop_at:
        time.sleep(0.05)
    return holds()


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def start(then: str) -> tuple[subprocess.Popen[str], list[int]]:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(then=then)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    return parent, [int(pid) for pid in parent.stdout.readline().split()]


def test_a_kill_takes_children_forks_and_other_sessions_with_it() -> None:
    parent, pids = start("time.sleep(60)")
    everyone = [p.pid for p in psutil.Process(parent.pid).children(recursive=True)]
    assert len(pids) == 3 and len(everyone) == 4  # and the watchdog itself
    assert all(is_alive(pid) for pid in everyone)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert wait_for(lambda: not any(is_alive(pid) for pid in everyone))


def test_a_normal_end_leaves_children_alone_and_ends_the_watchdog() -> None:
    parent, pids = start("pass")
    parent.wait()
    time.sleep(0.5)
    try:
        assert all(is_alive(pid) for pid in pids)
        watchdogs = [p for p in psutil.process_iter() if is_watchdog_of(p, parent.pid)]
        assert watchdogs == []
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)


def is_watchdog_of(process: psutil.Process, pid: int) -> bool:
    try:
        return any(f"WEAKLIGHT_GUARD_{pid}_" in word for word in process.cmdline())
    except psutil.Error:
        return False


def test_nested_guards_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("WEAKLIGHT_GUARD_")]:
        monkeypatch.delenv(name)  # of the guard that these tests themselves are under
    before = len(psutil.Process().children())
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    with guarded(), guarded():
        assert len(psutil.Process().children()) == before + 1
        assert sum(name.startswith("WEAKLIGHT_GUARD_") for name in os.environ) == 1
    assert len(psutil.Process().children()) == before
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from pipelines.project import Project
from tests.pipelines.flows.conftest import LIMIT_S, marked, wait_for, write_project


@pytest.mark.parametrize(
    ("options", "number"),
    [((), signal.SIGINT), (("--no-prefect",), signal.SIGINT), (("--no-prefect",), signal.SIGTERM)],
)
def test_a_signal_to_the_whole_group_ends_a_run_with_one_line(
    options: tuple[str, ...], number: signal.Signals, tmp_path: Path, environment: dict[str, str]
) -> None:
    root = write_project(tmp_path / "stopped", steps=4000)
    child = subprocess.Popen(
        [sys.executable, "-m", "weaklight.cli", "run", "--project", str(root), *options],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A test run in the background ignores Ctrl-C, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert child.stderr is not None
    if not options:
        assert next(child.stderr).startswith("starting Prefect")
    assert any(line.startswith("   ingest") for line in child.stderr)
    os.killpg(child.pid, number)
    _, rest = child.communicate(timeout=LIMIT_S)
    assert child.returncode == 130, rest
    *stages, last = rest.splitlines()
    assert last == "stopped; run the same command again to go on from here"
    assert all(line.startswith(("  reviews", " pretrain")) for line in stages), rest
    assert [r.status for r in Project.open(root).runs()] == ["interrupted"]
    assert wait_for(lambda: marked(environment) == [], 5), marked(environment)


def test_a_stopped_run_whose_server_is_gone_ends_as_stopped(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    root = write_project(tmp_path / "stopped", steps=4000)
    child = subprocess.Popen(
        [sys.executable, "-m", "weaklight.cli", "run", "--project", str(root)],
        env={**environment, "PREFECT_CLIENT_MAX_RETRIES": "0"},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert child.stderr is not None
    assert any(line.startswith("   ingest") for line in child.stderr)
    (server,) = [p for p in psutil.Process(child.pid).children() if "uvicorn" in p.cmdline()]
    server.kill()
    child.send_signal(signal.SIGINT)
    _, rest = child.communicate(timeout=LIMIT_S)
    assert child.returncode == 130, rest
    # Among what Prefect logs of what it could not send.
    assert "stopped; run the same command again to go on from here" in rest
    assert [r.status for r in Project.open(root).runs()] == ["interrupted"]

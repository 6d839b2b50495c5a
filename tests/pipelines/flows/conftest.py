"""Real Prefect servers and runs: each run is a process of its own, as a user starts it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import httpx
import psutil
import pytest

from pipelines.flows.server import local_server
from pipelines.flows.watchdog import guarded
from tests.pipelines.conftest import LFS, SETTINGS, shapes

LIMIT_S = 600  # for one run on a busy machine; a run takes 10 to 30 s on an idle one

RUN = """
import json, sys, time
from pathlib import Path
from pipelines.flows.run import run_with_prefect
from pipelines.project import Project

times = {}

def progress(stage, done, total, message):
    if message.startswith("waiting"):
        print("waiting", flush=True)
    elif stage not in times:
        times[stage] = [time.time(), None]
        print("working", stage, flush=True)

def on_stage(entry):
    times.setdefault(entry.name, [time.time(), None])[1] = time.time()

root, *targets = sys.argv[1:]
for target in targets:
    record = run_with_prefect(
        Project.open(root), (target,), progress=progress, on_stage=on_stage
    )
heavy = [m for m in ("torch", "snorkel", "sklearn") if m in sys.modules]
print(json.dumps({"run": record.run_id, "times": times, "heavy": heavy}))
"""


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One Prefect database for all tests: to make one takes ten seconds."""
    return tmp_path_factory.getbasetemp() / "prefect"


@pytest.fixture(scope="session")
def guard() -> Iterator[None]:
    """Have servers and runs killed if the tests themselves are, which then tidy nothing up."""
    with guarded():
        yield


@pytest.fixture(scope="session")
def environment(home: Path, guard: None) -> dict[str, str]:
    """The environment of a run, with a mark by which its processes are known."""
    mark = f"WEAKLIGHT_TEST_{uuid4().hex}"
    servers = ("PREFECT_API_URL", "WEAKLIGHT_PREFECT_SERVER")
    kept = {k: v for k, v in os.environ.items() if k not in servers}
    return {**kept, "PREFECT_HOME": str(home), "OMP_NUM_THREADS": "1", "TEST_MARK": mark}


@pytest.fixture(autouse=True)
def _nothing_outlives_its_test(environment: dict[str, str]) -> Iterator[None]:
    """A test that fails half-way leaves a run, or ``weaklight serve`` with its server, behind."""
    yield
    wait_for(lambda: not marked(environment), 5)
    left = marked(environment)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    assert not left, "the test has left processes running"


@pytest.fixture(scope="session")
def server(home: Path, guard: None) -> Iterator[str]:
    """A whole local server on the same database; yields its URL."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PREFECT_API_URL", raising=False)
        patch.setenv("PREFECT_HOME", str(home))
        with local_server(home) as url:
            yield url


@pytest.fixture(scope="session")
def finished(
    tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]
) -> tuple[Path, dict]:
    """A small project that the whole line was run on through the embedded server."""
    root = write_project(tmp_path_factory.mktemp("flows") / "Small Shop")
    return root, run(root, "report", environment=environment)


def settings(*, steps: int = 6, more: str = "") -> str:
    return SETTINGS.replace("steps = 6", f"steps = {steps}") + more


def write_project(root: Path, *, steps: int = 6, more: str = "") -> Path:
    (root / "lfs").mkdir(parents=True)
    shapes().to_parquet(root / "items.parquet", index=False)
    (root / "weaklight.toml").write_text(settings(steps=steps, more=more))
    (root / "lfs" / "shapes.py").write_text(LFS)
    return root


def start(
    root: Path, *targets: str, environment: dict[str, str], **more: str
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(root), *targets],
        env={**environment, **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> dict:
    out, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1]) | {"waited": "waiting" in out.splitlines()}


def run(root: Path, *targets: str, environment: dict[str, str], **more: str) -> dict:
    return finish(start(root, *targets, environment=environment, **more))


def ask(server: str, what: str, **body: object) -> list[dict]:
    answer = httpx.post(f"{server}/{what}/filter", json=body)
    answer.raise_for_status()
    return answer.json()


def marked(environment: dict[str, str]) -> list[psutil.Process]:
    """Return the living processes that descend from a run of this test session."""
    found = []
    for process in psutil.process_iter():
        try:
            if (
                process.environ().get("TEST_MARK") == environment["TEST_MARK"]
                and process.status() != psutil.STATUS_ZOMBIE
            ):
                found.append(process)
        except psutil.Error:
            continue
    return found


def wait_for(holds: Callable[[], bool], limit_s: float) -> bool:
    stop_at = time.monotonic() + limit_s
    while not holds() and time.monotonic() < stop_at:
        time.sleep(0.1)
    return holds()


def kill(child: subprocess.Popen[str]) -> None:
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=15)  # its pipes close once its children are gone

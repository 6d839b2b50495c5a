import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest

from pipelines.flows import serve as module
from pipelines.flows.line import FLOWS
from pipelines.flows.serve import serve
from pipelines.graph import STAGES
from pipelines.project import Project, RunRecord
from tests.pipelines.flows.conftest import LIMIT_S, kill, marked, settings, wait_for, write_project
from weaklight.errors import ConfigError, ProjectBusyError

SERVE = """
import sys
from pathlib import Path
from pipelines.flows import serve as module
from pipelines.flows.serve import serve
module.POLL_S = module.LOOK_S = 0.5
serve(Path(sys.argv[1]), on_event=lambda text: print(text, flush=True))
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, finished: tuple[Path, dict]) -> Path:
    """A scheduled project that has only its report left to do."""
    folder = tmp_path_factory.mktemp("serve") / "shop"
    shutil.copytree(finished[0], folder)
    (folder / "weaklight.toml").write_text(settings(more="\n[schedule]\nevery_s = 4\n"))
    shutil.rmtree(folder / ".weaklight" / "artifacts" / "report")
    shutil.rmtree(folder / ".weaklight" / "runs")
    return folder


def start_serving(root: Path, environment: dict[str, str], log: IO[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SERVE, str(root)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        start_new_session=True,
        # A test run in the background ignores Ctrl-C, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def wait_for_runs(child: subprocess.Popen[str], n: int) -> list[str]:
    """Read lines until ``n`` runs were told of; the first line says what is served."""
    assert child.stdout is not None
    lines: list[str] = []
    stop_at = time.monotonic() + LIMIT_S
    while len(lines) <= n and time.monotonic() < stop_at:
        line = child.stdout.readline()
        assert line, "serve ended"
        if line.startswith(("serving", "run 2")):
            lines.append(line.rstrip())
    return lines


def finished_runs(root: Path) -> list[RunRecord]:
    return [r for r in Project.open(root).runs() if r.status == "done"]


def test_a_schedule_fires_until_a_kill_and_the_next_serve_goes_on_until_it_is_ended(
    root: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    with (tmp_path / "log").open("w") as log:
        child = start_serving(root, environment, log)
        serving, *told = wait_for_runs(child, 2)
        n_runs = len(Project.open(root).runs())
        assert wait_for(lambda: len(Project.open(root).runs()) > n_runs, LIMIT_S)
        kill(child)  # most likely in the middle of that run
        assert wait_for(lambda: marked(environment) == [], 5), marked(environment)

        n_done = len(finished_runs(root))
        child = start_serving(root, environment, log)
        wait_for_runs(child, 1)
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=LIMIT_S)
    assert child.returncode == 0, (tmp_path / "log").read_text()
    assert len(finished_runs(root)) > n_done
    assert wait_for(lambda: marked(environment) == [], 5), "the server is stopped on exit"

    assert serving.startswith(f"serving {root} every 4 s; Prefect at http://127.0.0.1:")
    first, second = finished_runs(root)[:2]
    assert [s.name for s in second.stages] == [s.name for s in STAGES]
    assert [s.name for s in first.stages if not s.cached] == ["report"]
    assert all(s.cached for s in second.stages)
    assert told[0].startswith(
        f"run {first.run_id} done: {len(STAGES)} stages, {len(STAGES) - 1} cached"
    )
    assert re.search(r" s; accuracy [\d.]+ % \([\d.]+ to [\d.]+ %, n=45\)$", told[0])
    assert f"{second.run_id} done: {len(STAGES)} stages, {len(STAGES)} cached" in told[1]


def test_ctrl_c_ends_it_and_leaves_nothing(
    root: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    with (tmp_path / "log").open("w") as log:
        child = start_serving(root, environment, log)
        wait_for_runs(child, 0)
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=LIMIT_S)
    assert "KeyboardInterrupt" in (tmp_path / "log").read_text()
    assert wait_for(lambda: marked(environment) == [], 5), marked(environment)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("", r"names no time; add a line such as cron"),
        ('[schedule]\ncron = "0 2 * *"', "five fields"),
        ('[schedule]\ncron = "0 25 * * *"', "outside 0-23"),
        ('[schedule]\ncron = "0 2 * * *"\ntimezone = "Moon/Base"', "Europe/Berlin"),
    ],
)
def test_a_schedule_that_names_no_time_is_refused_before_anything_starts(
    section: str, words: str, tmp_path: Path
) -> None:
    root = write_project(tmp_path / "shop", more=f"\n{section}\n")
    with pytest.raises(ConfigError, match=words):
        serve(root)
    assert not (root / ".prefect").exists()


def test_a_project_is_served_once(tmp_path: Path) -> None:
    root = write_project(tmp_path / "shop", more="\n[schedule]\nevery_s = 4\n")
    with (
        Project.open(root).serving(),
        pytest.raises(ProjectBusyError, match=f"process {os.getpid()}.* already; stop that one"),
    ):
        serve(root)
    assert not (root / ".prefect").exists()


def test_a_scheduled_run_that_could_not_begin_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = write_project(tmp_path / "shop", more="\n[schedul]\n")
    with pytest.raises(ConfigError):
        FLOWS["all"].fn(str(root))
    assert "a scheduled run did not begin" in caplog.text and "schedul: unknown" in caplog.text


def test_a_record_that_cannot_be_read_is_told_of_and_silences_no_later_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    project = Project.open(write_project(tmp_path / "shop"))
    told: list[str] = []

    async def watch() -> None:
        watching = asyncio.create_task(module._tell_of_runs(project, told.append))
        await asyncio.sleep(0.05)
        for status in ("torn", "pruned", "done"):
            record = RunRecord(f"2-{status}", "now", 0, "here", {}, status=status)
            if status == "pruned":
                record.artifacts["vote"] = record.status = "done"
            path = project.save_run(record)
            if status == "torn":
                path.write_text("{")
        for _ in range(500):
            if len(told) == 3:
                break
            await asyncio.sleep(0.01)
        watching.cancel()

    asyncio.run(watch())
    assert sorted(told)[0] == "run 2-done done: 0 stages, 0 cached, 0.0 s"
    assert "2-pruned done: 0 stages, 0 cached, 0.0 s; its results cannot be read" in sorted(told)[1]
    assert "2-torn.json cannot be read" in sorted(told)[2]

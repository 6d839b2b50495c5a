import json
import time
from pathlib import Path

import httpx

from pipelines.graph import STAGES
from pipelines.project import Project
from tests.pipelines.flows.conftest import (
    LIMIT_S,
    ask,
    finish,
    kill,
    marked,
    run,
    settings,
    start,
    wait_for,
    write_project,
)


def test_the_whole_line_runs_and_leaves_its_artifacts_in_prefect(
    finished: tuple[Path, dict], environment: dict[str, str], server: str
) -> None:
    root, outcome = finished
    record = Project.open(root).latest_run()
    assert record is not None and record.run_id == outcome["run"]
    assert [s.name for s in record.stages] == [s.name for s in STAGES]
    assert not any(s.cached for s in record.stages)
    assert marked(environment) == [], "the embedded server ends with the run"

    (flow,) = ask(server, "flows", flows={"name": {"any_": ["weaklight-all"]}})
    runs = ask(server, "flow_runs", flows={"id": {"any_": [flow["id"]]}})
    mine = [r for r in runs if r["parameters"]["project"] == str(root)]
    assert [r["state_name"] for r in mine] == ["Completed"]
    tasks = ask(server, "task_runs", flow_runs={"id": {"any_": [mine[0]["id"]]}})
    assert sorted(t["name"] for t in tasks) == sorted(s.name for s in STAGES)

    artifacts = {a["key"]: a for a in ask(server, "artifacts") if a["flow_run_id"] == mine[0]["id"]}
    table = json.loads(artifacts["small-shop-lf-table"]["data"])
    assert [row["name"] for row in table] == ["is_tall", "is_wide", "is_round", "is_long"]
    page = artifacts["small-shop-report"]["data"]
    assert "95 % interval" in page and "report.html" in page


def test_a_cached_run_imports_nothing_heavy(
    finished: tuple[Path, dict], environment: dict[str, str], server: str
) -> None:
    root, first = finished
    again = run(root, "report", environment=environment, PREFECT_API_URL=server)
    assert again["heavy"] == []
    project = Project.open(root)
    before, after = (
        next(r for r in project.runs() if r.run_id == run_id)
        for run_id in (first["run"], again["run"])
    )
    assert all(s.cached for s in after.stages)
    assert after.artifacts == before.artifacts


def test_each_stage_family_is_a_flow_of_its_own(
    finished: tuple[Path, dict], environment: dict[str, str], server: str
) -> None:
    root, _ = finished
    run(root, "pretrain", "clean", "train", environment=environment, PREFECT_API_URL=server)
    for name, stages in (
        ("pretrain", {"ingest", "pretrain"}),
        ("label", {"ingest", "reviews", "pretrain", "embed", "vote", "bags", "aggregate", "clean"}),
        ("train", {s.name for s in STAGES} - {"evaluate", "report"}),
    ):
        (flow,) = ask(server, "flows", flows={"name": {"any_": [f"weaklight-{name}"]}})
        runs = ask(server, "flow_runs", flows={"id": {"any_": [flow["id"]]}})
        (mine,) = [r for r in runs if r["parameters"]["project"] == str(root)]
        tasks = ask(server, "task_runs", flow_runs={"id": {"any_": [mine["id"]]}})
        assert {t["name"] for t in tasks} == stages
        keys = [a["key"] for a in ask(server, "artifacts") if a["flow_run_id"] == mine["id"]]
        assert keys == ([] if name == "pretrain" else ["small-shop-lf-table"])


def test_the_caller_gets_our_error_and_no_traceback_is_printed(
    tmp_path: Path, environment: dict[str, str], server: str
) -> None:
    root = write_project(tmp_path / "empty")
    (root / "items.parquet").unlink()
    process = start(root, "ingest", environment=environment, PREFECT_API_URL=server)
    _, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 1
    assert err.count("Traceback") == 1, "the interpreter's own, of the error that was raised"
    assert err.splitlines()[-1].startswith(("weaklight.errors.DataError", "weaklight.errors.Conf"))


def test_training_waits_for_prefects_slot_and_two_flows_never_train_at_once(
    tmp_path: Path, environment: dict[str, str], server: str
) -> None:
    limits = f"{server}/v2/concurrency_limits/"
    if httpx.get(f"{limits}gpu").status_code == httpx.codes.NOT_FOUND:
        httpx.post(limits, json={"name": "gpu", "limit": 1}).raise_for_status()
    httpx.patch(f"{limits}gpu", json={"active_slots": 1}).raise_for_status()
    roots = [write_project(tmp_path / name) for name in ("one", "two")]
    children = [
        start(root, "pretrain", environment=environment, PREFECT_API_URL=server) for root in roots
    ]
    for child in children:
        assert child.stdout is not None
        assert "waiting\n" in iter(child.stdout.readline, "")
    time.sleep(2)
    for root in roots:
        assert not list((root / ".weaklight" / "work").glob("pretrain/*/*")), "it did not wait"

    def frees_the_slot() -> bool:
        answer = httpx.patch(f"{limits}gpu", json={"active_slots": 0})
        return answer.status_code != httpx.codes.SERVICE_UNAVAILABLE and bool(
            answer.raise_for_status()
        )

    assert wait_for(frees_the_slot, 60)  # the server's database may be busy with those who wait
    one, two = (finish(child) for child in children)
    first, second = sorted(o["times"]["pretrain"] for o in (one, two))
    assert first[1] <= second[0], "they overlapped"


def test_a_kill_leaves_no_process_and_no_slot_behind(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    root = write_project(tmp_path / "killed", steps=400)
    child = start(root, "pretrain", environment=environment)
    time.sleep(2)  # it or its server is starting
    kill(child)
    assert wait_for(lambda: marked(environment) == [], 5), marked(environment)

    child = start(root, "pretrain", environment=environment)
    assert child.stdout is not None
    assert "working pretrain\n" in iter(child.stdout.readline, "")
    kill(child)
    assert wait_for(lambda: marked(environment) == [], 5), marked(environment)

    (root / "weaklight.toml").write_text(settings(steps=4))
    again = run(root, "pretrain", environment=environment)
    assert not again["waited"], "it waited for the slot of the dead"
    statuses = [r.status for r in Project.open(root).runs()]
    assert statuses[-2:] == ["interrupted", "done"]

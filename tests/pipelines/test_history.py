"""Past runs, one line each: what ran, how right the classifier was, and what does not compare."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipelines.history import past_runs
from pipelines.project import Project, RunRecord, StageRecord
from pipelines.store import Manifest, Output, hash_path
from weaklight.cli import app

LINE = ("ingest", "reviews", "vote", "pretrain", "embed", "aggregate", "evaluate")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "weaklight.toml").write_text(
        'classes = ["ham", "spam"]\n[items]\nsource = "mail"\n'
    )
    return Project.open(tmp_path)


def run(
    project: Project,
    name: str,
    *ran: str,
    status: str = "done",
    gold: str = "g1",
    right: float | None = 0.8,
    n: int = 100,
    weighted_by: str | None = None,
    stages: tuple[str, ...] = LINE,
) -> None:
    """Record a run in which these stages were not cached, and store its evaluation."""
    nothing: dict[str, Any] = {}
    measured = {"value": right, "low": 0.7, "high": 0.9, "n": n}
    evaluation = {
        "weighted_by": weighted_by,
        "headline": [{"key": "classifier_accuracy", **measured}],
        "agreement": [{"key": "classifier_weak", **measured, "value": 0.61, "n": 900}],
    }
    with project.store.writing("evaluate", name) as out:
        (out / "evaluation.json").write_text(json.dumps(evaluation))
        output = Output("evaluation.json", *hash_path(out / "evaluation.json"))
        manifest = Manifest(
            "evaluate", name, 1, {"gold_test": gold}, nothing, 0, nothing, nothing,
            {"evaluation": output}, nothing, (),
        )  # fmt: skip
        project.store.commit(out, manifest)
    entries = [
        StageRecord(s, name, s not in ran, 0.1, 0.0, {"n": 1200} if s == "ingest" else {}, ())
        for s in stages
    ]
    project.save_run(
        RunRecord(
            name,
            "2026-01-03T01:00:04+00:00",
            0,
            "here",
            {},
            status=status,
            artifacts=dict.fromkeys(stages, name),
            stages=entries,
            test_looks=3 if "evaluate" in stages else None,
        )
    )


def shown(project: Project, *options: str) -> list[str]:
    done = CliRunner().invoke(app, ["runs", "--project", str(project.root), *options])
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


def test_a_line_says_when_what_ran_and_how_right_it_was(project: Project) -> None:
    assert shown(project) == ["no runs yet; `weaklight run` makes the first"]
    run(project, "r1", *LINE)
    run(project, "r2", "reviews", "vote", "embed", "aggregate", "evaluate")
    run(project, "r3")
    run(project, "r4", "ingest", status="failed", stages=LINE[:2])
    assert [one.ran for one in past_runs(project, 9)] == [
        "ingest to evaluate",
        "reviews, vote, embed to evaluate",
        "",
        "ingest",
    ]
    header, _, first, *_, cached, failed = shown(project)
    assert header.split()[:2] == ["run", "started"]
    measured = "1,200        100  0.800 [0.700, 0.900]      3"
    assert first == f"r1   2026-01-03 01:00  done    ingest to evaluate                {measured}"
    assert "  all cached  " in cached
    assert failed.split()[3:] == ["failed", "ingest", "1,200", "-", "-", "-"]
    assert [line.split()[0] for line in shown(project, "--last", "2")[2:]] == ["r3", "r4"]


def test_accuracies_on_other_gold_than_the_one_above_are_marked(project: Project) -> None:
    run(project, "r1", gold="g1")
    run(project, "r2", gold="g1", right=0.9)
    run(project, "r3", gold="g2")
    run(project, "r4", gold="g2", status="failed", stages=LINE[:2])
    run(project, "r5", gold="g2")
    run(project, "r6", gold="g2", weighted_by="the draws")
    run(project, "r7", gold="none", right=None)
    run(project, "r8", gold="g2", weighted_by="the draws")
    marked = [one.run_id for one in past_runs(project, 9) if one.is_other_gold]
    assert marked == ["r3", "r6"]
    *table, other, agreement = shown(project)
    assert [line.split()[0] for line in table if "*" in line] == marked
    assert other.startswith("* measured on other gold") and "do not compare" in other
    assert "0  agrees 0.610 [0.700, 0.900]" in table[8]
    assert agreement.startswith("agrees: there was no gold of test")
    assert not any("*" in line for line in shown(project, "--last", "1"))


def test_what_is_gone_unknown_or_too_little_is_not_told(project: Project) -> None:
    run(project, "r1")
    shutil.rmtree(project.store.folder("evaluate", "r1"))
    run(project, "r2", gold="g2", n=19)
    (project.state / "runs" / "r3.json").write_text("{")
    run(project, "r4", gold="g2", status="running")
    gone, few, torn, killed = shown(project)[2:6]
    assert gone.split()[-3:] == ["-", "-", "3"]
    assert "19  too few" in few and "*" not in few
    assert torn.split()[:3] == ["r3", "-", "unreadable"]
    assert killed.split()[3] == "interrupted"
    (project.state / "lock").write_text(str(os.getpid()))
    assert shown(project)[5].split()[3] == "running"

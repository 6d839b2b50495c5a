"""Looks at test are counted by its items, and need neither artifacts nor records of old runs."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pandas as pd
import pytest

from pipelines.looks import looks_at_test
from pipelines.project import Project, RunRecord
from pipelines.store import Manifest, Output, hash_path
from weaklight.errors import ArtifactError


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "weaklight.toml").write_text('classes = ["ham", "spam"]\n[items]\nsource = "x"\n')
    return Project.open(tmp_path)


def evaluated(project: Project, name: str, items: range, gold: int = 0) -> int:
    """Evaluate as ``name`` by gold of these test items, in a run of that name."""
    table = pd.DataFrame({"item_id": [f"i{n}" for n in items], "gold": gold})
    with project.store.writing("ingest", name) as out:
        table.to_parquet(out / "gold.parquet")
        output = Output("gold.parquet", *hash_path(out / "gold.parquet"))
        outputs = {"gold_test": output}
        manifest = Manifest("ingest", name, 1, {}, {}, 0, {}, {}, outputs, {}, ())
        project.store.commit(out, manifest)
    artifacts = {"ingest": name, "evaluate": name}
    project.save_run(RunRecord(name, "now", 0, "here", {}, artifacts=artifacts))
    return looks_at_test(project, name, name)


def test_half_of_todays_test_items_make_a_look(project: Project) -> None:
    assert evaluated(project, "january", range(20)) == 1
    assert evaluated(project, "corrected", range(20), gold=1) == 2
    assert evaluated(project, "grown", range(40)) == 3
    assert evaluated(project, "grown", range(40)) == 3  # no other evaluation
    assert evaluated(project, "much grown", range(41)) == 2  # 20 of 41 were read by the first two
    assert evaluated(project, "other", range(100, 110)) == 1
    assert evaluated(project, "back", range(10)) == 5  # a part of all but the other one
    assert evaluated(project, "none", range(0)) == 0
    assert evaluated(project, "after none", range(100, 110)) == 2


def test_what_was_removed_counts_and_what_came_before_the_count_does(project: Project) -> None:
    for name in ("first", "second"):
        evaluated(project, name, range(20))
    (project.state / "looks.json").unlink()  # as in a project of an older version
    assert evaluated(project, "third", range(25)) == 3
    shutil.rmtree(project.state / "artifacts")
    shutil.rmtree(project.state / "runs")
    assert evaluated(project, "fourth", range(25)) == 4
    (project.state / "looks.json").unlink()
    shutil.rmtree(project.store.folder("ingest", "fourth"))
    assert evaluated(project, "fifth", range(25)) == 1  # of the fourth nothing is left to read


def test_a_year_of_hourly_evaluations_is_counted_quickly(project: Project) -> None:
    n = 8_760
    spans = {f"i{k}": [[k, n]] for k in range(2_000)}
    looks = {"evaluations": [f"{k:024}" for k in range(n)], "read_by": spans}
    project.state.mkdir(exist_ok=True)
    (project.state / "looks.json").write_text(json.dumps(looks))
    started = time.process_time()
    assert evaluated(project, "now", range(2_000)) == n - 999 + 1
    assert time.process_time() - started < 1


def test_a_count_that_cannot_be_read_says_what_to_do(project: Project) -> None:
    evaluated(project, "first", range(20))
    (project.state / "looks.json").write_text("{")
    with pytest.raises(ArtifactError, match="delete it and run again"):
        evaluated(project, "second", range(20))

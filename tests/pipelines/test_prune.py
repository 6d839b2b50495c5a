"""Pruning frees disk, and nothing that anybody may still ask for is gone."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from pipelines import pin
from pipelines.engine import Run, run_line
from pipelines.gold import draw_gold
from pipelines.looks import looks_at_test
from pipelines.pixels import load_pixels
from pipelines.project import Project, RunRecord
from pipelines.prune import prune
from pipelines.queries import RunView
from pipelines.store import hash_path
from tests.pipelines.conftest import LFS, shapes
from tests.pipelines.conftest import SETTINGS as SLOWER_SETTINGS
from tests.pipelines.test_kill import contents
from weaklight.cli import app
from weaklight.errors import ArtifactError, ProjectBusyError

# As quick as a label model is: here it is about what is kept, not about labels.
SETTINGS = f"""{SLOWER_SETTINGS}
[aggregate]
model = "majority_vote"
features = "off"
"""
OLD_SETTINGS = SETTINGS.replace("neighbors = 5", "neighbors = 4")


def items(root: Path, n_changed: int, n: int = 110) -> None:
    """Write the source: the first ``n`` items, of which the first few have another picture."""
    table = pd.concat([shapes(60, 20, 30), shapes(20, 0, 0, seed=7)], ignore_index=True)
    table["item_id"] = [f"i{k:04d}" for k in range(len(table))]
    table.loc[110:, ["bag_id", "bag_label"]] = None
    table.loc[: n_changed - 1, "image"] = table.loc[50 : 49 + n_changed, "image"].to_numpy()
    table.head(n).to_parquet(root / "items.parquet", index=False)


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of four runs on four sets of items, the third of which failed.

    Its encoder is pinned to the items of the first, and gold was drawn from those of the second.
    """
    root = tmp_path_factory.mktemp("prune") / "project"
    (root / "lfs").mkdir(parents=True)
    (root / "lfs" / "shapes.py").write_text(LFS)
    (root / "weaklight.toml").write_text(OLD_SETTINGS)
    project = Project.open(root)
    items(root, 0)
    run_line(project)
    items(root, 1)
    run_line(project)
    draw_gold(project, 8, "test", reviewer="ada")
    items(root, 2)
    with pytest.raises(RuntimeError), Run(project) as run:
        run.stage("ingest")
        raise RuntimeError
    items(root, 3, 130)
    (root / "weaklight.toml").write_text(SETTINGS)
    run_line(Project.open(root))
    return root


@pytest.fixture
def project(grown: Path, tmp_path: Path) -> Project:
    return Project.open(shutil.copytree(grown, tmp_path / "copy"))


def stored(project: Project) -> dict[Path, int]:
    """Return the bytes of every artifact file and shard."""
    folders = (project.state / "artifacts", project.state / "shards")
    return {p: p.stat().st_size for f in folders for p in f.rglob("*") if p.is_file()}


def is_whole(project: Project, record: RunRecord) -> bool:
    """Return whether all that the run's manifests list is there, with the right bytes."""
    for stage, digest in record.artifacts.items():
        if not project.store.has(stage, digest):
            return False
        for output in project.store.manifest(stage, digest).outputs.values():
            file = project.store.folder(stage, digest) / output.file
            assert hash_path(file) == (output.sha256, output.size)
    pixels = load_pixels(project.store.path("ingest", record.artifacts["ingest"], "pixels"))
    assert pixels[:].any(axis=(1, 2, 3)).all()
    return True


@pytest.mark.parametrize(
    ("keep", "whole"),
    [(1, [False, False, False, True]), (2, [False, True, True, True]), (4, [True] * 4)],
)
def test_kept_runs_are_whole_and_the_next_finds_everything_cached(
    project: Project, keep: int, whole: list[bool]
) -> None:
    before = stored(project)
    told = prune(project, keep, dry_run=True)
    assert stored(project) == before
    assert prune(project, keep) == told
    assert sum(before.values()) - sum(stored(project).values()) == told.size
    assert bool(told.size) == (not all(whole))
    assert [is_whole(project, record) for record in project.runs()] == whole
    assert not prune(project, keep).size
    assert all(stage.cached for stage in run_line(project).stages)


def test_the_newest_run_that_got_to_a_stage_stays_whole_behind_runs_that_stopped_before(
    project: Project,
) -> None:
    whole = project.runs()[-1]
    items(project.root, 4)
    run_line(project, ("ingest",))
    prune(project, 1)
    assert is_whole(project, whole)
    items(project.root, 3, 130)
    assert all(stage.cached for stage in run_line(project).stages)


def test_only_shards_that_a_kept_ingest_lists_stay(project: Project) -> None:
    shards = set((project.state / "shards").iterdir())
    assert len(shards) == 4  # one a set of items
    (project.state / "shards" / ".x.npy.7.tmp").write_bytes(b"cut")  # a killed process left it
    freed = prune(project, 1)
    assert len(freed.shards) == 2
    assert len(set((project.state / "shards").iterdir()) & shards) == 3  # all but the failed run's


def test_what_old_runs_tell_is_told_as_before(project: Project, tmp_path: Path) -> None:
    untouched = Project.open(shutil.copytree(project.root, tmp_path / "untouched"))
    freed = prune(project, 1)
    assert {stage for stage, _ in freed.artifacts} >= {"ingest", "embed", "aggregate", "report"}
    told = []
    for one in (untouched, project):
        newest = one.latest_run()
        assert newest is not None
        snapshot, why = pin.choose_snapshot(one, newest.artifacts["ingest"])
        draw = draw_gold(one, 10, "test", reviewer="ada")
        after = run_line(one)
        told.append((snapshot, why, draw.n_new, draw.unevenness, after.test_looks))
        assert snapshot != newest.artifacts["ingest"]
    assert told[0] == told[1]
    assert told[0][2] and told[0][4] > 1


def test_looks_from_before_they_were_remembered_are_counted_after_pruning(
    project: Project, tmp_path: Path
) -> None:
    for file in ("looks.json", "encoder_pin.json", "reviews.sqlite"):
        (project.state / file).unlink()
    untouched = Project.open(shutil.copytree(project.root, tmp_path / "untouched"))
    prune(project, 1)
    ingest = project.runs()[-1].artifacts["ingest"]
    looks = [looks_at_test(one, "the next", ingest) for one in (project, untouched)]
    assert looks == [4, 4]


def test_a_reverted_setting_runs_again_to_the_same_bytes(project: Project) -> None:
    before = contents(project.root)
    prune(project, 1)
    for file in project.state.glob("reviews.sqlite*"):  # the second run was before gold was drawn
        file.unlink()
    (project.root / "weaklight.toml").write_text(OLD_SETTINGS)
    items(project.root, 1)
    record = run_line(Project.open(project.root))
    ran = {stage.name for stage in record.stages if not stage.cached}
    assert {"embed", "aggregate", "report"} <= ran and "pretrain" not in ran
    assert record.artifacts == project.runs()[1].artifacts
    made = contents(project.root)
    assert made.items() <= before.items()
    assert is_whole(project, record)


def test_what_a_killed_run_made_last_stays_and_older_strays_go(project: Project) -> None:
    *_, newest = project.runs()
    (project.state / "runs" / f"{newest.run_id}.json").unlink()
    *_, oldest_kept, _ = project.runs()
    unnamed = [("embed", newest.artifacts["embed"]), ("report", newest.artifacts["report"])]
    os.utime(project.store.folder(*unnamed[1]), (0, 0))
    assert not prune(project, 3).size  # as there are but two finished runs
    prune(project, 1)
    assert [project.store.has(*artifact) for artifact in unnamed] == [True, False]
    assert is_whole(project, oldest_kept)


def test_records_of_pruned_runs_break_nothing(project: Project) -> None:
    newest, old = project.runs()[-1], project.runs()[1]

    def weaklight(*arguments: str) -> str:
        done = CliRunner().invoke(app, [*arguments, "--project", str(project.root)])
        assert done.exit_code == 0, done.output
        return done.output

    listed = weaklight("runs")
    assert [line.split()[0] for line in listed.splitlines()[2:6]] == [
        run.run_id for run in project.runs()
    ]
    told = weaklight("prune", "--keep", "1", "--dry-run").splitlines()
    assert told[-1].startswith("would free ") and told[-1].endswith("kept the newest finished run")
    assert weaklight("prune", "--keep", "1") == told[-1].replace("would free", "freed") + "\n"
    assert weaklight("prune", "--keep", "1").startswith("nothing to free")
    assert "0 damaged" in weaklight("doctor")
    assert weaklight("runs") == listed  # accuracies, too
    assert "cached" in weaklight("run", "--dry-run")
    view = RunView.latest(project)
    assert view is not None and view.run_id == newest.run_id
    wish = ["export", "labels", "--run", old.run_id, "--project", str(project.root)]
    with pytest.raises(ArtifactError, match="weaklight prune"):
        CliRunner().invoke(app, wish, catch_exceptions=False)


def test_where_reviews_cannot_be_read_all_items_stay_and_the_rest_goes(project: Project) -> None:
    def gone() -> set[str]:
        stages = [stage for record in project.runs() for stage in record.artifacts.items()]
        return {stage for stage, digest in stages if not project.store.has(stage, digest)}

    for file in project.state.glob("reviews.sqlite*"):
        file.unlink()
    with closing(sqlite3.connect(project.state / "reviews.sqlite")) as other:
        other.execute("CREATE TABLE strange (x)")
    done = CliRunner().invoke(app, ["prune", "--keep", "1", "--project", str(project.root)])
    assert done.stdout.startswith("freed ") and "cannot be read" in done.stderr
    assert {"embed", "report"} <= gone() and "ingest" not in gone()


def test_nothing_is_pruned_while_a_run_goes_on(project: Project) -> None:
    before = stored(project)
    with Run(project):
        assert prune(project, 1, dry_run=True).size
        with pytest.raises(ProjectBusyError):
            prune(project, 1)
    assert stored(project) == before

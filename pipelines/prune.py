"""Free disk of artifacts that nothing needs any more.

A run keeps what it made, so a project that runs every night grows every night. Records of runs,
reviews, caches and settings stay; so do artifacts that the next run, the app, an export or a
figure of test may ask for.

Try it: ``weaklight prune --dry-run``.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pipelines.graph import STAGES
from pipelines.pin import read_pin
from pipelines.project import Project, RunRecord
from pipelines.shards import listed_shards
from pipelines.store import explain_disk_errors
from weaklight.errors import StorageError

__all__ = ["Freed", "prune"]

_LISTINGS = ("pixels", "signals")  # outputs of ingest that list shards


@dataclass(frozen=True)
class Freed:
    """What was freed, or would be.

    Attributes
    ----------
    artifacts : bytes of each removed artifact, by its stage and digest
    shards : bytes of each removed file of decoded items
    n_runs : how many runs had used one of the artifacts
    n_kept : how many of the newest finished runs keep all of theirs
    doubt : why the items of all runs stay, as from which gold was drawn cannot be read; else empty
    """

    artifacts: dict[tuple[str, str], int]
    shards: dict[Path, int]
    n_runs: int
    n_kept: int
    doubt: str = ""

    @property
    def size(self) -> int:
        """All bytes together."""
        return sum(self.artifacts.values()) + sum(self.shards.values())


def prune(project: Project, keep: int = 5, *, dry_run: bool = False) -> Freed:
    """Remove artifacts that nothing needs, and decoded items that no ingest lists any more.

    Parameters
    ----------
    keep
        How many of the newest finished runs keep all their artifacts, as does every run, however
        it ended, that began after the oldest of them; at least 1. Where there are fewer, every
        artifact stays.
    dry_run
        Remove nothing, only tell.

    Raises
    ------
    ProjectBusyError
        If a run is going on; a dry run does not mind.
    ArtifactError
        If a run record cannot be read: what it names may be needed.
    """
    with nullcontext() if dry_run else project.locked():
        if not dry_run:
            project.store.sweep()
        records, store = project.runs(), project.store
        needed, doubt = _needed(project, records, keep), ""
        try:
            needed |= _of_draws(project, records)
        except StorageError as error:  # as on a full disk, which is when room is wanted most
            doubt = str(error)
            needed |= {artifact for artifact in store.everything() if artifact[0] == "ingest"}
        unneeded = [artifact for artifact in store.everything() if artifact not in needed]
        artifacts = {artifact: store.size(*artifact) for artifact in unneeded}
        shards = _unlisted_shards(project, needed)
        if not dry_run:
            for artifact in artifacts:
                store.remove(*artifact)
            for shard in shards:
                with explain_disk_errors(shard):
                    shard.unlink(missing_ok=True)
    n_runs = sum(not artifacts.keys().isdisjoint(record.artifacts.items()) for record in records)
    n_finished = sum(record.status == "done" for record in records)
    return Freed(artifacts, shards, n_runs, min(keep, n_finished), doubt)


def _needed(project: Project, records: list[RunRecord], keep: int) -> set[tuple[str, str]]:
    """Return stage and digest of every artifact that stays, whatever gold was drawn from."""
    finished = [i for i, record in enumerate(records) if record.status == "done"]
    if len(finished) < keep:
        return set(project.store.everything())
    first = finished[-keep]
    whole = [*records[first:], *_newest_of_each_stage(records)]
    needed = {artifact for record in whole for artifact in record.artifacts.items()}
    needed |= _of_the_pin(project)
    needed |= _of_looks(project, records)
    return needed | _unrecorded_since(project, records, records[first])


def _newest_of_each_stage(records: list[RunRecord]) -> Iterable[RunRecord]:
    """Yield what `Project.latest_run` answers, whichever stage it is asked for."""
    for spec in STAGES:
        got_there = [record for record in records if spec.name in record.artifacts]
        yield from got_there[-1:]
        yield from [record for record in got_there if record.status == "done"][-1:]


def _of_the_pin(project: Project) -> set[tuple[str, str]]:
    """Return the items that the encoder is pinned to; it is itself of the newest run with one."""
    pin = read_pin(project)
    return set() if pin is None else {("ingest", pin.ingest)}


def _of_draws(project: Project, records: list[RunRecord]) -> set[tuple[str, str]]:
    """Return the items from which gold was drawn: chances of later draws are told by them."""
    if not project.has_reviews:
        return set()
    run_ids = set(project.reviews().draws()["run_id"])
    return {
        ("ingest", record.artifacts["ingest"])
        for record in records
        if record.run_id in run_ids and "ingest" in record.artifacts
    }


def _of_looks(project: Project, records: list[RunRecord]) -> set[tuple[str, str]]:
    """Return evaluations that read test gold; they are small, and `weaklight runs` shows them.

    Where a project of an older version has not begun to remember its looks at test, the next run
    counts them by the items of these runs.
    """
    looked = [
        record
        for record in records
        for stage in record.stages
        if stage.name == "evaluate" and stage.metrics.get("majority_vote_accuracy") is not None
    ]
    is_counted = (project.state / "looks.json").is_file()
    stages = ("evaluate",) if is_counted else ("evaluate", "ingest")
    return {(stage, record.artifacts[stage]) for record in looked for stage in stages}


def _unrecorded_since(
    project: Project, records: list[RunRecord], first: RunRecord
) -> set[tuple[str, str]]:
    """Return artifacts that no record names, as a run was killed before it could."""
    since = datetime.fromisoformat(first.started).timestamp()
    named = {artifact for record in records for artifact in record.artifacts.items()}
    return {
        artifact
        for artifact in project.store.everything()
        if artifact not in named and project.store.folder(*artifact).stat().st_mtime >= since
    }


def _unlisted_shards(project: Project, needed: set[tuple[str, str]]) -> dict[Path, int]:
    """Return the bytes of each file of decoded items that no ingest artifact lists that stays."""
    store = project.store
    listed: set[Path] = set()
    for stage, digest in needed:
        if stage != "ingest" or not store.has(stage, digest):  # a damaged one is made again
            continue
        for output in _LISTINGS:
            if output in store.manifest(stage, digest).outputs:
                listed |= listed_shards(store.path(stage, digest, output))
    folder = project.state / "shards"
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return {file: file.stat().st_size for file in files if file not in listed}

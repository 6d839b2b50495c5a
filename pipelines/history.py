"""What became of the runs of a project, one line each, from their records.

Try it: ``weaklight runs``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pipelines.outcome import classifier_figure
from pipelines.project import Project, RunRecord
from weaklight.errors import ArtifactError

__all__ = ["Figure", "PastRun", "past_runs"]


@dataclass(frozen=True)
class Figure:
    """How good the classifier was found to be.

    Attributes
    ----------
    word : ``accuracy``, or without gold of test ``agreement``: with the weak labels
    value, low, high : the share and its 95 % interval
    n : the items that it was measured on
    gold : what tells the gold of test and how it is weighted from any other
    """

    word: str
    value: float
    low: float
    high: float
    n: int
    gold: tuple[str, str | None]


@dataclass(frozen=True)
class PastRun:
    """One run.

    Attributes
    ----------
    run_id : its id
    record : None where it cannot be read
    status : how it ended; ``running`` only while a process is at it
    n_items : None before items were taken in
    figure : None where there is none, or the evaluation is no longer there
    is_other_gold : the run above that has an accuracy was measured on other gold of test
    """

    run_id: str
    record: RunRecord | None
    status: str
    n_items: int | None = None
    figure: Figure | None = None
    is_other_gold: bool = False

    @property
    def ran(self) -> str:
        """The stages that were not found cached, neighbours in the run's order put together."""
        if self.record is None:
            return ""
        spans: list[list[str]] = []
        is_going_on = False
        for stage in self.record.stages:
            if not stage.cached and is_going_on:
                spans[-1].append(stage.name)
            elif not stage.cached:
                spans.append([stage.name])
            is_going_on = not stage.cached
        return ", ".join(
            f"{span[0]} to {span[-1]}" if len(span) > 2 else ", ".join(span) for span in spans
        )


def past_runs(project: Project, last: int) -> list[PastRun]:
    """Return the newest runs, the newest at the end.

    Notes
    -----
    Reads one record and at most one evaluation a run, whatever the number of items.
    """
    files = sorted((project.state / "runs").glob("*.json"))[-last:]
    is_locked = project.is_locked()
    found: list[PastRun] = []
    above: Figure | None = None
    for file in files:
        run = _past_run(project, file, is_locked, above)
        if run.figure is not None and run.figure.word == "accuracy":
            above = run.figure
        found.append(run)
    return found


def _past_run(project: Project, file: Path, is_locked: bool, above: Figure | None) -> PastRun:
    try:
        record = RunRecord.read(file)
    except ArtifactError:
        return PastRun(file.stem, None, "unreadable")
    was_killed = record.status == "running" and not is_locked
    metrics = {stage.name: stage.metrics for stage in record.stages}
    figure = _figure(project, record)
    return PastRun(
        record.run_id,
        record,
        "interrupted" if was_killed else record.status,
        metrics.get("ingest", {}).get("n"),
        figure,
        figure is not None
        and above is not None
        and figure.word == "accuracy"
        and figure.gold != above.gold,
    )


def _figure(project: Project, record: RunRecord) -> Figure | None:
    if "evaluate" not in record.artifacts:
        return None
    store, digest = project.store, record.artifacts["evaluate"]
    try:
        gold = store.manifest("evaluate", digest).inputs["gold_test"]
        path = store.path("evaluate", digest, "evaluation")
        evaluation = json.loads(path.read_text(encoding="utf-8"))
    except (ArtifactError, FileNotFoundError, ValueError):  # removed, or damaged
        return None
    found = classifier_figure(evaluation)
    if found is None:
        return None
    word, entry = found
    measured_by = (gold, evaluation.get("weighted_by"))
    return Figure(word, entry["value"], entry["low"], entry["high"], entry["n"], measured_by)

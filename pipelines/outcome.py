"""What came of a run, in a few words: for a log that nobody reads unless something is odd.

Try it: ``weaklight serve``.
"""

from __future__ import annotations

import json
from typing import Any

from pipelines.project import Project, RunRecord
from pipelines.readers import first_few
from pipelines.report.words import MIN_ROWS, interval, percent
from weaklight.words import counted

__all__ = ["functions_that_lost_votes", "outcome"]


def outcome(project: Project, record: RunRecord) -> tuple[str, ...]:
    """Return how good the classifier is and which LFs lost votes, as far as the run has come.

    Raises
    ------
    ArtifactError
        If what the run made is gone.
    """
    told = []
    if "evaluate" in record.artifacts:
        told.append(_how_good(_read(project, record, "evaluate", "evaluation")))
    if names := functions_that_lost_votes(project, record):
        told.append(f"{counted(len(names), 'function')} lost votes to errors: {first_few(names)}")
    return tuple(told)


def functions_that_lost_votes(project: Project, record: RunRecord) -> list[str]:
    """Return the LFs that gave answers which did not count; none where the run has no votes.

    Raises
    ------
    ArtifactError
        If what the run made is gone.
    """
    if "vote" not in record.artifacts:
        return []
    reports = _read(project, record, "vote", "lfs")
    return [r["name"] for r in reports if r["n_errors"] or r["timed_out_rows"]]


def _how_good(evaluation: dict[str, Any]) -> str:
    headline = {entry["key"]: entry for entry in evaluation["headline"]}
    right = headline["classifier_accuracy"]
    if right["value"] is None:
        agreement = {entry["key"]: entry for entry in evaluation["agreement"]}
        return f"agreement with the weak labels {percent(agreement['classifier_weak']['value'])}"
    if right["n"] < MIN_ROWS:
        return f"too few test items for an accuracy ({right['n']})"
    return f"accuracy {percent(right['value'])} ({interval(right)}, n={right['n']:,})"


def _read(project: Project, record: RunRecord, stage: str, output: str) -> Any:
    path = project.store.path(stage, record.artifacts[stage], output)
    return json.loads(path.read_text(encoding="utf-8"))

"""What came of a run, in a few words: for a log that nobody reads unless something is odd.

Try it: ``weaklight serve``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pipelines.project import Project, RunRecord
from pipelines.readers import first_few
from pipelines.report.words import MIN_ROWS, interval, percent
from weaklight.words import counted

__all__ = ["classifier_figure", "functions_that_lost_votes", "outcome"]


def outcome(project: Project, record: RunRecord) -> tuple[str, ...]:
    """Return how good the classifier is and which LFs lost votes, as far as the run has come.

    Raises
    ------
    ArtifactError
        If what the run made is gone.
    """
    told = []
    if "evaluate" in record.artifacts:
        figure = classifier_figure(_read(project, record, "evaluate", "evaluation"))
        if figure is not None:
            told.append(_how_good(*figure))
    if names := functions_that_lost_votes(project, record):
        told.append(f"{counted(len(names), 'function')} lost votes to errors: {first_few(names)}")
    return tuple(told)


def classifier_figure(evaluation: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
    """Return how good ``evaluation.json`` finds the classifier, None where it does not say.

    Returns
    -------
    ``accuracy`` on test and its entry, or without gold there ``agreement`` with the weak labels.
    """
    for word, part, key in (
        ("accuracy", "headline", "classifier_accuracy"),
        ("agreement", "agreement", "classifier_weak"),
    ):
        for entry in evaluation.get(part, ()):
            if entry["key"] == key and entry.get("value") is not None:
                return word, entry
    return None


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


def _how_good(word: str, figure: Mapping[str, Any]) -> str:
    if word == "agreement":
        return f"agreement with the weak labels {percent(figure['value'])}"
    if figure["n"] < MIN_ROWS:
        return f"too few test items for an accuracy ({figure['n']})"
    return f"accuracy {percent(figure['value'])} ({interval(figure)}, n={figure['n']:,})"


def _read(project: Project, record: RunRecord, stage: str, output: str) -> Any:
    path = project.store.path(stage, record.artifacts[stage], output)
    return json.loads(path.read_text(encoding="utf-8"))

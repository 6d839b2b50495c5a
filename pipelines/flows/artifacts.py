"""What a run leaves in Prefect: the LF table, the report's headline and progress bars.

A picture of the artifacts on disk, never their source: each is read from the project's store.
"""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import httpx
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from pipelines.project import Project, RunRecord

if TYPE_CHECKING:
    import pandas as pd

    from pipelines.engine import StageProgress

__all__ = ["ProgressArtifacts", "publish_lf_table", "publish_report", "slug"]

logger = logging.getLogger(__name__)

UPDATE_EVERY_S = 5.0


def slug(project: Project) -> str:
    """Return the project's folder name as Prefect takes keys: small letters, digits, dashes."""
    kept = "".join(c if c.isascii() and c.isalnum() else "-" for c in project.root.name.lower())
    return kept.strip("-") or "project"


def publish_lf_table(project: Project, record: RunRecord) -> None:
    """Show one row an LF: as evaluated where the run has come that far, else its coverage."""
    if "evaluate" in record.artifacts:
        import pandas as pd

        path = project.store.path("evaluate", record.artifacts["evaluate"], "lf_table")
        table = pd.read_parquet(path)
    else:
        table = _analyse_votes(project, record.artifacts["vote"])
    create_table_artifact(
        json.loads(table.to_json(orient="records", double_precision=4)),
        key=f"{slug(project)}-lf-table",
        description=f"Labelling functions of {project.root} in run {record.run_id}",
    )


def publish_report(project: Project, record: RunRecord) -> None:
    """Show the headline numbers, each with its interval and n, and where the report lies."""
    evaluation = project.store.path("evaluate", record.artifacts["evaluate"], "evaluation")
    report = project.store.path("report", record.artifacts["report"], "report")
    lines = ["| | value | 95 % interval | n |", "|---|---|---|---|"]
    for entry in json.loads(evaluation.read_text(encoding="utf-8"))["headline"]:
        if entry["value"] is None:
            cells = ["-", "", entry.get("reason", "")]
        else:
            interval = f"[{entry['low']:.3f}, {entry['high']:.3f}]"
            cells = [f"{entry['value']:.3f}", interval, str(entry["n"])]
        lines.append(f"| {' | '.join([entry['title'], *cells])} |")
    create_markdown_artifact(
        "\n".join([f"# {project.root.name}", "", *lines, "", f"[report.html]({report.as_uri()})"]),
        key=f"{slug(project)}-report",
        description=f"Headline of run {record.run_id}",
    )


class ProgressArtifacts:
    """Passes progress on and shows stages that take longer than a few seconds as progress bars.

    Parameters
    ----------
    project
        Names the artifacts.
    listener
        Called with everything that is reported.
    """

    def __init__(self, project: Project, listener: StageProgress) -> None:
        self._prefix = slug(project)
        self._listener = listener
        self._shown: dict[str, UUID] = {}
        self._next_update: dict[str, float] = {}

    def __call__(self, stage: str, done: int, total: int, message: str) -> None:
        """Report progress; the server hears of it at most every ``UPDATE_EVERY_S`` seconds."""
        self._listener(stage, done, total, message)
        now = time.monotonic()
        if now >= self._next_update.setdefault(stage, now + UPDATE_EVERY_S):
            self._next_update[stage] = now + UPDATE_EVERY_S
            self._show(stage, 100.0 * done / max(total, 1), message)

    def finish(self, stage: str) -> None:
        """Fill the bar of a finished stage, if it has one."""
        if stage in self._shown:
            self._show(stage, 100.0, "done")

    def _show(self, stage: str, percent: float, message: str) -> None:
        # A progress bar that cannot be drawn must not stop a training.
        try:
            if stage in self._shown:
                update_progress_artifact(self._shown[stage], percent, description=message or stage)
            else:
                key = f"{self._prefix}-progress-{stage}"
                created = create_progress_artifact(percent, key, description=message or stage)
                self._shown[stage] = cast(UUID, created)  # awaitable only inside a coroutine
        except httpx.HTTPError as error:
            logger.warning("Prefect did not take the progress of %s: %s", stage, error)


def _analyse_votes(project: Project, digest: str) -> pd.DataFrame:
    import numpy as np

    from labeling_functions import analyse

    votes: Any = np.load(project.store.path("vote", digest, "votes"))
    lfs = json.loads(project.store.path("vote", digest, "lfs").read_text(encoding="utf-8"))
    table = analyse(
        votes,
        [lf["name"] for lf in lfs],
        classes=project.config.classes,
        class_sets=project.config.vote_sets,
    )
    shown = ["polarity", "coverage", "overlaps", "conflicts", "n_votes"]
    return table[shown].reset_index()

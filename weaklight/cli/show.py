"""What a command shows: progress bars on a terminal, plain lines elsewhere, and small tables."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import typer

from weaklight.words import counted

if TYPE_CHECKING:
    from rich.progress import TaskID

    from pipelines.project import Project, RunRecord, StageRecord

__all__ = ["Display", "lost_votes", "report_path", "results", "table"]

_PLAIN_EVERY_S = 10.0
_NUMBER = re.compile(r"[-+]?[\d.,]+")


class Display:
    """Shows a run: bars on a terminal, a plain line every ten seconds elsewhere."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._last = time.monotonic()
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Display:
        if self._live:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            self._bars = Progress(
                TextColumn("{task.fields[stage]:>9}"),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f} %"),
                TimeElapsedColumn(),
                TextColumn("{task.fields[message]}"),
                console=Console(stderr=True),
            )
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._bars.stop()

    def progress(self, stage: str, done: int, total: int, message: str) -> None:
        """Show how far a stage has come."""
        if self._live:
            if stage not in self._tasks:
                self._tasks[stage] = self._bars.add_task("", stage=stage, message="", total=total)
            self._bars.update(
                self._tasks[stage], completed=done, total=max(total, 1), message=message
            )
        elif time.monotonic() - self._last > _PLAIN_EVERY_S:
            self._last = time.monotonic()
            typer.echo(f"{stage:>9}  {done}/{total}  {message}", err=True)

    def stage_done(self, entry: StageRecord) -> None:
        """Show a finished stage."""
        if self._live and entry.name in self._tasks:
            self._bars.remove_task(self._tasks.pop(entry.name))
        how = "cached" if entry.cached else f"{entry.seconds:6.1f} s  {entry.peak_mib:5.0f} MiB"
        line = f"{entry.name:>9}  {how}  {entry.why}".rstrip()
        notes = entry.notes[: entry.n_news] if entry.cached else entry.notes
        for text in (line, *(f"{'':>11}{note}" for note in notes)):
            if self._live:
                self._bars.console.print(text, highlight=False, markup=False)
            else:
                typer.echo(text, err=True)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a plain text table; numbers go to the right."""
    widths = [max(len(str(r[i])) for r in (header, *rows)) for i in range(len(header))]
    lines = []
    for row in (header, ["-" * w for w in widths], *rows):
        cells = [
            str(c).rjust(w) if _NUMBER.fullmatch(str(c)) else str(c).ljust(w)
            for c, w in zip(row, widths, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def results(project: Project, record: RunRecord) -> str:
    """Return the short results of a run: the headline numbers, and what labels by hand gained.

    Baselines that have a handful of labels by hand to learn from are left to the report.
    """
    from pipelines.report.words import MIN_ROWS, gain_words, guess_words

    path = project.store.path("evaluate", record.artifacts["evaluate"], "evaluation")
    evaluation = json.loads(path.read_text(encoding="utf-8"))
    rows: list[list[str]] = []
    missing: dict[str, list[str]] = {}  # titles by reason
    for entry in evaluation["headline"]:
        if entry["value"] is None:
            missing.setdefault(entry["reason"], []).append(entry["title"])
        elif 0 < (entry.get("n_by_hand") or 0) < MIN_ROWS:
            continue
        elif entry["n"] < MIN_ROWS:
            rows.append([entry["title"], "too few", "", str(entry["n"])])
        else:
            interval = f"[{entry['low']:.3f}, {entry['high']:.3f}]"
            guess = guess_words(entry).partition(":")[0]
            title = f"{entry['title']} ({guess})" if guess else entry["title"]
            rows.append([title, f"{entry['value']:.3f}", interval, str(entry["n"])])
    shown = table(["", "value", "95 % interval", "n"], rows)
    for reason, titles in missing.items():
        what = titles[0] if len(titles) == 1 else f"{len(titles)} more numbers"
        shown += f"\n{what}: not measured, {reason}"
        if "no gold" in reason:
            shown += "; `weaklight gold plan` says how many items to label"
    shown += "".join(
        f"\n{gain['title']}; against {gain['before']}: {gain_words(gain)}"
        for gain in evaluation["gains"]
        if gain["key"] == "hand" and "reason" not in gain
    )
    if column := evaluation["weighted_by"]:
        shown += f"\nEach test item counts by the inverse of its chance to be drawn ({column})."
    return shown


def lost_votes(project: Project, record: RunRecord) -> str:
    """Return which LFs gave answers that did not count, empty where all did."""
    from pipelines.outcome import functions_that_lost_votes

    names = functions_that_lost_votes(project, record)
    if not names:
        return ""
    return (
        f"{counted(len(names), 'labelling function')} lost votes to errors: {', '.join(names)}; "
        f"`weaklight lf check {names[0]}` says why"
    )


def report_path(project: Project, record: RunRecord) -> Path:
    """Return where the HTML report of a run lies."""
    return project.store.path("report", record.artifacts["report"], "report")

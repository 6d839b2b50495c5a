"""Commands about past runs: runs, prune."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weaklight.words import counted

if TYPE_CHECKING:
    from pipelines.history import PastRun
    from pipelines.prune import Freed

__all__ = ["register"]

ProjectOption = Annotated[Path, typer.Option(help="The project's folder.")]

_HEADER = (
    "run",
    "started (UTC)",
    "status",
    "what ran",
    "items",
    "test gold",
    "classifier [95 %]",
    "looks",
)
_OTHER_GOLD = (
    "* measured on other gold of test than the accuracy above: on other items, other labels or "
    "other chances to be drawn. Such numbers do not compare: their difference says nothing about "
    "what was changed."
)
_AGREEMENT = (
    "agrees: there was no gold of test; that is how many of the weak labels the classifier agrees "
    "with, not how many are right."
)


def register(app: typer.Typer) -> None:
    """Add this module's commands to the command line."""
    app.command()(runs)
    app.command()(prune)


def runs(
    project: ProjectOption = Path(),
    last: Annotated[int, typer.Option(min=1, help="How many runs to show.")] = 20,
) -> None:
    """List past runs, the newest last: what ran, and how right the classifier was."""
    from pipelines.history import past_runs
    from pipelines.project import Project
    from weaklight.cli.show import table

    found = past_runs(Project.open(project), last)
    if not found:
        typer.echo("no runs yet; `weaklight run` makes the first")
        return
    typer.echo(table(_HEADER, [_row(run) for run in found]))
    if any(run.is_other_gold for run in found):
        typer.echo(_OTHER_GOLD)
    if any(run.figure is not None and run.figure.word == "agreement" for run in found):
        typer.echo(_AGREEMENT)


def prune(
    project: ProjectOption = Path(),
    keep: Annotated[
        int, typer.Option(min=1, help="How many of the newest finished runs to keep whole.")
    ] = 5,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go; remove nothing.")
    ] = False,
) -> None:
    """Free disk of artifacts of old runs that nothing needs; records and reviews stay."""
    from pipelines.project import Project
    from pipelines.prune import prune as free
    from weaklight.cli.show import table

    freed = free(Project.open(project), keep, dry_run=dry_run)
    if dry_run and freed.artifacts:
        stages = list(dict.fromkeys(stage for stage, _ in freed.artifacts))
        rows = [_of_stage(freed, stage) for stage in stages]
        typer.echo(table(["stage", "artifacts", "size"], rows))
    typer.echo(_told(freed, "would free" if dry_run else "freed"))
    if freed.doubt:
        typer.secho(
            "The items of every run stay, as those from which gold was drawn cannot be told; prune "
            f"again once they can: {freed.doubt}",
            fg="yellow",
            err=True,
        )


def _row(run: PastRun) -> list[str]:
    from pipelines.report.words import MIN_ROWS

    if run.record is None:
        return [run.run_id, "-", run.status, "-", "-", "-", "-", "-"]
    figure, looks = run.figure, run.record.test_looks
    n_gold = measured = "-"
    if figure is not None:
        n_gold = f"{figure.n:,}" if figure.word == "accuracy" else "0"
        measured = f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"
        if figure.n < MIN_ROWS:
            measured = "too few"
        if figure.word == "agreement":
            measured = f"agrees {measured}"
        if run.is_other_gold:
            measured += " *"
    return [
        run.run_id,
        run.record.started[:16].replace("T", " "),
        run.status,
        run.ran or ("all cached" if run.record.stages else "-"),
        "-" if run.n_items is None else f"{run.n_items:,}",
        n_gold,
        measured,
        str(looks) if looks else "-",
    ]


def _told(freed: Freed, verb: str) -> str:
    kept = "the newest finished run"
    if freed.n_kept != 1:
        kept = f"the newest {counted(freed.n_kept, 'finished run')}"
    if not freed.size:
        return f"nothing to free: all that is stored is needed, most of it by {kept}"
    what = []
    if freed.artifacts:
        of_runs = f"{counted(len(freed.artifacts), 'artifact')} of {counted(freed.n_runs, 'run')}"
        what.append(of_runs)
    if freed.shards:
        what.append(counted(len(freed.shards), "file of decoded items", "files of decoded items"))
    return f"{verb} {_bytes(freed.size)}: {' and '.join(what)}; kept {kept}"


def _of_stage(freed: Freed, stage: str) -> list[str]:
    sizes = [size for (of, _), size in freed.artifacts.items() if of == stage]
    return [stage, f"{len(sizes)}", _bytes(sum(sizes))]


def _bytes(n: int) -> str:
    for unit, of_one in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if n >= of_one:
            return f"{n / of_one:.1f} {unit}"
    return counted(n, "byte")

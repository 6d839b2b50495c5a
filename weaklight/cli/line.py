"""Commands that run stages: run, pretrain, embed, label, train, report, serve."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipelines.project import RunRecord

__all__ = ["register", "run_and_show"]

ProjectOption = Annotated[Path, typer.Option(help="The project's folder.")]
RefreshOption = Annotated[
    bool, typer.Option("--refresh-encoder", help="Train the encoder on the current items.")
]
PrefectOption = Annotated[
    bool, typer.Option("--prefect/--no-prefect", help="Through Prefect, or plainly.")
]


def register(app: typer.Typer) -> None:
    """Add this module's commands to the command line."""
    app.command()(run)
    app.command()(pretrain)
    for name, targets, text in (
        ("embed", ("embed",), "Compute features of every item and the neighbor graph."),
        ("label", ("clean",), "Vote, take in bags, aggregate and clean: the weak labels."),
        ("train", ("train",), "Train the classifier on the weak labels."),
        ("report", ("report",), "Evaluate and write the HTML report."),
    ):
        app.command(name, help=text)(_command(targets))
    app.command()(serve)


def run(
    project: ProjectOption = Path(),
    prefect: PrefectOption = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and what is cached; run nothing.")
    ] = False,
    only: Annotated[
        str, typer.Option(help="Run only what this stage needs, itself included.")
    ] = "report",
    refresh_encoder: RefreshOption = False,
) -> None:
    """Run all stages; those whose inputs did not change are not run again."""
    if dry_run:
        _show_plan(project, (only,))
    else:
        run_and_show(project, (only,), prefect=prefect, refresh_encoder=refresh_encoder)


def pretrain(
    folder: Annotated[
        Path | None,
        typer.Argument(help="Images, texts or WAV files, of which a project is made if need be."),
    ] = None,
    project: Annotated[
        Path | None,
        typer.Option(help="The project's folder.", show_default="., or FOLDER-project"),
    ] = None,
    prefect: PrefectOption = True,
    refresh_encoder: RefreshOption = False,
) -> None:
    """Train the SSL encoder over the unlabelled items."""
    from pipelines.project import Project
    from weaklight.cli.projects import project_about

    root = project or Path() if folder is None else project_about(folder, project)
    record = run_and_show(root, ("pretrain",), prefect=prefect, refresh_encoder=refresh_encoder)
    ingested = Project.open(root).store.manifest("ingest", record.artifacts["ingest"])
    if ingested.metrics["kind"] == "image":
        typer.echo(f"\njudge it   weaklight probe LABELLED_FOLDER --project {root}")
        typer.echo(f"export it  weaklight export encoder --project {root}")


def serve(project: ProjectOption = Path()) -> None:
    """Run the flows on the schedule of weaklight.toml until stopped with Ctrl-C."""
    from pipelines.flows.serve import serve as serve_flows

    serve_flows(project.resolve(), on_event=lambda text: typer.echo(text))


def run_and_show(
    folder: Path,
    targets: tuple[str, ...],
    *,
    prefect: bool,
    refresh_encoder: bool = False,
) -> RunRecord:
    """Run the line up to ``targets``, showing progress, then the results and where to look."""
    from pipelines.project import Project
    from weaklight.cli.show import Display, lost_votes, report_path, results

    project = Project.open(folder)
    if prefect:
        typer.echo("starting Prefect; --no-prefect runs without it", err=True)
    with Display() as display:
        if prefect:
            from pipelines.flows.run import run_with_prefect as runner
        else:
            from pipelines.engine import run_line as runner
        record = runner(
            project,
            targets,
            progress=display.progress,
            on_stage=display.stage_done,
            refresh_encoder=refresh_encoder,
        )
    if "evaluate" in record.artifacts:
        typer.echo("\n" + results(project, record))
    if lost := lost_votes(project, record):
        typer.echo(f"\n{lost}", err=True)
    if "report" in record.artifacts:
        typer.echo(f"\nreport      {report_path(project, record)}")
        typer.echo(f"review app  weaklight review --project {folder}")
    return record


def _command(targets: tuple[str, ...]):  # type: ignore[no-untyped-def]
    def command(
        project: ProjectOption = Path(),
        prefect: PrefectOption = True,
        refresh_encoder: RefreshOption = False,
    ) -> None:
        run_and_show(project, targets, prefect=prefect, refresh_encoder=refresh_encoder)

    return command


def _show_plan(folder: Path, targets: tuple[str, ...]) -> None:
    from pipelines.engine import plan
    from pipelines.project import Project
    from weaklight.cli.show import table

    project = Project.open(folder)
    planned = plan(project, targets)
    rows = [[p.name, p.status, p.digest or "", p.why] for p in planned]
    typer.echo(table(["stage", "status", "artifact", "why"], rows))
    typer.echo("\nsettings")
    for name, value in project.config.model_dump(mode="json").items():
        if isinstance(value, dict):
            inner = ", ".join(f"{k} = {v!r}" for k, v in value.items())
            typer.echo(f"  [{name}] {inner}")
        else:
            typer.echo(f"  {name} = {value!r}")
    of_stage = {p.name: p for p in planned}
    ingest = of_stage.get("ingest")
    if ingest is None or ingest.status != "cached" or "pretrain" not in of_stage:
        return
    metrics = project.store.manifest("ingest", str(ingest.digest)).metrics
    if metrics["kind"] != "image":
        return
    from pipelines.stages.pretrain import training_settings

    shape = (metrics["n_unlabeled"], *metrics["image"])
    settings, reasons = training_settings(project.config.pretrain, shape, project.config.seed)
    typer.echo("\npretraining, chosen for these images")
    for name, value in settings.as_dict().items():
        typer.echo(f"  {name} = {value!r}")
    for reason in reasons:
        typer.echo(f"  - {reason}")

"""Commands that take something out of a project: encoder, classifier, labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weaklight.errors import ArtifactError

if TYPE_CHECKING:
    from pipelines.project import Project
    from pipelines.queries import RunView

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add this module's commands to the command line."""
    export = typer.Typer(no_args_is_help=True, help="Take results out of a project, for others.")
    export.command("encoder")(encoder)
    export.command("classifier")(classifier)
    export.command("labels")(labels)
    app.add_typer(export, name="export")


def encoder(
    format: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            help="onnx, torch_export, or weights as torchvision or timm names them.",
        ),
    ] = "onnx",
    out: Annotated[
        Path | None, typer.Option(help="The file to write; encoder with the format's ending.")
    ] = None,
    project: Annotated[Path, typer.Option(help="The project's folder.")] = Path(),
) -> None:
    """Write the latest run's encoder for other programs, once it gives equal features."""
    from pipelines.project import Project
    from ssl_models.export import FORMATS, export_backbone

    opened = Project.open(project)
    run = opened.latest_run(having="pretrain")
    if run is None:
        raise ArtifactError("no encoder yet; run `weaklight pretrain` first")
    folder = opened.store.path("pretrain", run.artifacts["pretrain"], "encoder")
    suffix = FORMATS[format].suffix if format in FORMATS else ""
    exported = export_backbone(folder, out or Path(f"encoder{suffix}"), format)
    typer.echo(
        f"wrote {exported.path}; run on random images its features differ from the encoder's by "
        f"{exported.largest_difference:.0e} of the largest\n"
        f"wrote {exported.description}; it says what goes in and what comes out"
    )


def classifier(
    to: Annotated[Path, typer.Option(help="The folder to make.")] = Path("classifier"),
    project: Annotated[Path, typer.Option(help="The project's folder.")] = Path(),
) -> None:
    """Write the trained classifier as torch.export and ONNX, with a model card."""
    from pipelines.exchange.classifier import export_classifier
    from pipelines.project import Project

    card = export_classifier(Project.open(project), to)
    for file, check in card["checks"].items():
        typer.echo(
            f"wrote {to / file}; run by {check['library']} its log-probabilities differ from the "
            f"project's by at most {check['largest_difference']:.0e} of the largest"
        )
    typer.echo(f"{to / 'README.md'} says how its labels came to be and how good it is")


def labels(
    format: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            help="parquet, csv, jsonl, hf, webdataset, labelstudio, argilla or cleanlab.",
        ),
    ] = "parquet",
    to: Annotated[
        Path | None, typer.Option(help="The folder to make; labels-FORMAT if not given.")
    ] = None,
    min_confidence: Annotated[
        float, typer.Option(help="Leave out labels with less confidence, 0 to 1.")
    ] = 0.0,
    include_uncovered: Annotated[
        bool, typer.Option("--include-uncovered", help="Keep items that nothing speaks for.")
    ] = False,
    split: Annotated[
        list[str] | None,
        typer.Option(help="Which split; repeat for several. unlabeled if not given."),
    ] = None,
    delimiter: Annotated[
        str | None,
        typer.Option(help="Between the cells of csv: a comma if not given, or ; or tab."),
    ] = None,
    run: Annotated[str | None, typer.Option(help="A run's id; the latest if not given.")] = None,
    project: Annotated[Path, typer.Option(help="The project's folder.")] = Path(),
) -> None:
    """Write the weak labels of a run for another tool, with a data card."""
    from pipelines.exchange import export_labels, weak_labels
    from pipelines.fingerprints import is_outdated
    from pipelines.project import Project

    folder = to or Path(f"labels-{format}")
    opened = Project.open(project)
    view = _view(opened, run)
    if is_outdated(opened, view.record):
        typer.secho(
            f"LFs or reviews are newer than run {view.run_id}; to have them in the labels, "
            "run `weaklight run` first",
            fg="yellow",
            err=True,
        )
    chosen = weak_labels(
        view,
        splits=split or ("unlabeled",),
        min_confidence=min_confidence,
        include_uncovered=include_uncovered,
    )
    card = export_labels(chosen, format, folder, delimiter=delimiter)
    for reason, n in card["left_out"].items():
        typer.echo(f"left out {n}: {reason}")
    typer.echo(
        f"wrote {card['n']} weak labels of run {card['run_id']} to {folder}\n"
        f"{folder / 'README.md'} says how they were made and how to load them back"
    )


def _view(project: Project, run_id: str | None) -> RunView:
    """Return the run of this id, or the latest one that has labels."""
    from pipelines.queries import RunView

    runs = {r.run_id: r for r in project.runs() if "aggregate" in r.artifacts}
    if run_id is None:
        view = RunView.latest(project)
        if view is None:
            raise ArtifactError("no weak labels yet; run `weaklight label` first")
        return view
    if run_id not in runs:
        raise ArtifactError(
            f"no run {run_id!r} has weak labels; those that have: {list(runs)[-5:] or 'none'}"
        )
    made = runs[run_id].artifacts
    gone = [name for name in made if name != "report" and not project.store.has(name, made[name])]
    if gone:
        raise ArtifactError(
            f"expected what run {run_id} made, but of {gone} it is no longer there: "
            "`weaklight prune` keeps that of the newest runs only; export one of these"
        )
    return RunView(project, runs[run_id])

"""Commands that take something out of a project: export encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from weaklight.errors import ArtifactError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add this module's commands to the command line."""
    export = typer.Typer(no_args_is_help=True, help="Take results out of a project, for others.")
    export.command("encoder")(encoder)
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

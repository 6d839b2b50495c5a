"""Commands for what a person does: review, predict, methods."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from weaklight.errors import DataError

__all__ = ["register"]

WIDE = 300  # columns: no cell of the table of methods is wrapped

ProjectOption = Annotated[Path, typer.Option(help="The project's folder.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands to the command line."""
    app.command()(review)
    app.command()(predict)
    app.command()(methods)


def review(
    project: ProjectOption = Path(),
    port: Annotated[int, typer.Option(help="The port on this machine.")] = 8501,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open a browser window.")
    ] = True,
) -> None:
    """Open the review app on a project."""
    from app.launch import launch
    from pipelines.project import Project

    launch(Project.open(project).root, port=port, open_browser=browser)


def predict(
    files: Annotated[
        list[Path],
        typer.Argument(help="Image, text or WAV files, folders of them, or tables of new rows."),
    ],
    project: ProjectOption = Path(),
    out: Annotated[Path | None, typer.Option(help="Write a CSV here instead of a table.")] = None,
    at_least: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Below this probability, abstain.")
    ] = 0.0,
) -> None:
    """Label new images, texts, clips or series with the trained classifier."""
    from pipelines.predict import predict_files
    from pipelines.project import Project
    from weaklight.cli.show import table

    labelled, dropped = predict_files(Project.open(project), files, at_least=at_least)
    for path, reason in dropped:
        typer.secho(f"left out {path}: {reason}", fg="yellow", err=True)
    if labelled.empty:
        raise DataError(
            "nothing could be read; give files, folders or tables of what the project is about"
        )
    if out is not None:
        labelled.to_csv(out, index=False)
        typer.echo(f"wrote {len(labelled)} rows to {out}")
        return
    rows = [
        [r["item_id"] or r["file"], r["label"] or "(abstains)", f"{r['probability']:.3f}"]
        for r in labelled.to_dict("records")
    ]
    typer.echo(table(["item", "label", "probability"], rows))


def methods() -> None:
    """Print the SSL methods with their category, principle, cost and when to choose them."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Column, Table

    from ssl_models import METHODS

    name_column = Column("method", no_wrap=True)
    shown = Table(name_column, "category", "principle", "cost", "choose it when", box=SIMPLE_HEAD)
    for name, m in sorted(METHODS.items(), key=lambda named: (named[1].category, named[0])):
        shown.add_row(name, m.category, m.principle, m.cost, m.when)
    # A terminal wraps the cells to its width; a file or a pipe gets one line a method.
    Console(width=None if sys.stdout.isatty() else WIDE).print(shown)

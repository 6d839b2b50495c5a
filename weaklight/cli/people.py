"""Commands for what a person does: review, predict, probe, methods."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from weaklight.errors import DataError
from weaklight.words import counted

__all__ = ["register"]

WIDE = 300  # columns: no cell of the table of methods is wrapped
# What `[pretrain] method` may be for items that are no images; docs/text_audio_series.md says more.
ENCODERS = (
    (
        "word2vec", "text", "each word is known by the words around it; a text is their mean",
        "15 s for 400,000 words", "20,000 running words or more: the default then",
    ),
    (
        "tfidf_svd", "text", "which words occur together, in 100 directions", "seconds",
        "few words: the default below 20,000; a plain baseline above",
    ),
    (
        "sentence_transformers:MODEL", "text", "a ready-made language model, never downloaded",
        "minutes for 10,000 texts", "meaning counts more than words, and MODEL is installed",
    ),
    (
        "log_mel", "audio", "how loud each pitch is, and how that changes", "seconds",
        "the default: strong on short clips",
    ),
    (
        "cpc", "audio", "tell what comes next from what was heard", "minutes",
        "minutes of sound or more; with hours it learns filters of its own",
    ),
    (
        "summary", "series", "level, shape and rhythm of each channel", "seconds",
        "the default: items are curves",
    ),
    (
        "values", "series", "the numbers as they are", "seconds",
        "items are rows of a table, or curves of one length that need no summary",
    ),
)  # fmt: skip

KINDS_OF_OPTION = {int: "a whole number", float: "a number", bool: "true or false"}

ProjectOption = Annotated[Path, typer.Option(help="The project's folder.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands to the command line."""
    app.command()(review)
    app.command()(predict)
    app.command()(probe)
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
    import pandas as pd

    from pipelines.predict import predict_files
    from pipelines.project import Project
    from pipelines.readers import first_few
    from weaklight.cli.show import table

    labelled, dropped = predict_files(Project.open(project), files, at_least=at_least)
    for reason in dict.fromkeys(why for _, why in dropped):
        left_out = [path for path, why in dropped if why == reason]
        told = f"left out {len(left_out)}: {reason}: {first_few(left_out)}"
        typer.secho(told, fg="yellow", err=True)
    if labelled.empty:
        raise DataError(
            "nothing could be read; give files, folders or tables of what the project is about"
        )
    n_unsure = int(labelled["label"].isna().sum())
    unsure = f"no label for {n_unsure} of {len(labelled)}: no class has a probability of {at_least}"
    if out is not None:
        labelled.to_csv(out, index=False)
        typer.echo(f"wrote {counted(len(labelled), 'row')} to {out}")
        if n_unsure:
            typer.echo(unsure)
        return
    rows = [
        [
            r["file"] if Path(r["file"]).name == r["item_id"] else r["item_id"],
            "(abstains)" if pd.isna(r["label"]) else r["label"],
            f"{r['probability']:.3f}",
        ]
        for r in labelled.to_dict("records")
    ]
    typer.echo(table(["item", "label", "probability"], rows))
    if n_unsure:
        typer.echo(unsure)


def probe(
    folder: Annotated[
        Path,
        typer.Argument(help="Labelled images: <class>/, or train/<class>/ and test/<class>/."),
    ],
    project: ProjectOption = Path(),
    seed: Annotated[int, typer.Option(help="Of the draw and the untrained encoder.")] = 0,
) -> None:
    """Judge the encoder by labelled images: neighbours, a linear probe, 1 % and 10 % of labels."""
    from pipelines.probe import probe as judge
    from pipelines.project import Project
    from pipelines.readers import first_few
    from weaklight.cli.show import Display, table

    with Display() as display:
        shown = partial(display.progress, "probe")
        found = judge(Project.open(project), folder, seed=seed, progress=shown)
    if found.left_out:
        told = f"left out {len(found.left_out)}: no whole image: {first_few(found.left_out)}"
        typer.secho(told, fg="yellow", err=True)
    typer.echo(
        f"{found.n_train} labelled images teach, {found.n_test} others judge; "
        f"{len(found.classes)} classes"
    )
    header = ["features", "20 nearest", "linear probe"]
    header += [f"probe on {few.share:.0%} ({few.n_train})" for few in found.rows[0].few]
    rows = [
        [
            row.features,
            str(row.scores.knn),
            str(row.scores.linear),
            *(f"{few.mean:.3f} ± {few.spread:.3f}" for few in row.few),
        ]
        for row in found.rows
    ]
    typer.echo(table(header, rows))


def methods(
    name: Annotated[
        str | None, typer.Argument(help="One for images, whose options to print.")
    ] = None,
) -> None:
    """Print the SSL methods, for images and other items: principle, cost, when to choose them."""
    if name is not None:
        _show_method(name)
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Column, Table

    from ssl_models import METHODS

    name_column = Column("method", no_wrap=True)
    shown = Table(name_column, "category", "principle", "cost", "choose it when", box=SIMPLE_HEAD)
    for name, m in sorted(METHODS.items(), key=lambda named: (named[1].category, named[0])):
        shown.add_row(name, m.category, m.principle, m.cost, m.when)
    others = Table(
        Column("method", no_wrap=True), "items", "principle", "cost", "choose it when",
        box=SIMPLE_HEAD,
    )  # fmt: skip
    for row in ENCODERS:
        others.add_row(*row)
    # A terminal wraps the cells to its width; a file or a pipe gets one line a method.
    console = Console(width=None if sys.stdout.isatty() else WIDE)
    console.print("Images", shown, "Texts, clips and series", others, sep="\n")


def _show_method(name: str) -> None:
    from ssl_models.methods import METHODS, method_options
    from weaklight.cli.show import table

    options = method_options(name)
    method = METHODS[name]
    typer.echo(f"{name}: {method.category}; {method.principle}")
    typer.echo(f"cost: {method.cost}\nchoose it when {method.when}")
    if not options:
        typer.echo("it has no options of its own")
        return
    rows = [
        [key, KINDS_OF_OPTION.get(option.type, "two numbers"), json.dumps(option.default)]
        for key, option in options.items()
    ]
    typer.echo("\nwhat [pretrain.options] may say")
    typer.echo(table(["option", "takes", "default"], rows))

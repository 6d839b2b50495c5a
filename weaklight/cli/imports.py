"""Commands that make a project from other tools' data: import wrench, snorkel, crowd and so on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from pipelines.exchange import Imported

__all__ = ["register"]

To = Annotated[Path | None, typer.Option(help="The project's folder; named after the source.")]
Classes = Annotated[
    str, typer.Option(help="Class names in order, as ham,spam; found in the data if not given.")
]
# A column that is named must exist; None stands for the one of the usual name, where there is one.
Text = Annotated[str | None, typer.Option(help="Column that holds the texts.", show_default="text")]
Image = Annotated[
    str | None, typer.Option(help="Column that holds the images' files.", show_default="image")
]
Audio = Annotated[
    str | None, typer.Option(help="Column that holds the WAV files.", show_default="audio")
]
Series = Annotated[
    str,
    typer.Option(
        help="Column of lists of numbers, or columns of numbers, as pulse,sensor_*.",
        show_default="series",
    ),
]
ItemId = Annotated[
    str | None,
    typer.Option("--id", help="Column that holds the items' ids.", show_default="item_id"),
]
Split = Annotated[
    str | None,
    typer.Option(
        help="Column that says unlabeled, labeled (its gold teaches), dev, calibration or test.",
        show_default="split",
    ),
]
Gold = Annotated[
    str | None, typer.Option(help="Column that holds hand labels to judge by.", show_default="gold")
]
Noisy = Annotated[
    str | None,
    typer.Option(help="Column that holds labels of doubtful quality.", show_default="noisy_label"),
]
BagId = Annotated[
    str | None,
    typer.Option(help="Column that says which bag an item lies in.", show_default="bag_id"),
]
BagLabel = Annotated[
    str | None,
    typer.Option(
        help="Column with 1 for bags that hold a positive item, else 0.", show_default="bag_label"
    ),
]
Dev = Annotated[int | None, typer.Option(help="Draw so many items with gold as dev.")]
Test = Annotated[int | None, typer.Option(help="Draw so many items with gold as test.")]
Seed = Annotated[int, typer.Option(help="Seed of the draw.")]
Items = Annotated[Path, typer.Option(help="Table of the items: .csv, .tsv, .jsonl or .parquet.")]


class _Kinds(TyperGroup):
    """The kinds of data that can be imported; who names a file and no kind is told which to say."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command of a kind."""
        source = Path(args[0])
        if args[0] not in self.commands and source.exists():
            ending = source.suffix.removeprefix(".")
            kind = (
                ending if ending in self.commands else "imagefolder" if source.is_dir() else "csv"
            )
            raise typer.BadParameter(
                f"say what {source} is, one of {', '.join(self.commands)}, such as: "
                f"weaklight import {kind} {source}",
                ctx=ctx,
            )
        return super().resolve_command(ctx, args)


def register(app: typer.Typer) -> None:
    """Add this module's commands to the command line."""
    kinds = typer.Typer(
        cls=_Kinds,
        no_args_is_help=True,
        help="Make a project from a table, folders or another tool's data.",
    )
    for name, command in (
        ("wrench", wrench),
        ("snorkel", snorkel),
        ("crowd", crowd),
        ("csv", table),
        ("jsonl", table),
        ("parquet", table),
        ("hf", hugging_face),
        ("imagefolder", image_folder),
        ("labelstudio", label_studio),
    ):
        kinds.command(name)(command)
    app.add_typer(kinds, name="import")


def wrench(
    folder: Annotated[Path, typer.Argument(help="Folder with train.json, valid.json, test.json.")],
    to: To = None,
) -> None:
    """Read a WRENCH text data set with the votes of its rules."""
    from pipelines.exchange import read_wrench

    _write(read_wrench(folder), folder, to)


def snorkel(
    matrix: Annotated[Path, typer.Argument(help="L.npy, one row an item, -1 abstains.")],
    items: Items,
    classes: Annotated[str, typer.Option(help="Class names by class id, as ham,spam.")],
    names: Annotated[str, typer.Option(help="Names of the LFs in order, as a,b,c.")] = "",
    text: Text = None,
    image: Image = None,
    item_id: ItemId = None,
    split: Split = None,
    gold: Gold = None,
    to: To = None,
) -> None:
    """Read a Snorkel label matrix and the items it belongs to."""
    from pipelines.exchange import Columns, read_snorkel

    columns = Columns(item_id=item_id, text=text, image=image, split=split, gold=gold)
    imported = read_snorkel(
        matrix, items, classes=_names(classes), names=_names(names), columns=columns
    )
    _write(imported, matrix, to)


def crowd(
    answers: Annotated[Path, typer.Argument(help="Table with one row an answer.")],
    items: Items,
    item: Annotated[str, typer.Option(help="Column of the answers: which item.")] = "item",
    worker: Annotated[str, typer.Option(help="Column of the answers: who said so.")] = "worker",
    label: Annotated[str, typer.Option(help="Column of the answers: what they said.")] = "label",
    classes: Classes = "",
    text: Text = None,
    image: Image = None,
    item_id: ItemId = None,
    split: Split = None,
    gold: Gold = None,
    to: To = None,
) -> None:
    """Read answers of a crowd; every worker becomes a labelling function."""
    from pipelines.exchange import Columns, read_crowd

    imported = read_crowd(
        answers,
        items,
        item=item,
        worker=worker,
        label=label,
        classes=_names(classes),
        columns=Columns(item_id=item_id, text=text, image=image, split=split, gold=gold),
    )
    _write(imported, answers, to)


def table(
    file: Annotated[Path, typer.Argument(help="The table, one row an item.")],
    text: Text = None,
    image: Image = None,
    audio: Audio = None,
    series: Series = "",
    item_id: ItemId = None,
    split: Split = None,
    gold: Gold = None,
    noisy_label: Noisy = None,
    bag_id: BagId = None,
    bag_label: BagLabel = None,
    votes: Annotated[
        str, typer.Option(help="Columns with votes, as a,b,c, beside those called vote_...")
    ] = "",
    classes: Classes = "",
    dev: Dev = None,
    test: Test = None,
    seed: Seed = 0,
    to: To = None,
) -> None:
    """Read a table of one row an item: CSV, JSON lines or Parquet."""
    from pipelines.exchange import Columns, draw_splits, read_items

    columns = Columns(
        item_id=item_id,
        text=text,
        image=image,
        audio=audio,
        series=_names(series),
        split=split,
        gold=gold,
        noisy_label=noisy_label,
        bag_id=bag_id,
        bag_label=bag_label,
        votes=_names(votes),
    )
    imported = read_items(file, columns, classes=_names(classes))
    if dev is not None or test is not None:
        imported = draw_splits(imported, n_dev=dev or 0, n_test=test or 0, seed=seed)
    _write(imported, file, to)


def hugging_face(
    folder: Annotated[Path, typer.Argument(help="A folder that save_to_disk wrote.")],
    text: Text = None,
    image: Image = None,
    item_id: ItemId = None,
    label: Annotated[
        str | None, typer.Option(help="Column that holds the labels.", show_default="label")
    ] = None,
    keep_labels: Annotated[
        bool, typer.Option("--keep-labels", help="Keep labels of train as noisy labels.")
    ] = False,
    dev: Dev = None,
    test: Test = None,
    seed: Seed = 0,
    to: To = None,
) -> None:
    """Read a Hugging Face data set on disk: validation is dev, test is test.

    --dev and --test draw more of them from train.
    """
    from pipelines.exchange import read_hugging_face

    imported = read_hugging_face(
        folder,
        item_id=item_id,
        text=text,
        image=image,
        label=label,
        n_dev=dev or 0,
        n_test=test or 0,
        keep_labels=keep_labels,
        seed=seed,
    )
    _write(imported, folder, to)


def image_folder(
    folder: Annotated[
        Path, typer.Argument(help="Folder of <class>/, or of unlabeled/, dev/<class>/ ...")
    ],
    dev: Dev = None,
    test: Test = None,
    seed: Seed = 0,
    keep_labels: Annotated[
        bool, typer.Option("--keep-labels", help="Keep classes of train as noisy labels.")
    ] = False,
    to: To = None,
) -> None:
    """Read folders of images, one a class; without splits, dev and test are drawn at random."""
    from pipelines.exchange import read_image_folder

    imported = read_image_folder(folder, n_dev=dev, n_test=test, keep_labels=keep_labels, seed=seed)
    _write(imported, folder, to)


def label_studio(
    file: Annotated[Path, typer.Argument(help="The export called JSON.")],
    text: Annotated[str, typer.Option(help="Name of the text in each task's data.")] = "text",
    image: Annotated[str, typer.Option(help="Name of the image in each task's data.")] = "image",
    noisy: Annotated[
        bool, typer.Option("--noisy", help="Take the answers as noisy labels, not as gold.")
    ] = False,
    to: To = None,
) -> None:
    """Read Label Studio's tasks and annotations."""
    from pipelines.exchange import read_label_studio

    _write(read_label_studio(file, text=text, image=image, is_gold=not noisy), file, to)


def _names(listed: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in listed.split(",") if name.strip())


def _write(imported: Imported, source: Path, to: Path | None) -> None:
    """Write the project and say what it holds and what comes next."""
    from pipelines.exchange import similar_classes, unique_items, write_project

    imported = unique_items(imported)
    folder = to or Path(source.resolve().stem)
    counts = write_project(imported, folder, title=f"Imported from {source}.")
    held = ", ".join(f"{n} {split}" for split, n in counts.items())
    typer.echo(f"made {folder}: {held} items; classes {', '.join(imported.classes)}")
    for note in (*imported.notes, *similar_classes(imported.classes)):
        typer.echo(f"  - {note}")
    has_noisy = "noisy_label" in imported.table and imported.table["noisy_label"].notna().any()
    if has_noisy and not imported.voters:
        typer.echo(
            f"  - the labels of doubtful quality vote, so no labelling function is needed; those "
            f"in {folder / 'lfs'} vote beside them"
        )
    if imported.has_bags:
        typer.echo(
            f"  - bags have labels: name the class that a 1 stands for as positive under [bags] in "
            f"{folder / 'weaklight.toml'}; then they vote, and no labelling function is needed"
        )
    if "test" not in counts:
        apart = " (or import again with --test 200, where the data has gold)" * ("dev" in counts)
        typer.echo(
            "  - no test items, so the report will tell agreement and no accuracy; after a run, "
            f"`weaklight gold plan` draws some to label{apart}"
        )
    if imported.voters or has_noisy or imported.has_bags:
        typer.echo(f"next: weaklight run --project {folder}")
    else:
        typer.echo(
            f"next: write labelling functions in {folder / 'lfs'}, "
            f"then: weaklight run --project {folder}"
        )

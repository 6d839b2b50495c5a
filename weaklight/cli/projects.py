"""Commands that make or examine a project: init, demo, doctor."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from weaklight.errors import ConfigError, DataError
from weaklight.words import nearest

__all__ = ["project_about", "register"]

_TEMPLATE = """# Settings of this project. A line that is commented out shows its default,
# or, where it says "such as", an example of what is not set.
# `weaklight run --dry-run` prints what would run and why.

classes = ["cat", "dog"]        # class names, in order
# seed = 0
# threads = 2                   # of each stage; 1 where other programs keep the machine busy

[items]
source = "images"               # a folder, a .csv, .jsonl or .parquet file, or torchvision:NAME
# text = "body"                 # such as: a table's column of texts; or audio, series, image
# noisy_label = "folder"        # such as: a column of labels, partly wrong: one more voter
# image_size = 0                # 0: the most frequent size, at most 96 px
# sample_rate = 0               # of audio, in hertz; 0: the one that all files share

# [class_sets]
# pets = ["cat", "dog"]         # such as: LFs and bags may vote for a set of classes

# [pretrain]
# method = "auto"               # images: `weaklight methods`; others: docs/text_audio_series.md
# backbone = "auto"             # compact, resnet18, vit_compact, ...: docs/encoders.md
# steps = 0                     # of training; 0: what suits the number of images
# init = "resnet18.pth"         # such as: public weights to start from; see docs/encoders.md
# device = "auto"               # auto, cpu or cuda
# devices = 1                   # more than one launches torchrun
# refresh = "manual"            # manual, growth:0.25 or a cron line

# [vote]
# time_limit_s = 30.0           # per LF and shard of 16,384 items

# [bags]
# positive = "cat"              # such as: what bag_label = 1 says that a bag contains
# instances = "items"           # or patches, paragraphs, windows: each item is a bag of its parts
# method = "attention"          # or another of docs/bags.md

# [aggregate]
# model = "auto"                # or a label model by name: docs/label_models.md
# class_balance = "auto"        # auto, uniform, estimated, or a share for each class
# features = "auto"             # or off, on, spread, filled, joint: docs/aggregation.md
# hybrid = "none"               # self_training or curriculum: docs/hybrid.md

# [clean]
# action = "drop"               # or keep: what happens to labels that the features contradict
# max_error = 0.1               # such as: train on labels of which a tenth at most is wrong

# [train]
# head = "auto"                 # linear, discriminant, mlp or finetune: docs/classifiers.md
# strategy = "plain"            # forward, elr, ...: training on wrong labels, docs/noise.md

# [reviews]
# url = "postgresql+psycopg://ada@db/mails"  # such as: a team's database; docs/app.md

# [schedule]
# cron = "0 2 * * *"            # such as: `weaklight serve` runs the whole line at two
"""

_FIRST_LF = '''"""Labelling functions: plain functions that return a class name or nothing.

docs/labeling_functions.md shows every kind; take the # away and put in what you know. An item has
item.text, item.aspect (of images), item.duration (of clips), item.largest (of series), ... and
every column of its table.
"""

from labeling_functions import labeling_function

# @labeling_function()
# def tall(item):
#     """Say in a sentence why this is so: tall things are cats sitting up."""
#     if item.aspect > 1.5:
#         return "cat"
'''


def register(app: typer.Typer) -> None:
    """Add this module's commands to the command line."""
    app.command()(init)
    app.command()(demo)
    app.command()(doctor)


def init(
    folder: Annotated[Path, typer.Argument(help="The project's folder; made if missing.")] = Path(),
) -> None:
    """Write a commented weaklight.toml and a place for labelling functions."""
    settings, first = write_project(folder)
    typer.echo(
        f"wrote {settings} and {first}; put your images into {folder / 'images'} (or name a table),"
    )
    typer.echo(
        f"edit the classes, write labelling functions (weaklight lf new NAME --project {folder}),\n"
        f"see that they vote (weaklight lf check --project {folder}), then:\n"
        f"weaklight run --project {folder}"
    )


def write_project(folder: Path, source: str = "images") -> tuple[Path, Path]:
    """Write a commented weaklight.toml and an example to fill in; return the paths of both.

    Raises
    ------
    ConfigError
        If there is a weaklight.toml.
    """
    settings = folder / "weaklight.toml"
    if settings.exists():
        raise ConfigError(f"{settings} exists already; edit it, or choose another folder")
    (folder / "lfs").mkdir(parents=True, exist_ok=True)
    text = _TEMPLATE.replace('source = "images" ', f"source = {json.dumps(source)} ")
    settings.write_text(text, encoding="utf-8")
    first = folder / "lfs" / "first.py"
    if not first.exists():
        first.write_text(_FIRST_LF, encoding="utf-8")
    return settings, first


def project_about(items: Path, folder: Path | None = None) -> Path:
    """Return the project that takes its items from a folder, made where it is missing.

    Parameters
    ----------
    items
        A folder of images, texts or WAV files; or a project, which is returned.
    folder
        The project; ``<items>-project`` in the current folder where it is None.

    Raises
    ------
    ConfigError
        If ``items`` is no folder, or the project takes its items from elsewhere.
    """
    from pipelines.project import Project

    if not items.is_dir():
        raise ConfigError(f"expected a folder of items at {items}, but there is none")
    if (items / "weaklight.toml").is_file() and folder is None:
        return items
    project = folder or Path(f"{items.resolve().name}-project")
    if (project / "weaklight.toml").is_file():
        source = Project.open(project).config.items.source
        if (project / source).resolve() != items.resolve():
            raise ConfigError(
                f"{project} takes its items from {source}, not from {items}; name another project "
                "with --project"
            )
        return project
    # resolved: a relative path would lead elsewhere through a link
    settings, _ = write_project(project, os.path.relpath(items.resolve(), project.resolve()))
    typer.echo(f"made the project {project}; its settings are in {settings}", err=True)
    return project


def demo(
    folder: Annotated[Path, typer.Argument(help="Where the demo project goes.")] = Path("demo"),
    example: Annotated[
        str, typer.Option(help="Which bundled example: fashion or mail.")
    ] = "fashion",
    prefect: Annotated[
        bool, typer.Option("--prefect/--no-prefect", help="Through Prefect, or plainly.")
    ] = True,
) -> None:
    """Run the whole line on a bundled example of real images or e-mails, with no network."""
    from weaklight.cli.line import run_and_show

    copy_example(example, folder)
    typer.echo(f"demo project: {folder}", err=True)
    run_and_show(folder, ("report",), prefect=prefect)


def doctor(
    project: Annotated[Path, typer.Option(help="The project's folder.")] = Path(),
) -> None:
    """Check a project: settings, libraries, and every stored artifact against its hash."""
    from pipelines.engine import library_versions
    from pipelines.project import Project
    from pipelines.store import hash_path

    opened = Project.open(project)
    for name, version in library_versions().items():
        typer.echo(f"{name:>14} {version}")
    damaged = []
    n = 0
    for stage, digest in list(opened.store.everything()):
        folder = opened.store.folder(stage, digest)
        if not (folder / "manifest.json").is_file():  # pruned meanwhile, or damaged: made again
            continue
        for output in opened.store.manifest(stage, digest).outputs.values():
            n += 1
            if hash_path(folder / output.file)[0] != output.sha256 and folder.is_dir():
                damaged.append(folder / output.file)
    typer.echo(f"{n} stored outputs checked, {len(damaged)} damaged")
    if damaged:
        raise DataError(
            "these outputs differ from their recorded hash; delete their folders and run again:\n"
            + "\n".join(f"  {p}" for p in damaged)
        )


def copy_example(example: str, folder: Path) -> None:
    """Copy a bundled example to ``folder``; a project that is already there is left as it is.

    Raises
    ------
    ConfigError
        If there is no such example, or the folder holds something that is no project.
    """
    import shutil

    import examples

    root = Path(examples.__file__).parent
    known = sorted(p.parent.name for p in root.glob("*/weaklight.toml"))
    if example not in known:
        near = nearest(example, known)
        raise ConfigError(f"no example is called {example!r}; known: {known}{near}")
    if (folder / "weaklight.toml").is_file():
        return
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} exists and is no project; choose another folder")
    shutil.copytree(
        root / example,
        folder,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("__pycache__", "__init__.py", "make_*.py", ".weaklight"),
    )

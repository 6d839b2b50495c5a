"""From data that came in to a project folder that is ready to run.

Every importer returns an :class:`Imported`; :func:`write_project` turns it into ``items.parquet``
(``items.jsonl`` where images stay files), a commented ``weaklight.toml`` and, for votes that came
with the data, one labelling function a column.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labeling_functions.templates.toml import to_toml
from pipelines.config import CONFIG_NAME
from pipelines.exchange.folders import new_folder
from pipelines.readers import first_few
from weaklight.contracts import SOURCE_SPLITS, check_votes
from weaklight.errors import ConfigError, DataError
from weaklight.seeds import numpy_generator
from weaklight.words import counted

__all__ = [
    "VOTE_PREFIX",
    "Imported",
    "class_order",
    "draw_splits",
    "similar_classes",
    "unique_items",
    "vote_table",
    "write_project",
]

VOTE_PREFIX = "vote_"


@dataclass(frozen=True)
class Imported:
    """Items read from somewhere, before they are a project.

    Attributes
    ----------
    table
        ``item_id``, ``text``, ``image`` or ``audio`` (bytes, or a path relative to ``base``), or
        the columns that ``series`` names, ``split``, perhaps ``gold`` and ``noisy_label`` (class
        names or None), ``bag_id`` and ``bag_label`` (1 or 0), ``vote_<name>`` (class names or None)
        for each voter, and any other columns. Gold of unlabelled items never gets written.
    classes
        K >= 2 class names in order.
    notes
        Plain sentences for the person who imports.
    base
        The folder that paths in ``image`` and ``audio`` are relative to.
    names
        What ``item_id``, ``text``, ``image`` and ``audio`` are called in the source, where that is
        something else. The project keeps these names, so that ``predict`` reads more of the same
        tables.
    series
        A column of lists of numbers, or columns (or patterns of names) of numbers that are an item
        together; empty for other items.
    """

    table: pd.DataFrame
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()
    base: Path = Path()
    names: Mapping[str, str] = field(default_factory=dict)
    series: tuple[str, ...] = ()

    @property
    def media(self) -> str:
        """What the items are: of several columns the one that was named, else texts."""
        if self.series:
            return "series"
        here = [kind for kind in ("text", "audio", "image") if kind in self.table]
        return next((kind for kind in here if kind in self.names), here[0])

    @property
    def has_bags(self) -> bool:
        """Whether bags, or items that are bags, came with labels."""
        return "bag_label" in self.table and bool(self.table["bag_label"].notna().any())

    @property
    def voters(self) -> tuple[str, ...]:
        """The columns that hold votes."""
        return tuple(str(c) for c in self.table if str(c).startswith(VOTE_PREFIX))


def write_project(imported: Imported, folder: Path, *, title: str) -> dict[str, int]:
    """Write the project; it appears whole or not at all, and never over another one.

    Parameters
    ----------
    title
        Where the data came from, for the first line of ``weaklight.toml``.

    Returns
    -------
    Number of items of each split that has any.

    Raises
    ------
    ConfigError
        If the folder exists and is not empty; of a project it says how items are added.
    DataError
        If ids are missing or double, a class is unknown, or there are fewer than two classes.
    """
    if (folder / CONFIG_NAME).is_file():
        raise ConfigError(
            f"{folder} is a project already, and an import makes new ones only. To add items to "
            "it, append rows with ids that were never used to the table that [items] source in "
            f'its {CONFIG_NAME} names, as under "More items" in docs/import_export.md; to make '
            "another project, choose another folder with --to"
        )
    table = _checked(imported)
    media = imported.media
    stays_files = (
        media in ("image", "audio") and table[media].map(lambda v: isinstance(v, str)).any()
    )
    items = "items.jsonl" if stays_files else "items.parquet"
    if stays_files:
        table[media] = [_relative(v, imported.base, folder) for v in table[media]]
    stored = table.rename(columns=imported.names)
    with new_folder(folder) as fresh:
        if stays_files:
            # jsonl: ingest then watches the files themselves, not only the table
            stored.to_json(fresh / items, orient="records", lines=True, force_ascii=False)
        else:
            stored.to_parquet(fresh / items, index=False)
        (fresh / CONFIG_NAME).write_text(_settings(imported, items, media, title), encoding="utf-8")
        (fresh / "lfs").mkdir()
        if imported.voters:
            text = _replaying(imported.voters)
            (fresh / "lfs" / "votes.toml").write_text(text, encoding="utf-8")
        else:
            text = _FIRST_LF.format(item=_READS[media])
            (fresh / "lfs" / "first.py").write_text(text, encoding="utf-8")
    counts = table["split"].value_counts()
    return {split: int(counts[split]) for split in SOURCE_SPLITS if split in counts}


def class_order(*columns: Iterable[Any]) -> tuple[str, ...]:
    """Return the distinct names in these columns, sorted."""
    return tuple(sorted({str(v) for column in columns for v in column if not pd.isna(v)}))


def similar_classes(classes: tuple[str, ...]) -> tuple[str, ...]:
    """Return a warning for each class whose name differs from another's in nothing but case."""
    by_name: dict[str, list[str]] = {}
    for name in classes:
        by_name.setdefault(name.casefold(), []).append(name)
    return tuple(
        f"the classes {names} differ only in upper and lower case; if they are one, correct the "
        "labels, or name one of them with --classes where the command has it, and import again"
        for names in by_name.values()
        if len(names) > 1
    )


def unique_items(imported: Imported) -> Imported:
    """Leave out items without an id or with that of an earlier one, and say which, as runs do."""
    ids = imported.table["item_id"]
    is_double = ids.duplicated() & ids.notna()
    notes = list(imported.notes)
    if ids.isna().any():
        rows = (np.flatnonzero(ids.isna()) + 1).tolist()
        without = counted(len(rows), "row without an id: row", "rows without an id: rows")
        notes.append(f"left out {without} {first_few(rows)}")
    if is_double.any():
        names = ids[is_double].tolist()
        notes.append(
            f"left out {counted(len(names), 'row')} whose id came before (the first is kept): "
            f"{first_few(names)}"
        )
    table = imported.table[ids.notna() & ~is_double].reset_index(drop=True)
    return replace(imported, table=table, notes=tuple(notes))


def vote_table(
    votes: NDArray[np.integer], classes: tuple[str, ...], names: list[str]
) -> pd.DataFrame:
    """Return a matrix of votes as columns of class names, None where a voter abstains.

    Parameters
    ----------
    votes
        (n, m) integers, -1..K-1.
    classes
        K class names.
    names
        m names of the voters.

    Raises
    ------
    DataError
        If a vote is out of range.
    """
    of_value = np.array([*classes, None], dtype=object)
    columns = [VOTE_PREFIX + name for name in names]
    return pd.DataFrame(of_value[check_votes(votes, len(classes))], columns=columns, dtype=object)


def draw_splits(imported: Imported, *, n_dev: int, n_test: int, seed: int) -> Imported:
    """Draw dev and test at random from the unlabelled items whose gold is known.

    Items that are in a split already stay there; of rows with one id the first is kept.

    Raises
    ------
    DataError
        If fewer items have gold than are to be drawn.
    """
    imported = unique_items(imported)
    table = imported.table.copy()
    if "split" not in table:
        table["split"] = "unlabeled"
    gold = table["gold"] if "gold" in table else pd.Series(None, table.index, dtype=object)
    known = np.flatnonzero(gold.notna() & (table["split"] == "unlabeled"))
    if n_dev + n_test > len(known):
        raise DataError(
            f"--dev {n_dev} and --test {n_test} need {n_dev + n_test} items with gold, "
            f"but {len(known)} have it; ask for fewer or name the gold column"
        )
    drawn = numpy_generator(seed, "import", "splits").permutation(known)[: n_dev + n_test]
    split = table["split"].to_numpy(dtype=object, copy=True)
    split[drawn[:n_dev]], split[drawn[n_dev:]] = "dev", "test"
    table["split"] = split
    note = f"drew {n_dev} dev and {n_test} test items at random (seed {seed}) from {len(known)}"
    return replace(imported, table=table, notes=(*imported.notes, note))


def _checked(imported: Imported) -> pd.DataFrame:
    """Return the table in the order that people read it, or say what is wrong with it."""
    table = imported.table.reset_index(drop=True).copy()
    ids = table["item_id"]
    if ids.isna().any() or ids.duplicated().any():
        odd = ids[ids.isna() | ids.duplicated()].head(3).tolist()
        raise DataError(
            f"item ids must be present and unique, but {odd} are not; correct them, or let "
            "unique_items leave them out"
        )
    if len(imported.classes) < 2:
        raise DataError(
            f"at least two classes are needed, but {list(imported.classes)} were found; "
            "name the column of hand labels with --gold, or the classes with --classes ham,spam"
        )
    for column in ("gold", "noisy_label", *imported.voters):
        if column in table:
            unknown = set(table[column].dropna().unique()) - set(imported.classes)
            if unknown:
                raise DataError(
                    f"{column} must name one of the classes {list(imported.classes)}, but holds "
                    f"{sorted(map(str, unknown))[:5]}; correct it or --classes"
                )
    if "split" not in table:
        has_gold = table["gold"].notna() if "gold" in table else np.zeros(len(table), dtype=bool)
        table["split"] = np.where(has_gold, "dev", "unlabeled")
    unknown_splits = sorted(set(table["split"]) - set(SOURCE_SPLITS))
    if unknown_splits:
        raise DataError(
            f"split must be one of {list(SOURCE_SPLITS)}, but {unknown_splits[:5]} came"
        )
    if "gold" in table:
        # what trains must not know it
        table["gold"] = table["gold"].where(table["split"] != "unlabeled", None)
    if not (table["split"] == "unlabeled").any():
        raise DataError(
            "no unlabelled item is left to learn from: every item has gold; "
            "draw a part of them for judging with --dev 200 --test 200"
        )
    first = [c for c in ("item_id", "text", "image", "audio", "split", "gold") if c in table]
    return table[[*first, *(c for c in table if c not in first)]]


def _relative(file: Any, base: Path, folder: Path) -> str | None:
    return None if pd.isna(file) else os.path.relpath((base / file).absolute(), folder.absolute())


_WHAT = {
    "text": "the column with the texts",
    "image": "the column with the images",
    "audio": "the column with the WAV files",
    "series": "the numbers that are an item",
}


_BAGS = """
# [bags]
# positive = {positive}  # the class that bag_label = 1 says a bag holds; unset, bags do not vote
"""
_PARTS = {"text": "paragraphs", "image": "patches", "audio": "windows", "series": "windows"}


def _settings(imported: Imported, items: str, media: str, title: str) -> str:
    # JSON strings and lists of them are TOML too
    classes = json.dumps(list(imported.classes), ensure_ascii=False)
    columns = {media: _WHAT[media], "item_id": "the column with the ids"}
    names: dict[str, Any] = dict(imported.names)
    if imported.series:
        is_one = len(imported.series) == 1 and "*" not in imported.series[0]
        names["series"] = imported.series[0] if is_one else list(imported.series)
    named = "\n".join(
        f"{role} = {json.dumps(names.get(role, role), ensure_ascii=False)}  # {what}"
        for role, what in columns.items()
        if role == media or role in names
    )
    positive = json.dumps(imported.classes[-1], ensure_ascii=False)
    bags = _BAGS.format(positive=positive) if imported.has_bags else ""
    if bags and "bag_id" not in imported.table:
        parts = _PARTS[media]
        bags += f'# instances = "{parts}"  # each item is a bag itself: which {parts} make it so\n'
    if "noisy_label" in imported.table:
        named += '\n# noisy_label = "noisy_label"  # labels of doubtful quality: one more voter'
    return f"""# {title}
# Every line that is commented out shows its default; docs/architecture.md lists the rest.

classes = {classes}  # in order
# seed = 0

[items]
source = "{items}"
{named}
{bags}
# [aggregate]
# model = "auto"      # which label model; auto chooses without gold and says why
# features = "auto"   # auto, on or off: spread labels over the neighbor graph

# [schedule]
# cron = "0 2 * * *"  # when `weaklight serve` runs the whole line
"""


def _replaying(voters: tuple[str, ...]) -> str:
    """Return TOML with one labelling function a column of votes."""
    tables = [
        to_toml({"name": c.removeprefix(VOTE_PREFIX), "kind": "annotator", "column": c})
        for c in voters
    ]
    head = "# The votes that came with the data: one labelling function a column of the items.\n"
    return "\n".join([head, *tables])


# A column that each kind of items has, for the first function.
_READS = {
    "text": "item.text",
    "image": "item.aspect",
    "audio": "item.duration",
    "series": "item.largest",
}

_FIRST_LF = '''"""Labelling functions: plain functions that return a class name or nothing.

docs/labeling_functions.md shows every kind; take the # away and put in what you know:
"""

from labeling_functions import labeling_function

# @labeling_function()
# def my_first_rule(item):
#     """Say in a sentence why this is so."""
#     if ... {item} ...:
#         return "a class"
'''

"""Plain tables, out and in: Parquet, JSON lines and (in only, see ``spreadsheet``) CSV."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipelines.exchange.exporter import Exporter
from pipelines.exchange.labels import WeakLabels
from pipelines.exchange.projects import VOTE_PREFIX, Imported, class_order
from pipelines.readers import NAMED_TABLES
from pipelines.sections import matching_columns
from pipelines.tables import (
    as_class_names,
    as_name,
    listed,
    numbered,
    read_csv,
    rename_columns,
    require_columns,
    told_encoding,
    unreadable,
)
from weaklight.errors import DataError

__all__ = [
    "JSONL",
    "PARQUET",
    "PROJECT_COLUMNS",
    "Columns",
    "read_items",
    "read_table",
]


# By role, the option of the command line that names its column.
_OPTIONS = {
    "item_id": "--id",
    "text": "--text",
    "image": "--image",
    "audio": "--audio",
    "split": "--split",
    "gold": "--gold",
    "noisy_label": "--noisy-label",
    "bag_id": "--bag-id",
    "bag_label": "--bag-label",
}


@dataclass(frozen=True)
class Columns:
    """What the columns of a table are called; a column that is named must exist.

    Attributes
    ----------
    item_id, text, image, audio, split, gold, noisy_label, bag_id, bag_label
        None stands for a column called like the role, where the table has one.
    series : one column of lists of numbers, or columns of numbers whose values are an item
        together; "f*" stands for all that begin with f
    votes : columns with one voter's answers each, beside every ``vote_<name>``
    """

    item_id: str | None = None
    text: str | None = None
    image: str | None = None
    audio: str | None = None
    series: tuple[str, ...] = ()
    split: str | None = None
    gold: str | None = None
    noisy_label: str | None = None
    bag_id: str | None = None
    bag_label: str | None = None
    votes: tuple[str, ...] = ()

    @property
    def named(self) -> dict[str, str]:
        """Map the role to the name in the table, where one was given."""
        return {role: name for role in _OPTIONS if (name := getattr(self, role)) is not None}

    def names(self) -> dict[str, str]:
        """Map the name in the table to the name in a project."""
        return {name: role for role, name in self.named.items()} | {
            vote: VOTE_PREFIX + vote.removeprefix(VOTE_PREFIX) for vote in self.votes
        }

    def check(self, columns: Iterable[object], table: str) -> None:
        """Check that every column that was named is among those of a table.

        Raises
        ------
        DataError
            If one is missing.
        """
        known = list(columns)
        require_columns(known, {_OPTIONS[role]: c for role, c in self.named.items()}, table)
        for vote in self.votes:
            require_columns(known, {"--votes": vote}, table)
        for name in matching_columns(self.series, known):
            require_columns(known, {"--series": name}, table)


PROJECT_COLUMNS = Columns()


def read_items(
    file: Path, columns: Columns = PROJECT_COLUMNS, *, classes: tuple[str, ...] = ()
) -> Imported:
    """Read items from a table of one row an item.

    Parameters
    ----------
    file
        ``.csv``, ``.tsv``, ``.txt`` (as Excel saves Unicode Text), ``.jsonl`` or ``.parquet``;
        paths of images are relative to it.
    columns
        What its columns are called. Without ids, rows are numbered.
    classes
        Class names in order; the distinct names in gold, noisy labels and votes where empty.
        Where given, a label may also be a class id, or a class's name in another case.

    Raises
    ------
    DataError
        If the file cannot be read, has no items of any kind, or lacks a column that was named.
    """
    table = read_table(file)
    columns.check(table, file.name)
    series = _series_of(columns, table.columns)
    table = rename_columns(table, columns.names(), file.name)
    has_others = any(kind in table for kind in ("text", "image", "audio"))
    series = series or (("series",) if "series" in table and not has_others else ())
    if not series and not has_others:
        raise DataError(
            f"{file.name}: expected the column 'text', 'image', 'audio' or 'series', but it has "
            f"{listed(table.columns)}; name yours with --text, --image or --audio, or columns of "
            'numbers with --series "sensor_*"'
        )
    notes = told_encoding(table)
    if "item_id" not in table:
        table.insert(0, "item_id", numbered(len(table)))
        notes += ("the table has no ids; items are numbered in its order",)
    table["item_id"] = table["item_id"].map(as_name)
    if "bag_id" in table:
        table["bag_id"] = table["bag_id"].map(as_name)
    labels = [c for c in table if c in ("gold", "noisy_label") or str(c).startswith(VOTE_PREFIX)]
    for column in labels:
        table[column] = as_class_names(table[column], classes)
    if "text" in table:
        table["text"] = table["text"].map(lambda v: "" if pd.isna(v) else str(v))
    if "split" in table:
        table["split"] = table["split"].map(lambda v: as_name(v) or "unlabeled")
    found = classes or class_order(*(table[c] for c in labels))
    kept = ("item_id", "text", "image", "audio")
    names = {r: c for r, c in columns.named.items() if r in kept}
    if any(kind in names for kind in ("text", "image", "audio")):
        series = ()  # a column that somebody named holds the items
    return Imported(table, found, notes, base=file.parent, names=names, series=series)


def _series_of(columns: Columns, given: Iterable[object]) -> tuple[str, ...]:
    """Return the columns of a series, one by one where a pattern would take one of another role.

    In the project that column is called by its role, but tables to come have its own name.
    """
    matched = matching_columns(columns.series, given)
    others = set(columns.names()).difference(columns.series)
    if others.isdisjoint(matched):
        return columns.series
    return tuple(c for c in matched if c not in others)


def read_table(file: Path) -> pd.DataFrame:
    """Read a table as it stands: an empty CSV cell is missing, "NA" and "0012" are texts.

    Raises
    ------
    DataError
        If the file is missing, damaged, empty or of another kind.
    """
    try:
        kind = NAMED_TABLES.get(file.suffix.lower())
        if kind == "csv":
            empty: dict[str, Any] = {"keep_default_na": False, "na_values": [""]}
            table = read_csv(file, dtype=_texts_of(file, empty), **empty)
        elif kind == "jsonl":
            # not pandas.read_json, which takes some texts for numbers and dates; and a text may
            # hold other ends of line than \n
            lines = file.read_text(encoding="utf-8-sig").split("\n")
            table = pd.DataFrame([json.loads(line) for line in lines if line.strip()])
        elif kind == "parquet":
            table = pd.read_parquet(file)
        else:
            raise DataError(
                f"{file.name} must end in one of {', '.join(NAMED_TABLES)}; convert it first (in "
                "Excel: Save As, CSV UTF-8)"
            )
    except FileNotFoundError:
        raise DataError(f"expected a table at {file}, but there is none; check the path") from None
    except (ValueError, OSError) as error:
        raise unreadable(file, error) from None
    if table.empty:
        raise DataError(f"{file} holds no rows; give a table with one row an item")
    return table


def _texts_of(file: Path, empty: dict[str, Any]) -> dict[str, type]:
    """Return the columns whose first cells are numbers with a leading zero: those are names."""
    sample = read_csv(file, nrows=1000, dtype=str, **empty).astype(str)
    return {
        str(column): str for column in sample if sample[column].str.fullmatch(r"0\d+").any()
    }  # "0012" is an id or a code, never the number 12


def _write_parquet(labels: WeakLabels, folder: Path) -> None:
    labels.flat_table.to_parquet(folder / "labels.parquet", index=False)


def _write_jsonl(labels: WeakLabels, folder: Path) -> None:
    labels.flat_table.to_json(
        folder / "labels.jsonl", orient="records", lines=True, force_ascii=False
    )


PARQUET = Exporter(
    _write_parquet, 'import pandas\n\nlabels = pandas.read_parquet("labels.parquet")'
)
JSONL = Exporter(
    _write_jsonl,
    "# without dtype=False the id 0012 would become the number 12\nimport pandas\n\n"
    'labels = pandas.read_json("labels.jsonl", lines=True, dtype=False)',
)

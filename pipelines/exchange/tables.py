"""Plain tables, out and in: Parquet, JSON lines and (in only, see ``spreadsheet``) CSV."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipelines.exchange.exporter import Exporter
from pipelines.exchange.labels import WeakLabels
from pipelines.exchange.projects import VOTE_PREFIX, Imported, class_order
from weaklight.errors import DataError

__all__ = [
    "JSONL",
    "PARQUET",
    "PROJECT_COLUMNS",
    "Columns",
    "as_class_names",
    "read_items",
    "read_table",
]


@dataclass(frozen=True)
class Columns:
    """What the columns of a table are called; a role whose column is missing is left out.

    Attributes
    ----------
    votes : columns with one voter's answers each, beside every ``vote_<name>``
    """

    item_id: str = "item_id"
    text: str = "text"
    image: str = "image"
    split: str = "split"
    gold: str = "gold"
    noisy_label: str = "noisy_label"
    votes: tuple[str, ...] = ()

    def names(self) -> dict[str, str]:
        """Map the name in the table to the name in a project."""
        roles = ("item_id", "text", "image", "split", "gold", "noisy_label")
        return {getattr(self, role): role for role in roles} | {
            vote: VOTE_PREFIX + vote.removeprefix(VOTE_PREFIX) for vote in self.votes
        }


PROJECT_COLUMNS = Columns()


def read_items(
    file: Path, columns: Columns = PROJECT_COLUMNS, *, classes: tuple[str, ...] = ()
) -> Imported:
    """Read items from a table of one row an item.

    Parameters
    ----------
    file
        ``.csv``, ``.jsonl`` or ``.parquet``; paths of images are relative to it.
    columns
        What its columns are called. Without ids, rows are numbered.
    classes
        Class names in order; the distinct names in gold, noisy labels and votes where empty.
        Where given, a label may also be a class id.

    Raises
    ------
    DataError
        If the file cannot be read or has neither texts nor images.
    """
    table = read_table(file)
    named = [vote for vote in columns.votes if vote not in table]
    if named or (columns.text not in table and columns.image not in table):
        what = named or f"{columns.text!r} or {columns.image!r}"
        raise DataError(
            f"{file.name}: expected the column {what}, but it has {list(table.columns)}; "
            "name yours with --text, --image and --votes"
        )
    table = table.rename(columns=columns.names())
    notes: tuple[str, ...] = ()
    if "item_id" not in table:
        table.insert(0, "item_id", [f"{i:06d}" for i in range(len(table))])
        notes = ("the table has no ids; items are numbered in its order",)
    table["item_id"] = table["item_id"].map(_name)
    labels = [c for c in table if c in ("gold", "noisy_label") or str(c).startswith(VOTE_PREFIX)]
    for column in labels:
        table[column] = as_class_names(table[column], classes)
    for column in ("text", "split"):
        if column in table:
            missing = "" if column == "text" else "unlabeled"
            table[column] = table[column].map(lambda v, m=missing: m if pd.isna(v) else str(v))
    found = classes or class_order(*(table[c] for c in labels))
    return Imported(table, found, notes, base=file.parent)


def read_table(file: Path) -> pd.DataFrame:
    """Read a table as it stands: an empty CSV cell is missing, "NA" and "0012" are texts.

    Raises
    ------
    DataError
        If the file is missing, damaged, empty or of another kind.
    """
    try:
        if file.suffix == ".csv":
            kept: Mapping[str, Any] = {"keep_default_na": False, "na_values": [""]}
            header = pd.read_csv(file, nrows=0).columns
            table: pd.DataFrame = pd.read_csv(file, dtype=_texts_of(file, header), **kept)
        elif file.suffix == ".jsonl":
            # not pandas.read_json, which takes some texts for numbers and dates; and a text may
            # hold other ends of line than \n
            lines = file.read_text(encoding="utf-8").split("\n")
            table = pd.DataFrame([json.loads(line) for line in lines if line.strip()])
        elif file.suffix == ".parquet":
            table = pd.read_parquet(file)
        else:
            raise DataError(f"{file.name} must end in .csv, .jsonl or .parquet; convert it first")
    except FileNotFoundError:
        raise DataError(f"expected a table at {file}, but there is none; check the path") from None
    except (ValueError, OSError) as error:
        raise DataError(f"{file} cannot be read ({error}); check that the file is whole") from None
    if table.empty:
        raise DataError(f"{file} holds no rows; give a table with one row an item")
    return table


def as_class_names(column: pd.Series, classes: tuple[str, ...] = ()) -> pd.Series:
    """Return labels as class names or None; -1 abstains, a class id becomes its class's name."""
    by_id = {str(k): name for k, name in enumerate(classes)} | {"-1": None}

    def read(value: Any) -> str | None:
        name = _name(value)
        return name if name is None or name in classes else by_id.get(name, name)

    return pd.Series([read(v) for v in column], index=column.index, dtype=object)


def _name(value: Any) -> str | None:
    """Return a cell as a name: 1.0, which is 1 beside missing cells, is "1"."""
    if pd.isna(value) or value == "":
        return None
    is_whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if is_whole else str(value)


def _texts_of(file: Path, header: Iterable[str]) -> dict[str, type]:
    """Return the columns whose first cells are numbers with a leading zero: those are names."""
    sample = pd.read_csv(file, nrows=1000, dtype=str, keep_default_na=False)
    return {
        column: str for column in header if sample[column].str.fullmatch(r"0\d+").any()
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

"""What every reader of tables needs: named columns must exist, CSV and labels as people write them.

Try it: ``read_csv(path, dtype=str)``.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from pipelines.code_pages import PAGES, UnknownEncodingError, beyond_ascii, code_page
from weaklight.errors import DataError
from weaklight.words import nearest

__all__ = [
    "as_class_names",
    "as_name",
    "listed",
    "numbered",
    "read_csv",
    "rename_columns",
    "require_columns",
    "told_encoding",
    "unreadable",
]

_LISTED = 20  # columns that a message names
_SEPARATORS = ",;\t"  # a spreadsheet writes ; where the comma is the decimal sign
_NO_SEPARATOR = "\x1f"  # which no text holds
_READ_AS = "read as"  # what is told of a table's code page, among its attrs
_SEPARATOR_LINE = re.compile(r"sep=(.)")  # some spreadsheets say it before the header


def require_columns(
    columns: Iterable[object], named: Mapping[str, str], table: str, *, remedy: str = ""
) -> None:
    """Check that a table has the columns that somebody named for it.

    Parameters
    ----------
    named
        From where each was named, such as ``--gold`` or ``gold under [items]``, to its name.
    table
        What to call the table in a message.
    remedy
        What to do; where empty, to correct the name.

    Raises
    ------
    DataError
        Naming the first one that is missing, and the column that was probably meant.
    """
    known = [str(column) for column in columns]
    for place, name in named.items():
        if name not in known:
            what_to_do = f"; {remedy}" if remedy else nearest(name, known) or f"; correct {place}"
            raise DataError(
                f"{table} needs a column {name!r}, as {place} says, but has {listed(known)}"
                f"{what_to_do}"
            )


def listed(columns: Iterable[object]) -> str:
    """Return names of columns for a message: of a wide table the first, and how many follow."""
    names = [str(column) for column in columns]
    more = len(names) - _LISTED
    return f"{names[:_LISTED]}" + (f" and {more} more" if more > 0 else "")


def rename_columns(table: pd.DataFrame, roles: Mapping[str, str], name: str) -> pd.DataFrame:
    """Return the table with its columns called by their roles, where it has them.

    Raises
    ------
    DataError
        If another column has the name of a role already.
    """
    for column, role in roles.items():
        if column != role and column in table and role in table:
            raise DataError(
                f"{name}: {column!r} is to be read as {role}, but there is a column {role!r} too; "
                "rename or delete that one"
            )
    return table.rename(columns=dict(roles))


def read_csv(path: Path, **options: Any) -> pd.DataFrame:
    """Read a CSV as people save it; ``options`` are those of ``pandas.read_csv``.

    Raises
    ------
    ValueError, OSError
        If it cannot be read, to be told as :func:`unreadable` tells it.

    Notes
    -----
    Comma, semicolon or tab; the earlier where two part it into as many. A line ``sep=;`` above the
    header says it outright. Where none parts the first line, there is one column, and commas
    further down belong to its texts. A byte order mark, which Excel writes, is skipped and tells
    UTF-16 from UTF-8; what is neither is in a code page, see :func:`told_encoding`.
    """
    try:
        return _read_csv(path, _marked_encoding(path), options)
    except UnicodeDecodeError:
        raw = path.read_bytes()
        page = code_page(raw)
        table = _read_csv(path, page, options)
        words = ", ".join(beyond_ascii(raw.decode(page)))
        table.attrs[_READ_AS] = (
            f"{path.name} is not in UTF-8 and was read as {PAGES[page]}, with words such as "
            f"{words or 'those in it'}; where they are wrong, save it as UTF-8"
        )
        return table


def told_encoding(table: pd.DataFrame) -> tuple[str, ...]:
    """Say once that a CSV was read in a code page, which is told by its words and may be wrong.

    Parameters
    ----------
    table
        From :func:`read_csv`, or made of such a one.
    """
    told = table.attrs.pop(_READ_AS, None)  # pandas would write it into Parquet
    return () if told is None else (told,)


def _read_csv(path: Path, encoding: str, options: Mapping[str, Any]) -> pd.DataFrame:
    with path.open(encoding=encoding, newline="") as file:
        layout = _layout(file.readline())
    table: pd.DataFrame = pd.read_csv(path, encoding=encoding, **layout, **options)
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes cells beyond the header for names
        raise ValueError("the first row has more cells than the header")
    return table


def _marked_encoding(path: Path) -> str:
    with path.open("rb") as raw:
        is_utf16 = raw.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return "utf-16" if is_utf16 else "utf-8-sig"


def _layout(header: str) -> dict[str, Any]:
    """Return how ``pandas.read_csv`` must part a CSV with this first line."""
    if stated := _SEPARATOR_LINE.fullmatch(header.rstrip("\r\n")):
        return {"sep": stated[1], "skiprows": 1}
    n_columns = {sep: len(next(csv.reader([header], delimiter=sep), [])) for sep in _SEPARATORS}
    best = max(n_columns, key=n_columns.__getitem__)
    return {"sep": best if n_columns[best] > 1 else _NO_SEPARATOR}


def as_class_names(column: pd.Series, classes: tuple[str, ...] = ()) -> pd.Series:
    """Return labels as class names, without blanks around, or None.

    -1 abstains; a class id becomes its class's name, as does that name in another case, unless two
    classes differ in nothing else.
    """
    by_id = {str(k): name for k, name in enumerate(classes)} | {"-1": None}
    folded = Counter(name.casefold() for name in classes)
    by_case = {n.casefold(): n for n in classes if folded[n.casefold()] == 1}

    def read(value: Any) -> str | None:
        name = as_name(value)
        if name is None or name in classes:
            return name
        return by_id.get(name, by_case.get(name.casefold(), name))

    return pd.Series([read(v) for v in column], index=column.index, dtype=object)


def as_name(value: Any) -> str | None:
    """Return a cell as a name: 1.0, which is 1 beside missing cells, is "1"; " ham " is "ham"."""
    if pd.isna(value):
        return None
    is_whole = isinstance(value, float) and value.is_integer()
    return (str(int(value)) if is_whole else str(value).strip()) or None


def numbered(n: int) -> list[str]:
    """Return ids for n rows that have none; an import and ``predict`` number them alike."""
    return [f"{row:06d}" for row in range(n)]


def unreadable(path: Path, error: Exception) -> DataError:
    """Return the error that says why a table cannot be read and what to do."""
    if isinstance(error, UnicodeDecodeError):
        error = UnknownEncodingError("is not in UTF-8")
    if isinstance(error, UnknownEncodingError):
        return DataError(
            f"{path} {error}; save it as UTF-8 (in Excel: Save As, CSV UTF-8) and try again"
        )
    return DataError(
        f"{path} cannot be read ({error}); check that the file is whole, and in a CSV that cells "
        "which hold the separator stand in quotes"
    )

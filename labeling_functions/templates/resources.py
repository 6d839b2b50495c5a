"""Files beside the LFs that templates read: word lists and tables of names.

Try it: ``read_lines(Path("brands.txt"))``.
"""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from typing import Any, TypeVar

from weaklight.errors import LabelingError

__all__ = ["existing", "read_lines", "read_rows", "read_text"]

_Template = TypeVar("_Template", bound=Any)


def existing(lf: _Template, folder: Path) -> _Template:
    """Return ``lf`` with its ``file`` taken relative to ``folder``.

    Raises
    ------
    LabelingError
        If there is no such file.
    """
    if lf.file is None:
        return lf
    path = folder / lf.file
    if not path.is_file():
        lf.refuse("file", f"must lie beside the LF, but {path} is missing; put it there")
    return dataclasses.replace(lf, file=path)


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """Return what a file in UTF-8 holds; ``utf-8-sig`` takes its mark away.

    Raises
    ------
    LabelingError
        If it cannot be read or is in another encoding.
    """
    try:
        return path.read_text(encoding=encoding)
    except UnicodeDecodeError:
        raise LabelingError(
            f"{path} must be a text file in UTF-8, but is in another encoding; save it as UTF-8"
        ) from None
    except OSError as error:
        raise LabelingError(f"{path} must be a text file in UTF-8, but {error}") from error


def read_lines(path: Path) -> list[str]:
    """Return the entries of a list, one a line, less empty lines and comments.

    Separators at the end of a line are those of empty cells that a spreadsheet left there.
    """
    entries = [line.rstrip(";,\t ") for line in _lines(path)]
    return [entry for entry in entries if entry]


def read_rows(path: Path, n_columns: int) -> list[tuple[str, ...]]:
    """Return the rows of a list without a header, separated by commas (a ``.tsv``: by tabs).

    Where semicolons part the first line as it must be and commas do not, they part all: a
    spreadsheet where commas are for decimals writes them.

    Raises
    ------
    LabelingError
        If a row has another number of cells.
    """
    if n_columns == 1:
        return [(line,) for line in read_lines(path)]
    lines = _lines(path)
    delimiter = "\t" if path.suffix == ".tsv" else ","
    by_comma, by_semicolon = (len(next(csv.reader(lines[:1], delimiter=d), [])) for d in ",;")
    if delimiter == "," and by_comma != n_columns == by_semicolon:
        delimiter = ";"
    rows = [tuple(cell.strip() for cell in row) for row in csv.reader(lines, delimiter=delimiter)]
    separator = "a tab" if delimiter == "\t" else "commas"
    for number, row in enumerate(rows, start=1):
        if len(row) != n_columns:
            raise LabelingError(
                f"{path}: each row must hold {n_columns} cells, but row {number} holds {len(row)} "
                f"({', '.join(row)}); separate them with {separator}"
            )
    return rows


def _lines(path: Path) -> list[str]:
    """Return the lines that are neither empty nor comments, stripped."""
    text = read_text(path, encoding="utf-8-sig")
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]

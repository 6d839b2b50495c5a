"""CSV that a spreadsheet shows and never runs.

A cell that starts with ``= + - @``, a tab or a carriage return is a formula to a spreadsheet. Such
a cell gets an apostrophe in front, and so does one that starts with an apostrophe already; taking
one leading apostrophe from every cell gives back exactly what was written.

References
----------
OWASP, "CSV Injection", https://owasp.org/www-community/attacks/CSV_Injection.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from pipelines.exchange.exporter import Exporter
from pipelines.exchange.labels import WeakLabels
from weaklight.errors import ConfigError

__all__ = ["csv_exporter", "neutralise", "restore"]

# line feed and the wide forms: some programs trim or fold them into the others
_DANGEROUS = tuple("=+-@\t\r\n＝＋－＠")  # noqa: RUF001
_SHIELD = "'"
_DELIMITERS = (",", ";", "\t")  # those that `import` tells apart
_DIGITS = 4  # of confidence, weight and probabilities, which are no more exact


def neutralise(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with every text cell, and every column name, safe in a spreadsheet."""
    safe = _map_texts(table, lambda text: _SHIELD + text if _needs_shield(text) else text)
    return safe.rename(columns=lambda name: _SHIELD + name if _needs_shield(name) else name)


def restore(table: pd.DataFrame) -> pd.DataFrame:
    """Undo :func:`neutralise`."""
    plain = _map_texts(table, lambda text: text.removeprefix(_SHIELD))
    return plain.rename(columns=lambda name: name.removeprefix(_SHIELD))


def _needs_shield(text: str) -> bool:
    return text.startswith((*_DANGEROUS, _SHIELD))


def _map_texts(table: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    return table.map(lambda cell: change(cell) if isinstance(cell, str) else cell)


def csv_exporter(delimiter: str = ",") -> Exporter:
    """Return the exporter to CSV.

    Raises
    ------
    ConfigError
        If the delimiter is none of comma, semicolon and tab.
    """
    if delimiter not in _DELIMITERS:
        raise ConfigError(f"--delimiter must be one of {list(_DELIMITERS)}, but is {delimiter!r}")

    def write(labels: WeakLabels, folder: Path) -> None:
        table = labels.flat_table
        ours = {"confidence", "weight", *(f"p_{name}" for name in labels.classes)}
        for column in ours & set(table):
            table[column] = table[column].astype(float).round(_DIGITS)
        # \r\n is RFC 4180, and makes the writer quote a lone \r inside a text; Excel tells UTF-8 by
        # the mark of utf-8-sig alone
        neutralise(table).to_csv(
            folder / "labels.csv",
            sep=delimiter,
            index=False,
            lineterminator="\r\n",
            encoding="utf-8-sig",
        )

    sep = "" if delimiter == "," else f"sep={delimiter!r}, "
    return Exporter(write, _LOAD.replace("{sep}", sep))


_LOAD = """\
# Cells that a spreadsheet would run as a formula (they start with = + - @, tab or return)
# carry a leading apostrophe; `restore` takes it off again.
import pandas

from pipelines.exchange import restore

as_text = {"{item_id}": str, "{text}": str}
table = pandas.read_csv("labels.csv", {sep}dtype=as_text, keep_default_na=False)
labels = restore(table)"""

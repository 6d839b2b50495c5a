"""Weak labels of a run, written for another tool, with a data card.

Try it: ``weaklight export labels --format csv --to labels --project demo``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipelines.exchange import (
    argilla,
    cleanlab,
    hugging_face,
    label_studio,
    spreadsheet,
    tables,
    webdataset,
)
from pipelines.exchange.card import write_card
from pipelines.exchange.exporter import Exporter
from pipelines.exchange.folders import new_folder
from pipelines.exchange.labels import WeakLabels
from weaklight.errors import ConfigError
from weaklight.words import nearest

__all__ = ["EXPORTERS", "export_labels"]

EXPORTERS: dict[str, Exporter] = {
    "parquet": tables.PARQUET,
    "jsonl": tables.JSONL,
    "csv": spreadsheet.csv_exporter(),
    "hf": hugging_face.HUGGING_FACE,
    "webdataset": webdataset.WEBDATASET,
    "labelstudio": label_studio.LABEL_STUDIO,
    "argilla": argilla.ARGILLA,
    "cleanlab": cleanlab.CLEANLAB,
}


def export_labels(
    labels: WeakLabels, format: str, folder: Path, *, delimiter: str | None = None
) -> dict[str, Any]:
    """Write weak labels into a new folder: the files of the format, ``card.json``, ``README.md``.

    Parameters
    ----------
    labels
        From :func:`pipelines.exchange.weak_labels`.
    format
        A key of :data:`EXPORTERS`.
    folder
        Appears whole or not at all.
    delimiter
        Between the cells of ``csv``, instead of the comma.

    Returns
    -------
    The data card.

    Raises
    ------
    ConfigError
        If the format is unknown or has no delimiter, its package is not installed, or the folder is
        not empty.
    DataError
        If the format cannot hold these items.
    """
    if format not in EXPORTERS:
        raise ConfigError(
            f"--format must be one of {list(EXPORTERS)}, but is {format!r}"
            f"{nearest(format, EXPORTERS)}"
        )
    exporter = EXPORTERS[format]
    if delimiter is not None:
        if format != "csv":
            raise ConfigError(f"--delimiter is for --format csv, but the format is {format}")
        exporter = spreadsheet.csv_exporter(delimiter)
    with new_folder(folder) as fresh:
        exporter.write(labels, fresh)
        load = exporter.load
        for role in ("item_id", "text"):
            load = load.replace(f"{{{role}}}", labels.names.get(role, role))
        return write_card(labels, fresh, format, load)

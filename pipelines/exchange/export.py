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

__all__ = ["EXPORTERS", "export_labels"]

EXPORTERS: dict[str, Exporter] = {
    "parquet": tables.PARQUET,
    "jsonl": tables.JSONL,
    "csv": spreadsheet.CSV,
    "hf": hugging_face.HUGGING_FACE,
    "webdataset": webdataset.WEBDATASET,
    "labelstudio": label_studio.LABEL_STUDIO,
    "argilla": argilla.ARGILLA,
    "cleanlab": cleanlab.CLEANLAB,
}


def export_labels(labels: WeakLabels, format: str, folder: Path) -> dict[str, Any]:
    """Write weak labels into a new folder: the files of the format, ``card.json``, ``README.md``.

    Parameters
    ----------
    labels
        From :func:`pipelines.exchange.weak_labels`.
    format
        A key of :data:`EXPORTERS`.
    folder
        Appears whole or not at all.

    Returns
    -------
    The data card.

    Raises
    ------
    ConfigError
        If the format is unknown, its package is not installed, or the folder is not empty.
    DataError
        If the format cannot hold these items.
    """
    if format not in EXPORTERS:
        raise ConfigError(f"--format must be one of {list(EXPORTERS)}, but is {format!r}")
    exporter = EXPORTERS[format]
    with new_folder(folder) as fresh:
        exporter.write(labels, fresh)
        return write_card(labels, fresh, format, exporter.load)

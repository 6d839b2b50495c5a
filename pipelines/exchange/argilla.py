"""Argilla records: each weak label a suggestion with its score, for people to accept or correct.

``records.json`` holds what ``argilla.Record.from_dict`` and ``dataset.records.from_json`` read.
Text goes in as text, an image as a data URI, which Argilla's ``ImageField`` shows as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from pipelines.exchange.exporter import Exporter
from pipelines.exchange.labels import WeakLabels
from pipelines.exchange.media import data_uri
from weaklight.errors import DataError

__all__ = ["ARGILLA"]

QUESTION = "label"


def _write(labels: WeakLabels, folder: Path) -> None:
    contents: Iterable[str]
    if labels.kind == "image":
        contents = map(data_uri, labels.images())
    elif labels.kind == "text":
        contents = labels.table["text"]
    else:
        raise DataError(
            f"Argilla shows texts and images, but these items are {labels.kind}; "
            "export them as parquet"
        )
    records = []
    for row, content in zip(labels.table.to_dict("records"), contents, strict=True):
        suggestions = {}
        if row["covered"]:
            suggestions[QUESTION] = {
                "value": row["label"],
                "score": float(row["confidence"]),
                "agent": f"weaklight {labels.view.run_id}",
            }
        records.append(
            {
                "id": row["item_id"],
                "fields": {labels.kind: content},
                "metadata": {"split": row["split"], "source": row["source"]},
                "suggestions": suggestions,
                "responses": {},
                "vectors": {},
            }
        )
    text = json.dumps(records, ensure_ascii=False, indent=1) + "\n"
    (folder / "records.json").write_text(text, encoding="utf-8")


ARGILLA = Exporter(
    _write,
    """# pip install argilla; the dataset's settings need a field "text" (or "image") and a
# LabelQuestion called "label" with the classes of card.json.
import json

import argilla

with open("records.json", encoding="utf-8") as file:
    records = [argilla.Record.from_dict(record) for record in json.load(file)]
# dataset.records.log(records)""",
)

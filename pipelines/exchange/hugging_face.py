"""Hugging Face ``datasets`` on disk, out and in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from pipelines.exchange.card import CARD, KIND
from pipelines.exchange.exporter import Exporter, optional
from pipelines.exchange.labels import WeakLabels
from pipelines.exchange.projects import Imported, class_order, draw_splits
from pipelines.exchange.tables import Columns
from pipelines.tables import as_class_names, rename_columns, require_columns
from weaklight.contracts import SOURCE_SPLITS
from weaklight.errors import DataError

__all__ = ["HUGGING_FACE", "read_hugging_face"]

_SPLIT_OF = {"train": "unlabeled", "validation": "dev", "valid": "dev", "val": "dev"}


def read_hugging_face(
    folder: Path,
    *,
    item_id: str | None = None,
    text: str | None = None,
    image: str | None = None,
    label: str | None = None,
    n_dev: int = 0,
    n_test: int = 0,
    keep_labels: bool = False,
    seed: int = 0,
) -> Imported:
    """Read what ``save_to_disk`` wrote: a ``DatasetDict``, or a ``Dataset`` with a split column.

    Parameters
    ----------
    item_id, text, image, label
        Names of the columns, which must then exist; None stands for a column of the same name,
        where there is one. Ids are made from split and row where they are missing.
    n_dev, n_test
        How many items of train to draw for dev and test, whose labels are gold then.
    keep_labels
        Keep labels of train as ``noisy_label``; else they are left behind. Labels of validation
        and test are gold. Weak labels that Weaklight exported are noisy labels in any case.

    Raises
    ------
    DataError
        If the folder holds no data set, one without texts and images, or without a column that
        was named; or if fewer items of train have labels than are to be drawn.
    """
    datasets = optional("datasets")
    try:
        loaded = datasets.load_from_disk(str(folder))
    except (FileNotFoundError, ValueError) as error:
        raise DataError(
            f"{folder} holds no data set that datasets.load_from_disk reads ({error}); "
            "write it with save_to_disk"
        ) from None
    parts = loaded if isinstance(loaded, datasets.DatasetDict) else {"": loaded}
    tables: list[pd.DataFrame] = []
    classes: list[str] = []
    columns = Columns(item_id=item_id, text=text, image=image)
    own_label = {} if label is None else {label: "label"}
    for name, part in parts.items():
        where = f"{folder} {name}".strip()
        columns.check(part.column_names, where)
        require_columns(part.column_names, {} if label is None else {"--label": label}, where)
        kind = part.features.get(label or "label")
        classes += getattr(kind, "names", None) or []
        tables.append(_part(part, name, columns.names() | own_label))
        if "text" not in tables[-1] and "image" not in tables[-1]:
            raise DataError(
                f"{folder}: expected a column 'text' or 'image', but it has "
                f"{part.column_names}; name yours with --text or --image"
            )
    table = pd.concat(tables, ignore_index=True)
    known = tuple(dict.fromkeys(classes))
    answers = as_class_names(table.pop("label"), known) if "label" in table else None
    if answers is not None and _is_weak(folder):
        table["noisy_label"] = answers
        note = "these are weak labels that Weaklight exported: noisy labels, never gold"
        return Imported(table, known or class_order(answers), (note,))
    if answers is not None:
        table["gold"] = answers
        known = known or class_order(answers)
    imported = Imported(table, known)
    if n_dev or n_test:
        imported = draw_splits(imported, n_dev=n_dev, n_test=n_test, seed=seed)
    if answers is None:
        return imported
    train_labels = imported.table["gold"].where(imported.table["split"] == "unlabeled", None)
    if keep_labels:
        imported.table["noisy_label"] = train_labels
    elif train_labels.notna().any():
        note = "only dev and test have gold; --keep-labels keeps the rest as noisy"
        return replace(imported, notes=(*imported.notes, note))
    return imported


def _part(part: Any, name: str, roles: dict[str, str]) -> pd.DataFrame:
    """Return one split as a table; images as the bytes of their files."""
    datasets = optional("datasets")
    for column, kind in part.features.items():
        if isinstance(kind, datasets.Image):
            part = part.cast_column(column, datasets.Image(decode=False))
    table = rename_columns(part.to_pandas(), roles, name)
    if "image" in table:
        table["image"] = [_bytes(v) for v in table["image"]]
    if "item_id" not in table:
        table.insert(0, "item_id", [f"{name or 'row'}-{i}" for i in range(len(table))])
    if "split" not in table:
        table["split"] = _SPLIT_OF.get(name, name if name in SOURCE_SPLITS else "unlabeled")
    return table


def _bytes(image: dict[str, Any] | None) -> bytes | None:
    if image is None:
        return None
    stored: bytes | None = image["bytes"]
    return Path(image["path"]).read_bytes() if stored is None else stored


def _is_weak(folder: Path) -> bool:
    card = folder / CARD
    return card.is_file() and json.loads(card.read_text(encoding="utf-8")).get("kind") == KIND


def _write(labels: WeakLabels, folder: Path) -> None:
    """Write one ``Dataset`` with ``label`` as ClassLabel and the probabilities as a list.

    Notes
    -----
    Memory: all images as files, since Arrow tables are written whole.
    """
    datasets = optional("datasets")
    text, number = datasets.Value("string"), datasets.Value("float32")
    kinds = {"covered": datasets.Value("bool"), "confidence": number, "weight": number}
    columns: dict[str, list[Any]] = {}
    features: dict[str, Any] = {}
    for name in labels.table.columns:
        values = labels.table[name]
        columns[name] = values.astype(object).where(values.notna(), None).tolist()
        features[name] = kinds.get(name, text)
    features["label"] = datasets.ClassLabel(names=list(labels.classes))
    features["probabilities"] = datasets.List(number, length=len(labels.classes))
    columns["probabilities"] = labels.probabilities.tolist()
    if labels.kind == "image":
        features["image"] = datasets.Image()
        columns["image"] = [{"bytes": data, "path": None} for data in labels.images()]
    dataset = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
    with _no_bars(datasets):
        dataset.save_to_disk(folder)


@contextmanager
def _no_bars(datasets: ModuleType) -> Iterator[None]:
    """Keep the library's progress bars out of logs, and leave its setting as it was."""
    were_shown = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if were_shown:
            datasets.enable_progress_bars()


HUGGING_FACE = Exporter(_write, 'import datasets\n\nlabels = datasets.load_from_disk(".")')

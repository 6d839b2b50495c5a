"""Label new items with the encoder and head of a project's latest trained run.

Try it: ``weaklight predict photo.png --project demo``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipelines.decode import (
    UnusableItemError,
    decode_image_as,
    decode_one_series,
    decode_text,
    decode_wave,
)
from pipelines.encoders import embedder
from pipelines.project import Project, RunRecord
from pipelines.readers import SUFFIXES, TABLES, files_below, read_rows
from pipelines.sections import ItemsConfig, Kind
from weak_supervision.classifiers import load_head
from weaklight.errors import ArtifactError, DataError

__all__ = ["classifier_of", "encoder_of", "predict_files"]

AT_ONCE = 2048  # items in memory


def classifier_of(project: Project) -> RunRecord:
    """Return the latest run that trained a classifier.

    Raises
    ------
    ArtifactError
        If there is none yet.
    """
    run = project.latest_run(having="train")
    if run is None:
        raise ArtifactError("no trained classifier yet; run `weaklight train` first")
    return run


def encoder_of(project: Project, run: RunRecord) -> Path:
    """Return the encoder whose features the run's head takes: the tuned one where there is one."""
    tuned = project.store.manifest("train", run.artifacts["train"]).outputs
    stage = "train" if "encoder" in tuned else "pretrain"
    return project.store.path(stage, run.artifacts[stage], "encoder")


def predict_files(
    project: Project, paths: Iterable[Path], *, at_least: float = 0.0
) -> tuple[pd.DataFrame, list[tuple[Path, str]]]:
    """Label images, texts, clips or series, whichever the project is about.

    Parameters
    ----------
    project
        A project whose latest run reached ``train``.
    paths
        Files (images, ``.txt``, ``.wav``), folders that are searched for them, or tables (CSV,
        JSONL, Parquet) whose columns are called as in the project's. Series come in tables alone.
    at_least
        Below this probability the label is missing: the classifier abstains.

    Returns
    -------
    A table with ``file`` (what holds the item: an image or clip that a table names, else the table
    itself), ``item_id`` (of rows of a table; numbered from 000000 where they have none; the name of
    any other file), ``label``, ``probability`` and ``p_<class>`` for each class; and what could not
    be read, with the reason: a file, or ``table/item_id``. Hidden files and README are no items and
    not named.

    Raises
    ------
    ArtifactError
        If no run has trained a classifier yet.
    DataError
        If a path does not exist, or what it holds is of another kind than the project's items.
    """
    run = classifier_of(project)
    head = load_head(project.store.path("train", run.artifacts["train"], "head"))
    encode = embedder(encoder_of(project, run), project.root)
    ingested = project.store.manifest("ingest", run.artifacts["ingest"]).metrics
    kind: Kind = ingested["kind"]
    decode = _decoder(kind, ingested, project.config.items)
    names: list[tuple[str, str]] = []
    found = [np.zeros((0, len(head.classes_)), dtype=np.float32)]
    dropped: list[tuple[Path, str]] = []
    rows = _rows(paths, kind, project.config.items)
    while some := list(islice(rows, AT_ONCE)):
        items = []
        for file, item_id, payload in some:
            try:
                items.append(decode(_content(payload, kind)))
                holds = payload if isinstance(payload, Path) else file
                names.append((str(holds), file.name if item_id is None else item_id))
            except (OSError, UnusableItemError) as error:
                dropped.append((file if item_id is None else file / item_id, str(error)))
        if items:
            features = encode(np.stack(items) if kind == "image" else items)
            found.append(head.predict_proba(features))
    probability = np.concatenate(found)  # (n, K)
    best = probability.argmax(axis=1)
    top = probability[np.arange(len(names)), best]
    sure = top >= at_least
    table = pd.DataFrame(names, columns=["file", "item_id"])
    table["label"] = [head.classes_[k] if s else None for k, s in zip(best, sure, strict=True)]
    table["probability"] = top
    of_classes = pd.DataFrame(probability, columns=[f"p_{name}" for name in head.classes_])
    return table.join(of_classes), dropped


def _rows(
    paths: Iterable[Path], kind: Kind, config: ItemsConfig
) -> Iterator[tuple[Path, str | None, Any]]:
    """Yield each item's file, its id where the file is a table, and its payload.

    The payload of a file of another kind in a folder is the error that says so.
    """
    for path in paths:
        if path.is_dir():
            ours = SUFFIXES.get(kind, frozenset())
            reason = f"no {kind} file ({', '.join(sorted(ours)) or 'series come in tables'})"
            for file in files_below(path):
                is_ours = file.suffix.lower() in ours
                yield file, None, file if is_ours else UnusableItemError(reason)
        elif not path.exists():
            raise DataError(f"there is no file or folder {path}; check the name")
        elif path.suffix.lower() in TABLES:
            came, ids, cells = read_rows(path, config)
            if came != kind:
                raise DataError(
                    f"this project is about {kind} items, but the column that {path.name} names "
                    f"holds {came}; give the items a column {getattr(config, kind) or kind!r}"
                )
            for item_id, cell in zip(ids, cells, strict=True):
                yield path, item_id, cell
        elif kind == "series":
            raise DataError(
                f"series come in tables ({', '.join(TABLES)}) with a column "
                f"{config.series or 'series'!r}, but {path.name} is none"
            )
        else:
            yield path, None, path


def _content(payload: Any, kind: Kind) -> Any:
    if isinstance(payload, UnusableItemError):
        raise payload
    if payload is None:
        raise UnusableItemError(f"no {kind}")
    return payload.read_bytes() if isinstance(payload, Path) else payload


def _decoder(kind: Kind, ingested: Mapping[str, Any], config: ItemsConfig) -> Callable[[Any], Any]:
    """Return what makes of an item's bytes, text or numbers what ingest made of the project's."""
    if kind == "image":
        return lambda data: decode_image_as(data, ingested["image"])
    if kind == "text":
        return decode_text
    if kind == "audio":
        return lambda data: decode_wave(data).at(ingested["sample_rate"])

    def series(cell: Any) -> Any:
        decoded = decode_one_series(cell, is_row=config.joins_columns)
        if decoded.shape[1] != ingested["channels"]:
            raise UnusableItemError(
                f"series has {decoded.shape[1]} channels, but the project's have "
                f"{ingested['channels']}"
            )
        n_columns = ingested["steps"]["longest"]
        if config.joins_columns and len(decoded) != n_columns:
            raise DataError(
                f"an item of this project is {n_columns} columns together, but this table has "
                f"{len(decoded)} that [items] series stands for; give it the same columns"
            )
        return decoded

    return series

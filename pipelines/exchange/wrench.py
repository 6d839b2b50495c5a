"""WRENCH folders: ``train.json``, ``valid.json``, ``test.json`` and ``label.json``.

References
----------
Zhang et al. 2021, "WRENCH: A Comprehensive Benchmark for Weak Supervision", arXiv:2109.11377.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipelines.exchange.projects import Imported, vote_table
from weaklight.errors import DataError
from weaklight.words import counted

__all__ = ["read_wrench"]

_SPLIT_OF = {"train": "unlabeled", "valid": "dev", "test": "test"}


def read_wrench(folder: Path) -> Imported:
    """Read a WRENCH text data set: train becomes unlabelled, valid dev, test test.

    The hand labels of train are left behind. Rows that ``labeled_ids.json`` lists are those whose
    labels the authors looked at while writing rules; they stay unlabelled, as in WRENCH's own
    figures, and the column ``was_labeled`` marks them.

    Raises
    ------
    DataError
        If a file is missing or holds something else.
    """
    classes = _classes(folder)
    parts = []
    n_votes: set[int] = set()
    for name, split in _SPLIT_OF.items():
        rows = _read(folder / f"{name}.json")
        texts = [_text(row, folder / f"{name}.json") for row in rows.values()]
        gold = [None if split == "unlabeled" else classes[int(r["label"])] for r in rows.values()]
        part = pd.DataFrame(
            {"item_id": [f"{name}-{key}" for key in rows], "text": texts, "split": split}
        )
        part["gold"] = pd.Series(gold, dtype=object)
        given = [row["weak_labels"] for row in rows.values()]
        n_votes |= {len(v) for v in given}
        if len(n_votes) > 1:
            raise DataError(
                f"every row of {folder} must have as many weak_labels as there are rules, "
                f"but rows with {sorted(n_votes)} came; the folder is damaged"
            )
        votes = np.array(given, dtype=np.int64)
        names = [f"lf_{j:02d}" for j in range(votes.shape[1])]
        parts.append(pd.concat([part, vote_table(votes, classes, names)], axis=1))
    table = pd.concat(parts, ignore_index=True)
    notes = [
        f"{n_votes.pop()} rules, whose votes are replayed; WRENCH's files do not name them",
        "the hand labels of train are left behind: only dev and test have gold",
    ]
    labeled = _labeled_ids(folder)
    if labeled:
        table["was_labeled"] = table["item_id"].isin([f"train-{i}" for i in labeled])
        notes.append(
            f"labeled_ids.json lists {counted(len(labeled), 'training row')} whose labels the "
            "rules' authors looked at; they stay unlabelled, as in WRENCH's figures, marked in "
            "was_labeled"
        )
    return Imported(table, classes, tuple(notes))


def _read(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise DataError(
            f"expected {file.name} in {file.parent}, but there is none; a WRENCH folder holds "
            "train.json, valid.json, test.json and label.json"
        )
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{file} is not valid JSON ({error}); fetch it again") from None
    if not isinstance(content, dict) or not content:
        raise DataError(f"{file} must be a JSON object of rows by id; fetch it again")
    return content


def _classes(folder: Path) -> tuple[str, ...]:
    names = {int(key): str(name) for key, name in _read(folder / "label.json").items()}
    if sorted(names) != list(range(len(names))):
        raise DataError(f"label.json must number the classes from 0, but numbers {sorted(names)}")
    return tuple(names[k] for k in range(len(names)))


def _text(row: dict[str, Any], file: Path) -> str:
    if not {"data", "weak_labels", "label"} <= set(row):
        raise DataError(f"each row of {file} needs data, weak_labels and label; it has {list(row)}")
    if "text" not in row["data"]:
        raise DataError(
            f"only WRENCH's text data sets can be imported, but the rows of {file} hold "
            f"{sorted(row['data'])} and no text"
        )
    return str(row["data"]["text"])


def _labeled_ids(folder: Path) -> list[str]:
    file = folder / "labeled_ids.json"
    if not file.is_file():
        return []
    content = _read(file)
    return [str(i) for i in content.get("labeled_ids", [])]

"""Answers of a crowd as a long table: one row an answer, with item, worker and label."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from pipelines.exchange.projects import VOTE_PREFIX, Imported, class_order
from pipelines.exchange.tables import (
    PROJECT_COLUMNS,
    Columns,
    read_items,
    read_table,
)
from pipelines.tables import as_class_names, as_name
from weaklight.errors import DataError
from weaklight.words import counted

__all__ = ["read_crowd"]

# From here on a label model has more voters to weigh than most have answers.
_MANY_WORKERS = 200


def read_crowd(
    answers: Path,
    items: Path,
    *,
    item: str = "item",
    worker: str = "worker",
    label: str = "label",
    classes: tuple[str, ...] = (),
    columns: Columns = PROJECT_COLUMNS,
) -> Imported:
    """Read answers and make every worker a voter.

    Parameters
    ----------
    answers
        Table of answers; ``item``, ``worker`` and ``label`` name its columns (crowd-kit calls the
        first one ``task``).
    items
        Table of the items that were asked about; an item without answers stays in.
    classes
        Class names in order; the distinct labels where empty.

    Raises
    ------
    DataError
        If a column is missing, an item is unknown, or a worker answered one item in two ways.
    """
    table = read_table(answers)
    missing = [c for c in (item, worker, label) if c not in table]
    if missing:
        raise DataError(
            f"{answers.name}: expected the columns {missing}, but it has {list(table.columns)}; "
            "name yours with --item, --worker and --label"
        )
    table = pd.DataFrame(
        {
            item: table[item].map(as_name),
            worker: table[worker].map(as_name),
            label: as_class_names(table[label], classes),
        }
    )
    n_partial = int(table.isna().any(axis=1).sum())
    table = table.dropna().drop_duplicates()
    torn = table[table.duplicated([item, worker])]
    if len(torn):
        pairs = torn[[item, worker]].head(3).to_numpy().tolist()
        raise DataError(
            f"{counted(len(torn), 'answer contradicts', 'answers contradict')} an earlier one by "
            f"the same worker, such as {pairs}; keep one answer an item and worker"
        )
    imported = read_items(items, columns, classes=classes)
    unknown = sorted(set(table[item]) - set(imported.table["item_id"]))
    if unknown:
        raise DataError(
            f"{counted(len(unknown), 'item is', 'items are')} in {answers.name} but not in "
            f"{items.name}, such as {unknown[:3]}; the ids of both must agree"
        )
    votes = table.pivot(index=item, columns=worker, values=label).add_prefix(VOTE_PREFIX)
    votes = votes.astype(object).where(votes.notna(), None)
    joined = imported.table.join(votes, on="item_id")
    joined[votes.columns] = (
        joined[votes.columns].astype(object).where(joined[votes.columns].notna(), None)
    )
    n_workers = votes.shape[1]
    by = f"{counted(len(table), 'answer')} by {counted(n_workers, 'worker')}"
    notes = [f"{by}, one labelling function a worker"]
    if n_partial:
        partial = counted(n_partial, "answer that lacks", "answers that lack")
        notes.append(f"left out {partial} the item, the worker or the label")
    if n_workers > _MANY_WORKERS:
        notes.append(
            'so many workers have few answers each; [aggregate] model = "dawid_skene" is made '
            "for crowds, and features help most here"
        )
    found = classes or class_order(table[label], *(imported.table.get(c, []) for c in ("gold",)))
    return replace(imported, table=joined, classes=found, notes=(*imported.notes, *notes))

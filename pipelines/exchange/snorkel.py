"""Snorkel: a label matrix ``L.npy`` beside a table of its items."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.exchange.projects import Imported, vote_table
from pipelines.exchange.tables import PROJECT_COLUMNS, Columns, read_items
from weaklight.errors import DataError
from weaklight.words import counted

__all__ = ["read_snorkel"]


def read_snorkel(
    matrix: Path,
    items: Path,
    *,
    classes: tuple[str, ...],
    names: tuple[str, ...] = (),
    columns: Columns = PROJECT_COLUMNS,
) -> Imported:
    """Read the votes of Snorkel's LFs and the items they were cast on.

    Parameters
    ----------
    matrix
        ``.npy`` with the (n, m) integers that an ``LFApplier`` returns: -1 abstains.
    items
        Table of the same n items in the same order.
    classes
        K names by class id.
    names
        m names of the LFs; numbered where empty.

    Raises
    ------
    DataError
        If the matrix and the items, classes or names do not fit each other.
    """
    try:
        votes = np.load(matrix, allow_pickle=False)
    except (ValueError, OSError) as error:
        raise DataError(
            f"{matrix} cannot be read as a NumPy array ({error}); write it with numpy.save"
        ) from None
    imported = read_items(items, columns, classes=classes)
    if votes.ndim != 2 or len(votes) != len(imported.table):
        raise DataError(
            f"{matrix.name} has shape {votes.shape}, but {items.name} has {len(imported.table)} "
            "items; the matrix must have one row an item, in the same order"
        )
    if names and len(names) != votes.shape[1]:
        raise DataError(
            f"{matrix.name} has {votes.shape[1]} columns, but {len(names)} names came with --names"
        )
    known = list(names) or [f"lf_{j:02d}" for j in range(votes.shape[1])]
    table = pd.concat([imported.table, vote_table(votes, classes, known)], axis=1)
    note = f"{counted(votes.shape[1], 'labelling function')}, whose votes are replayed"
    return replace(imported, table=table, notes=(*imported.notes, note))

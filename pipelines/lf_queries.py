"""What people ask about labelling functions of a finished run.

Try it: ``lf_table(RunView.latest(Project.open("my_project")))``.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from labeling_functions import analyse, drill, drill_pair, pair_counts, settle_most_conflicts
from labeling_functions.pairs import PairCounts
from pipelines.queries import Rows, RunView
from weaklight.contracts import ABSTAIN, Votes
from weaklight.errors import DataError
from weaklight.words import nearest

__all__ = [
    "Drill",
    "PairDrill",
    "contradictions",
    "lf_pairs",
    "lf_rows",
    "lf_table",
    "lf_votes",
    "pair_rows",
    "settling_first",
]

Drill = Literal["votes", "right", "wrong", "conflicts", "abstains"]
PairDrill = Literal["both", "same", "conflicts"]
_TEST_COLUMNS = ("test_accuracy", "test_low", "test_high", "test_n")


def lf_table(view: RunView) -> pd.DataFrame:
    """Return one row an LF: what it says of itself, then what its votes show.

    The run need not have gone beyond ``vote``.

    Returns
    -------
    The fields of ``lfs.json`` (``columns`` as ``reads``), the columns of
    :func:`labeling_functions.analyse` with gold of dev, and, where the run evaluated,
    ``test_accuracy``, ``test_low``, ``test_high`` and ``test_n``.
    """
    table = pd.DataFrame(view.lfs).rename(columns={"columns": "reads"})
    if table.empty:
        return table
    analysis = analyse(
        view.votes,
        table["name"].tolist(),
        classes=view.classes,
        class_sets=view.class_sets,
        gold=view.dev_gold,
        posterior=None if view.weak.empty else view.posterior,
        labels=None if view.weak.empty else view.labels,
    )
    own = [c for c in table.columns if c not in analysis.columns]
    table = table[own].merge(analysis.reset_index(), on="name")
    path = view.path("evaluate", "lf_table")
    if path is None:
        return table
    evaluated = pd.read_parquet(path)
    return table.merge(evaluated[["name", *_TEST_COLUMNS]], on="name", how="left")


def lf_votes(view: RunView, name: str) -> Votes:
    """Return one LF's votes, (n,) int16."""
    return np.asarray(view.votes[:, _column(view, name)])


def lf_rows(view: RunView, name: str, which: Drill) -> Rows:
    """Return the rows where an LF votes or not, is right or wrong on dev, or is contradicted."""
    column = _column(view, name)
    return drill(
        view.votes, view.dev_gold, column, classes=view.classes, class_sets=view.class_sets
    )[which]


def contradictions(view: RunView, name: str, row: int) -> list[str]:
    """Return what other LFs say of an item on which this one votes, where it rules that out."""
    votes = view.votes[row]
    own = view.allows[votes[_column(view, name)]]
    said = np.unique(votes[votes != ABSTAIN])
    return [view.vote_names[vote] for vote in said if not (view.allows[vote] & own).any()]


def lf_pairs(view: RunView) -> PairCounts:
    """Return on how many items each two LFs meet, say the same, or contradict each other."""
    return pair_counts(np.asarray(view.votes), classes=view.classes, class_sets=view.class_sets)


def pair_rows(view: RunView, name: str, other: str, which: PairDrill) -> Rows:
    """Return the rows behind one number of :func:`lf_pairs`."""
    pair = (_column(view, name), _column(view, other))
    return drill_pair(view.votes, *pair, classes=view.classes, class_sets=view.class_sets)[which]


def settling_first(view: RunView, rows: Rows) -> Rows:
    """Return the rows on which LFs conflict, first those whose class would settle the most."""
    best = settle_most_conflicts(
        view.votes[rows], len(rows), classes=view.classes, class_sets=view.class_sets
    )
    return np.asarray(rows[best], np.int64)


def _column(view: RunView, name: str) -> int:
    for j, lf in enumerate(view.lfs):
        if lf["name"] == name:
            return j
    near = nearest(name, [lf["name"] for lf in view.lfs])
    raise DataError(f"no labelling function of run {view.run_id} is called {name!r}{near}")

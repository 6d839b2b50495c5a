"""The label models that a run chose among: their labels beside the chosen ones, and the evidence.

Try it: ``candidate_table(RunView.latest(Project.open("my_project")))``.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.queries import Rows, RunView
from weaklight.contracts import ABSTAIN, TIE
from weaklight.errors import DataError

__all__ = ["Difference", "candidate_labels", "candidate_names", "candidate_table", "changes"]

Difference = Literal["other", "more", "fewer"]
_EVIDENCE = ("agreement", "taught_agreement", "against", "gain", "gain_low", "stability", "note")


def candidate_names(view: RunView) -> list[str]:
    """Return the candidates whose probabilities the run kept, in the order of its choice."""
    folder = view.path("aggregate", "posteriors")
    if folder is None:
        return []
    kept = {p.stem for p in folder.glob("*.npy") if not p.stem.endswith(".covered")} - {"chosen"}
    judged = [str(c["name"]) for c in view.choice().get("candidates", []) if c["name"] in kept]
    return [*judged, *sorted(kept - set(judged))]


def candidate_labels(view: RunView, name: str) -> NDArray[np.int64]:
    """Return (n,) class ids of a candidate, -1 where it knows nothing or its best classes tie.

    A run breaks such ties by a rule of its own; here they stay open, so that no difference to the
    chosen labels is a matter of chance.

    Raises
    ------
    DataError
        If the run kept no such candidate.
    """
    if name not in candidate_names(view):
        raise DataError(f"run {view.run_id} kept {candidate_names(view)}, but not {name!r}")
    folder = view.path("aggregate", "posteriors")
    assert folder is not None
    posterior = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)  # (n, K)
    knows = np.load(folder / f"{name}.covered.npy", allow_pickle=False)
    best = posterior.max(axis=1, keepdims=True)
    is_clear = knows & ((best - posterior < TIE).sum(axis=1) == 1)
    labels: NDArray[np.int64] = np.where(is_clear, posterior.argmax(axis=1), ABSTAIN)
    return labels


def changes(view: RunView, labels: NDArray[np.int64]) -> dict[Difference, Rows]:
    """Return where labels differ from the run's own.

    Returns
    -------
    Rows by kind: ``other`` (another class), ``more`` (a label where the run has none), ``fewer``
    (none, or undecided, where the run has one).
    """
    has_run, has_other = view.labels != ABSTAIN, labels != ABSTAIN
    return {
        "other": np.flatnonzero(has_run & has_other & (view.labels != labels)),
        "more": np.flatnonzero(~has_run & has_other),
        "fewer": np.flatnonzero(has_run & ~has_other),
    }


def candidate_table(view: RunView) -> pd.DataFrame:
    """Return one row a candidate: what it labels, how often it is right on dev, and the evidence.

    Returns
    -------
    Columns ``name``, ``is_chosen``, ``labelled`` (share of all items), ``value``, ``low``, ``high``
    and ``n`` (right on dev as the report counts it, None where the run did not), ``other``,
    ``more``, ``fewer`` (numbers of items, see :func:`changes`), and the evidence of
    ``choice.json``, None where it was not measured.
    """
    choice = view.choice()
    evidence = {row["name"]: row for row in choice.get("candidates", [])}
    right = view.right_on_dev()
    rows: list[dict[str, Any]] = []
    for name in candidate_names(view):
        labels = candidate_labels(view, name)
        rows.append(
            {
                "name": name,
                "is_chosen": name == choice.get("chosen"),
                "labelled": float((labels != ABSTAIN).mean()),
                **{key: right.get(name, {}).get(key) for key in ("value", "low", "high", "n")},
                **{kind: len(found) for kind, found in changes(view, labels).items()},
                **{key: evidence.get(name, {}).get(key) for key in _EVIDENCE},
            }
        )
    return pd.DataFrame(rows)

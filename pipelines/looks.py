"""How often gold of the test split was looked at: each new look makes it less of a test.

Whoever changes a labelling function after reading the test accuracy, and reads it again, has begun
to tune on test. It cannot be forbidden, but it is counted in the run record and said aloud.

``<state>/looks.json`` remembers which items each evaluation read, so that neither their artifacts
nor the records of their runs are needed to count, and test gold may grow from run to run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.project import Project
from pipelines.store import write_atomically
from weaklight.errors import ArtifactError

__all__ = ["looks_at_test"]


@dataclass
class _Looks:
    """Which evaluations read gold of which test items.

    Attributes
    ----------
    evaluations : digests of `evaluate` artifacts that read any, oldest first
    read_by : item id -> spans ``[first, end)`` of ``evaluations`` that read the item's gold
    """

    evaluations: list[str] = field(default_factory=list)
    read_by: dict[str, list[list[int]]] = field(default_factory=dict)

    def add(self, evaluation: str, item_ids: Iterable[str]) -> None:
        """Remember an evaluation, where it is not known yet."""
        if evaluation in self.evaluations:
            return
        now = len(self.evaluations)
        self.evaluations.append(evaluation)
        for item_id in item_ids:
            spans = self.read_by.setdefault(item_id, [])
            if spans and spans[-1][1] == now:
                spans[-1][1] = now + 1
            else:
                spans.append([now, now + 1])

    def at(self, item_ids: list[str]) -> int:
        """Count the evaluations that read at least half of these items."""
        change = np.zeros(len(self.evaluations) + 1, dtype=np.int64)
        for item_id in item_ids:
            for first, end in self.read_by.get(item_id, ()):
                change[first] += 1
                change[end] -= 1
        n_read = np.cumsum(change)[:-1]
        return int((2 * n_read >= len(item_ids)).sum())


def looks_at_test(project: Project, evaluation: str, ingest: str) -> int:
    """Return how many evaluations read at least half of today's test gold, this one included.

    Items are told by their ids: gold that was corrected since is no new test. The caller holds the
    project's lock, for the evaluation is remembered.

    Parameters
    ----------
    evaluation
        Digest of the `evaluate` artifact at hand.
    ingest
        Digest of the `ingest` artifact whose gold it read; 0 is returned where test has none.

    Raises
    ------
    ArtifactError
        If ``looks.json`` cannot be read.

    Notes
    -----
    O(t + e) in time and memory for t items that were ever of test and e evaluations, unless items
    leave test and come back.
    """
    item_ids = _test_items(project, ingest)
    if not item_ids:
        return 0
    path = project.state / "looks.json"
    is_first = not path.is_file()
    looks = _of_earlier_runs(project) if is_first else _read(path)
    if is_first or evaluation not in looks.evaluations:
        looks.add(evaluation, item_ids)
        write_atomically(path, (json.dumps(asdict(looks)) + "\n").encode())
    return looks.at(item_ids)


def _test_items(project: Project, ingest: str) -> list[str]:
    path = project.store.path("ingest", ingest, "gold_test")
    return [str(i) for i in pd.read_parquet(path, columns=["item_id"])["item_id"]]


def _of_earlier_runs(project: Project) -> _Looks:
    """Return what can still be told of runs from before looks were remembered."""
    looks = _Looks()
    known: dict[str, list[str]] = {}  # by the hash of the gold
    for run in project.runs():
        if "evaluate" not in run.artifacts:
            continue
        try:
            gold = project.store.manifest("ingest", run.artifacts["ingest"]).outputs["gold_test"]
            if gold.sha256 not in known:
                known[gold.sha256] = _test_items(project, run.artifacts["ingest"])
        except (ArtifactError, FileNotFoundError):  # removed
            continue
        if known[gold.sha256]:
            looks.add(run.artifacts["evaluate"], known[gold.sha256])
    return looks


def _read(path: Path) -> _Looks:
    try:
        return _Looks(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ArtifactError(
            f"{path} cannot be read ({error}); delete it and run again: looks at test are then "
            "counted from the runs whose artifacts are still there"
        ) from None

"""Trying labelling functions on a sample of a project, before any run.

Try it: ``check_on_sample(project, load_folder(Path("lfs")), 500).right``; ``weaklight lf check``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labeling_functions import (
    Finding,
    LabelingFunction,
    LFReport,
    analyse,
    apply_lfs,
    find_problems,
)
from labeling_functions.templates import ZeroShot
from labeling_functions.trial import Mistake, examples_of, mistakes, without_examples
from pipelines.engine import StageProgress
from pipelines.project import Project
from pipelines.sample import draw_sample, encoder_of_texts, reads_texts
from weaklight.contracts import ClassSet, Votes

__all__ = ["Checked", "check_on_sample"]

SHARD_ROWS = 16_384  # [vote] time_limit_s is for so many items
SHORTEST_LIMIT_S = 5.0  # of an LF that opens a file or a model first
MAX_REASONS = 3  # why an LF never votes; more are more of the same
UNTRIED = (
    "it was not tried here, because its text encoder takes seconds to load; check it by name, or "
    "with --slow"
)


@dataclass(frozen=True)
class Checked:
    """Votes of all LFs of a project on some items.

    Attributes
    ----------
    votes : (n, m) int16
    reports : one an LF
    items : n rows, what LFs see of them
    gold : (n,) class ids of dev, -1 elsewhere
    is_random : (n,) bool: the items on which coverage and conflicts are counted
    """

    lfs: Sequence[LabelingFunction]
    classes: tuple[str, ...]
    class_sets: tuple[ClassSet, ...]
    votes: Votes
    reports: Sequence[LFReport]
    items: pd.DataFrame
    gold: NDArray[np.int64]
    is_random: NDArray[np.bool_]

    @property
    def names(self) -> list[str]:
        """The names of the LFs, in column order."""
        return [lf.name for lf in self.lfs]

    @property
    def meaning(self) -> dict[str, Any]:
        """The keywords by which every analysis learns what votes mean."""
        return {"classes": self.classes, "class_sets": self.class_sets}

    @cached_property
    def judged(self) -> Votes:
        """The votes less those of each LF on its own examples, on which it is always right."""
        return without_examples(self.votes, self.lfs, self.items["item_id"])

    @cached_property
    def spread(self) -> pd.DataFrame:
        """The table of LFs over the random items: coverage and conflicts."""
        return analyse(self.votes[self.is_random], self.names, **self.meaning)

    @cached_property
    def right(self) -> pd.DataFrame:
        """The table of LFs over dev: accuracy with its interval and n."""
        return analyse(self.judged, self.names, gold=self.gold, **self.meaning)

    def mistakes(self, name: str) -> list[Mistake]:
        """Return five dev items that an LF gets wrong, with what it read there."""
        place = self.names.index(name)
        return mistakes(
            self.lfs[place], self.judged[:, place], self.items, self.gold, **self.meaning
        )

    def findings(self) -> list[Finding]:
        """Return what is suspicious about the LFs."""
        notes = {r.name: r.note.removesuffix("never votes").rstrip("; ") for r in self.reports}
        reasons = {
            n: "; ".join(note.split("; ")[:MAX_REASONS]) for n, note in notes.items() if note
        }
        return find_problems(
            self.votes, self.names, gold=self.gold, reasons=reasons, **self.meaning
        )


def check_on_sample(
    project: Project,
    lfs: Sequence[LabelingFunction],
    n: int,
    *,
    load_encoder: bool = False,
    progress: StageProgress | None = None,
) -> Checked:
    """Run LFs in this process on up to ``n`` dev items and ``n`` unlabelled ones.

    Parameters
    ----------
    load_encoder
        Load the text encoder for zero-shot LFs, which takes seconds; without, they abstain.
    """
    examples = [item for lf in lfs for item in examples_of(lf)]
    drawn = draw_sample(project, n, always=examples, progress=progress)
    zero_shot = {lf.name for lf in lfs if isinstance(lf, ZeroShot)}
    applied = apply_lfs(
        lfs,
        drawn.table,
        classes=project.config.classes,
        class_sets=project.config.vote_sets,
        features=drawn.features,
        encode_text=encoder_of_texts(project) if zero_shot and load_encoder else None,
        workers=0,
        time_limit_s=max(
            SHORTEST_LIMIT_S, project.config.vote.time_limit_s * len(drawn.table) / SHARD_ROWS
        ),
    )
    left_out = zero_shot if reads_texts(project) and not load_encoder else set()
    reports = [
        replace(report, note=UNTRIED, n_errors=0) if report.name in left_out else report
        for report in applied.reports
    ]
    return Checked(
        lfs,
        tuple(project.config.classes),
        project.config.vote_sets,
        applied.votes,
        reports,
        drawn.table,
        drawn.gold,
        drawn.is_random,
    )

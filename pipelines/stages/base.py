"""What every stage is given and gives back.

A stage is a plain function ``stage(inputs, config, work) -> StageResult``. It reads the files that
``inputs`` names, writes into ``work.out`` and knows neither the store nor Prefect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from weaklight.contracts import ClassSet
from weaklight.progress import Progress, no_progress

__all__ = ["StageResult", "Work", "reviews_file"]


def reviews_file(root: Path) -> Path:
    """Return where a project keeps its reviews, unless ``[reviews] url`` names another place."""
    return root / ".weaklight" / "reviews.sqlite"


@dataclass(frozen=True)
class Work:
    """Where a stage works and what every stage may know.

    Attributes
    ----------
    out : empty folder for this stage's outputs; renamed into the store when the stage returns
    scratch : folder that survives a kill, for checkpoints; removed once the artifact stands
    cache : the project's per-item caches, content-addressed, shared by runs
    project_root : the project's folder, for stages that read the source or the LFs
    seed : the project's seed; derive your own generators from it
    classes : class names in order
    class_sets : the class sets that votes may name, in vote order
    progress : call ``progress(done, total, message)``
    reviews_url : what ``[reviews] url`` says, None for the project's file
    """

    out: Path
    scratch: Path
    cache: Path
    project_root: Path
    seed: int
    classes: tuple[str, ...]
    class_sets: tuple[ClassSet, ...] = ()
    progress: Progress = no_progress
    reviews_url: str | None = None

    @property
    def reviews(self) -> Path | str:
        """Where the review store is."""
        return self.reviews_url or reviews_file(self.project_root)


@dataclass(frozen=True)
class StageResult:
    """What a stage made: output name -> file or folder in ``work.out``, metrics, plain notes."""

    outputs: Mapping[str, str]
    metrics: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

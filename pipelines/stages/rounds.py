"""The hybrid step of `aggregate`: weak labels and a student on the features teach each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weak_supervision.choice import Choice
from weak_supervision.hybrid import Curriculum, SelfTraining
from weak_supervision.neighbors import NeighborGraph
from weaklight.contracts import ABSTAIN, ClassSet

__all__ = ["HYBRID", "Taught", "teach"]

HYBRID = "hybrid"  # the name of its posterior beside the candidates'


@dataclass(frozen=True)
class Taught:
    """Weak labels after the rounds.

    Attributes
    ----------
    posterior : (n, K) float32
    is_covered : (n,) bool
    by_student : (n,) bool: the student's word, where no vote, bag or person had one
    round : (n,) int64, 0 where the label was there from the start
    summary : plain JSON for ``choice.json``
    """

    posterior: NDArray[np.float32]
    is_covered: NDArray[np.bool_]
    by_student: NDArray[np.bool_]
    round: NDArray[np.int64]
    summary: dict[str, str | int]


def teach(
    method: str,
    choice: Choice,
    votes: NDArray[np.int16],
    features: NDArray[np.float32],
    graph: NeighborGraph,
    human: NDArray[np.int64],
    *,
    n_classes: int,
    class_sets: tuple[ClassSet, ...],
    seed: int,
) -> Taught:
    """Run self-training on the votes or a curriculum on the chosen labels.

    What people decided never changes. An item that no round admits keeps the chosen label.
    """
    if method == "self_training":
        course = SelfTraining(label_model=choice.label_model, seed=seed).fit(
            votes, features, n_classes=n_classes, class_sets=class_sets, gold=human
        )
        posterior, stop, n_rounds = course.posterior_, course.stop_reason_, course.n_rounds_
        admitted = course.admitted_
    else:
        lesson = Curriculum(seed=seed).fit(
            choice.posterior, features, graph, covered=choice.is_covered, gold=human
        )
        posterior, stop = lesson.student_.copy(), lesson.stop_reason_
        admitted = lesson.admitted_
        n_rounds = int(admitted.round.max()) + 1
        people = human != ABSTAIN
        posterior[people] = np.eye(n_classes, dtype=np.float32)[human[people]]
    inside = admitted.labels != ABSTAIN
    return Taught(
        posterior=np.where(inside[:, None], posterior, choice.posterior).astype(np.float32),
        is_covered=choice.is_covered | inside,
        by_student=admitted.source == "student",
        round=np.maximum(admitted.round, 0),
        summary={
            "method": method,
            "n_rounds": n_rounds,
            "n_admitted": admitted.n_admitted,
            "stop_reason": stop,
        },
    )

"""Curriculum: train on the labels that are trusted most, then let in more, round by round.

Try it: ``Curriculum().fit(posterior, features, graph).admitted_.frame()``.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray

from weak_supervision.classifiers.out_of_fold import out_of_fold_proba
from weak_supervision.evaluation import compare_paired
from weak_supervision.hybrid.admitted import Admitted
from weak_supervision.hybrid.selection import most_trusted
from weak_supervision.label_models import hard_labels
from weak_supervision.neighbors import NeighborGraph, cut_statistic
from weaklight.contracts import ABSTAIN, check_posterior
from weaklight.errors import DataError
from weaklight.intervals import Proportion

__all__ = ["Curriculum"]


class Curriculum:
    """Rounds of: admit the most trusted share of each class, train, let the student relabel.

    Parameters
    ----------
    start, step
        Share of each class admitted in round 0, and added by each further round. The quota is per
        class, so that no round consists of the easy classes alone.
    rounds
        At most. Later rounds add the labels that are least worth adding.
    folds, seed
        Of the student, which judges an item by a model that was not trained on it.

    Attributes
    ----------
    admitted_
        Labels with the round that admitted each.
    student_
        (n, K) float32 out-of-fold probabilities of the last student.
    dev_
        Accuracy of the student on dev after each round, empty without dev.
    stop_reason_
        Why the rounds ended.

    Notes
    -----
    Time ``rounds`` times ``folds`` trainings of the linear head, and O(n k) for the cut statistic.
    Dev decides when to stop and nothing else.

    References
    ----------
    Bengio et al. 2009, "Curriculum learning"; Lang et al. 2022, arXiv:2206.02914 for the order;
    Cascante-Bonilla et al. 2021, "Curriculum labeling", arXiv:2001.06001 for restarting the student
    in each round, as is done here.
    """

    admitted_: Admitted
    student_: NDArray[np.float32]
    dev_: tuple[Proportion, ...]
    stop_reason_: str

    def __init__(
        self,
        *,
        start: float = 0.2,
        step: float = 0.2,
        rounds: int = 5,
        folds: int = 5,
        seed: int = 0,
    ) -> None:
        self.start = start
        self.step = step
        self.rounds = rounds
        self.folds = folds
        self.seed = seed

    def fit(
        self,
        posterior: NDArray[np.floating],
        features: NDArray[np.floating],
        graph: NeighborGraph,
        *,
        covered: NDArray[np.bool_] | None = None,
        gold: NDArray[np.integer] | None = None,
        dev: tuple[NDArray[np.integer], NDArray[np.integer]] | None = None,
    ) -> Self:
        """Run the rounds.

        Parameters
        ----------
        posterior
            (n, K) weak labels.
        features, graph
            (n, d) features and neighbors of the same items.
        covered
            (n,) which rows of the posterior rest on evidence; all where left out.
        gold
            (n,) labels given by people, -1 elsewhere: admitted in round 0 and never changed.
        dev
            Row numbers and true classes of dev items, to stop when the student gets worse.

        Raises
        ------
        DataError
            If shapes do not fit or fewer than two classes have labels.
        """
        p = check_posterior(posterior, posterior.shape[1])
        n, n_classes = p.shape
        known = np.ones(n, dtype=np.bool_) if covered is None else covered
        human = np.full(n, ABSTAIN) if gold is None else np.asarray(gold)
        if not n == len(features) == graph.n_items == len(known) == len(human):
            raise DataError(
                f"posterior, features, graph, covered and gold must speak of the same items, but "
                f"have {n}, {len(features)}, {graph.n_items}, {len(known)} and {len(human)}"
            )
        by_people = human != ABSTAIN
        labels = np.where(by_people, human, hard_labels(p, known)).astype(np.int64)
        if len(np.unique(labels[labels != ABSTAIN])) < 2:
            raise DataError("a curriculum needs labels of two classes at least; widen the coverage")
        admitted = by_people | most_trusted(labels, -cut_statistic(labels, graph), self.start)
        admitted_in = np.where(admitted, 0, -1)
        hits: list[NDArray[np.bool_]] = []  # on dev, round by round
        for number in range(self.rounds):
            targets = np.eye(n_classes, dtype=np.float32)[np.maximum(labels, 0)]
            student = out_of_fold_proba(
                features, targets, admitted.astype(np.float32), folds=self.folds, seed=self.seed
            )
            if dev is not None and self._is_worse(student, *dev, hits):
                reason = "dev says that the last round made the student worse: it was taken back"
                break
            self.student_, result = student, (labels, admitted_in)
            share = self.start + self.step * (number + 1)
            if number + 1 == self.rounds:
                reason = f"{self.rounds} rounds were asked for"
                break
            if share > 1 + 1e-9:
                reason = "every label has been admitted"
                break
            relabelled = np.where(by_people, human, student.argmax(axis=1)).astype(np.int64)
            wider = by_people | most_trusted(relabelled, student.max(axis=1), share)
            if len(np.unique(relabelled[wider])) < len(np.unique(labels[admitted])):
                reason = "a class would have lost all its labels: the round was not made"
                break
            if (wider == admitted).all() and (relabelled == labels)[wider].all():
                reason = "another round would change nothing"
                break
            labels, admitted = relabelled, wider
            admitted_in = np.where(wider, np.where(admitted_in < 0, number + 1, admitted_in), -1)
        self.dev_ = tuple(Proportion(int(right.sum()), len(right)) for right in hits)
        self.stop_reason_ = reason
        labels, admitted_in = result
        inside = admitted_in >= 0
        source = np.where(inside, np.where(admitted_in > 0, "student", "votes"), "").astype(object)
        source[by_people] = "human"
        self.admitted_ = Admitted(
            labels=np.where(inside, labels, ABSTAIN),
            confidence=np.where(inside, self.student_.max(axis=1), 0.0).astype(np.float32),
            round=admitted_in,
            source=source,
            stop_reason=reason,
        )
        return self

    @staticmethod
    def _is_worse(
        student: NDArray[np.float32],
        rows: NDArray[np.integer],
        truth: NDArray[np.integer],
        hits: list[NDArray[np.bool_]],
    ) -> bool:
        """Note what is right on dev; say whether that is surely less than in the best round."""
        best = max(hits, key=np.count_nonzero, default=None)
        hits.append(student[rows].argmax(axis=1) == truth)
        return best is not None and compare_paired(hits[-1], best).verdict == "worse"

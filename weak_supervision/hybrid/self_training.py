"""Self-training: a student on the features joins the labelling functions as one more voter.

Try it: ``SelfTraining().fit(votes, features, n_classes=10).posterior_``.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray

from weak_supervision.classifiers.out_of_fold import out_of_fold_proba
from weak_supervision.hybrid.admitted import Admitted
from weak_supervision.hybrid.pseudo_labels import pseudo_labels
from weak_supervision.label_models import MODELS, covered, hard_labels
from weaklight.contracts import ABSTAIN, ClassSet, Votes
from weaklight.errors import ConfigError, DataError
from weaklight.words import nearest

__all__ = ["SelfTraining"]

SETTLED = 0.005  # fewer labels than this share change: another round would change hardly more


class SelfTraining:
    """Label model and student teach each other in rounds.

    Each round trains the student on the label model's posterior, out of fold, and lets it vote
    where it is sure; the label model then weighs it like any other function.

    Parameters
    ----------
    label_model
        Name of the label model that combines the votes.
    rounds
        At most.
    folds
        Of the student: its vote on an item comes from a model that was not trained on that item,
        or it would only repeat what it was told.
    seed
        Deals the rows out.

    Attributes
    ----------
    posterior_
        (n, K) float32 after the last round.
    admitted_
        The labels with the round in which each item was first covered, and its source.
    n_rounds_
        How many rounds ran.
    stop_reason_
        Why they ended.

    Notes
    -----
    Time ``rounds`` times ``folds`` trainings of the linear head. Errors that the functions share
    wherever they look are learnt and confirmed. ASTRA weighs rules per item by an attention
    network that some gold rows train; here the label model weighs them, without gold.

    References
    ----------
    Karamanolakis et al. 2021, "Self-training with weak supervision" (ASTRA), arXiv:2104.05514, sec.
    3; stopping when one class is left is theirs too.
    """

    posterior_: NDArray[np.float32]
    admitted_: Admitted
    n_rounds_: int
    stop_reason_: str

    def __init__(
        self,
        *,
        label_model: str = "dawid_skene",
        rounds: int = 5,
        folds: int = 5,
        seed: int = 0,
    ) -> None:
        self.label_model = label_model
        self.rounds = rounds
        self.folds = folds
        self.seed = seed

    def fit(
        self,
        votes: Votes,
        features: NDArray[np.floating],
        *,
        n_classes: int,
        class_sets: tuple[ClassSet, ...] = (),
        gold: NDArray[np.integer] | None = None,
    ) -> Self:
        """Run the rounds.

        Parameters
        ----------
        votes
            (n, m) votes of the functions.
        features
            (n, d) floats; rows that are not finite get no vote of the student.
        n_classes, class_sets
            K and what votes from K on mean.
        gold
            (n,) labels given by people, -1 elsewhere: they never change.

        Raises
        ------
        ConfigError
            If the label model is unknown.
        DataError
            If nothing is voted on and nothing is gold, or shapes do not fit.
        """
        if self.label_model not in MODELS:
            raise ConfigError(
                f"no label model is called {self.label_model!r}; known: {sorted(MODELS)}"
                f"{nearest(self.label_model, MODELS)}"
            )
        human = np.full(len(votes), ABSTAIN) if gold is None else np.asarray(gold)
        if not len(votes) == len(features) == len(human):
            raise DataError(
                "votes, features and gold must speak of the same items, but have "
                f"{len(votes)}, {len(features)} and {len(human)} rows"
            )
        by_people = human != ABSTAIN
        voted = covered(votes) | by_people
        if not voted.any():
            raise DataError("self-training starts from votes or gold, but there are none")
        finite = np.isfinite(features).all(axis=1)

        def combine(ballots: Votes) -> NDArray[np.float32]:
            model = MODELS[self.label_model]().fit(
                ballots, n_classes=n_classes, class_sets=class_sets
            )
            posterior = model.predict_proba(ballots)
            posterior[by_people] = np.eye(n_classes, dtype=np.float32)[human[by_people]]
            return posterior

        posterior, known = combine(votes), voted
        labels = hard_labels(posterior, known)
        first_round = np.where(known, 0, -1)
        self.n_rounds_, self.stop_reason_ = 0, f"{self.rounds} rounds were asked for"
        for number in range(1, self.rounds + 1):
            said = out_of_fold_proba(
                features,
                posterior,
                (known & finite).astype(np.float32),
                folds=self.folds,
                seed=self.seed,
            )
            student = np.where(finite, pseudo_labels(said).labels, ABSTAIN)
            if len(np.unique(student[student != ABSTAIN])) < 2:
                self.stop_reason_ = "the student names one class only: it was not let vote"
                break
            ballots = np.column_stack([votes, student]).astype(np.int16)
            posterior = combine(ballots)
            known = voted | (student != ABSTAIN)
            before, labels = labels, hard_labels(posterior, known)
            first_round[known & (first_round < 0)] = number
            self.n_rounds_ = number
            if (before != labels).mean() < SETTLED:
                self.stop_reason_ = f"fewer than {SETTLED:.1%} of the labels changed"
                break
        self.posterior_ = posterior
        source = np.where(voted, "votes", np.where(known, "student", "")).astype(object)
        source[by_people] = "human"
        self.admitted_ = Admitted(
            labels=labels,
            confidence=np.where(known, posterior.max(axis=1), 0.0).astype(np.float32),
            round=np.where(known, first_round, -1).astype(np.int64),
            source=source,
            stop_reason=self.stop_reason_,
        )
        return self

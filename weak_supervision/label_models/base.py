"""What a label model is, and the checks and questions that all of them share.

Try it: ``python -c "from weak_supervision.label_models import *; print(covered([[0]]))"``.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from typing import ClassVar, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp
from sklearn.base import BaseEstimator

from weak_supervision.label_models.ballots import Ballots, collect
from weak_supervision.label_models.checks import ClassBalance, checked_gold, class_prior
from weaklight.contracts import ABSTAIN, ClassSet, Votes, check_posterior, check_votes
from weaklight.errors import DataError

__all__ = ["BaseLabelModel", "LabelModel", "NotLearnableError", "covered", "log", "naive_bayes"]

FLOOR = 1e-12  # stands in for a probability of zero, whose logarithm would be -inf

logger = logging.getLogger(__name__)


class LabelModel(Protocol):
    """Turns the votes of many LFs into one distribution over the classes for each item.

    Attributes
    ----------
    name
        The word used in settings, artifacts and reports.
    uses_class_sets, uses_gold
        What counts besides votes for classes; a model that cannot use one of them leaves it out
        and says so in ``note_``.
    needs_classifier
        Whether it weighs the LFs against a classifier, which must then be given.
    note_
        Plain sentences about what the last ``fit`` had to leave out; empty where nothing.
    class_prior_
        (K,) float64, sums to 1: the class balance that was given, assumed or learned.
    accuracies_
        (m,) float64: how often the model believes each LF to be right where it votes; NaN for an
        LF that never votes. A belief, not an accuracy on gold.
    """

    name: ClassVar[str]
    uses_class_sets: ClassVar[bool]
    uses_gold: ClassVar[bool]
    needs_classifier: ClassVar[bool]
    note_: str
    class_prior_: NDArray[np.float64]
    accuracies_: NDArray[np.float64]

    def fit(
        self,
        votes: NDArray[np.generic],
        *,
        n_classes: int,
        class_sets: tuple[ClassSet, ...] = (),
        class_balance: ClassBalance = None,
        classifier: NDArray[np.floating] | None = None,
        gold: NDArray[np.integer] | None = None,
    ) -> Self:
        """Learn from the votes; see `BaseLabelModel.fit`."""
        ...

    def predict_proba(
        self, votes: NDArray[np.generic], *, classifier: NDArray[np.floating] | None = None
    ) -> NDArray[np.float32]:
        """Return the posterior (n, K) float32; an uncovered row gets the class balance."""
        ...


class NotLearnableError(Exception):
    """Raised by ``_learn`` where votes cannot teach the model; the majority vote stands in."""


class BaseLabelModel(BaseEstimator, ABC):  # type: ignore[misc]
    """The contract, once: checks, distinct rows, thin votes, and what a model cannot use.

    A label model writes ``_learn`` and ``_posterior`` over `Ballots`, which always hold at least
    two classes and one vote, and raises `NotLearnableError` where that is still too little.
    """

    name: ClassVar[str]
    uses_class_sets: ClassVar[bool] = True
    uses_gold: ClassVar[bool] = False
    needs_classifier: ClassVar[bool] = False
    learns_balance: ClassVar[bool] = False

    note_: str
    class_prior_: NDArray[np.float64]
    accuracies_: NDArray[np.float64]

    def fit(
        self,
        votes: NDArray[np.generic],
        *,
        n_classes: int,
        class_sets: tuple[ClassSet, ...] = (),
        class_balance: ClassBalance = None,
        classifier: NDArray[np.floating] | None = None,
        gold: NDArray[np.integer] | None = None,
    ) -> Self:
        """Learn from the votes.

        Parameters
        ----------
        votes
            (n, m) ints: -1 abstains, 0..K-1 a class, K+s the s-th class set.
        n_classes
            K.
        class_sets
            What votes from K on mean.
        class_balance
            K shares; ``"uniform"``; ``"estimated"`` from the votes: by EM in the models that run
            it, else the mean majority vote of the covered rows, which leans towards classes that
            have more LFs; None: the model's own way.
        classifier
            (n, K) floats, rows sum to 1: out-of-fold probabilities of a classifier, for a model
            that needs one.
        gold
            (n,) class ids of the rows whose class is known, -1 elsewhere.

        Raises
        ------
        DataError
            If one of them breaks its contract, or the classifier is missing where it is needed.
        """
        checked = check_votes(votes, n_classes, len(class_sets))
        self._n_classes, self._class_sets = n_classes, class_sets
        self._n_lfs = checked.shape[1]
        asked = self._checked_classifier(classifier, len(checked))
        known = checked_gold(gold, len(checked), n_classes)
        has_gold = self.uses_gold and bool((known != ABSTAIN).any())
        ballots = self._collect(checked, asked, known if has_gold else None)
        notes = self._left_out(checked, known, ballots)
        self._learns_prior = self.learns_balance and class_balance in (None, "estimated")
        self.class_prior_ = class_prior(class_balance, ballots)
        self._extra_notes: list[str] = []
        self._stands_in = False
        try:
            if not ballots.covered.any():
                raise NotLearnableError(
                    "no LF voted on any item; the posterior is the class balance"
                )
            if n_classes > 1:
                self._learn(ballots)
            else:
                self._stands_in = True
        except NotLearnableError as reason:
            self._stands_in = True
            self._extra_notes.append(
                f"{reason}; the majority vote stands in" if ballots.covered.any() else str(reason)
            )
        self.note_ = "; ".join(notes + self._extra_notes)
        if self.note_:
            logger.info("%s: %s", self.name, self.note_)
        self.accuracies_ = self._accuracies(ballots)
        return self

    def predict_proba(
        self, votes: NDArray[np.generic], *, classifier: NDArray[np.floating] | None = None
    ) -> NDArray[np.float32]:
        """Return the posterior (n, K) float32, rows sum to 1.

        An uncovered row gets the class balance; what no LF said during ``fit`` counts for nothing.

        Raises
        ------
        DataError
            If votes or classifier break their contract or came from other LFs than in ``fit``.
        """
        checked = check_votes(votes, self._n_classes, len(self._class_sets))
        if checked.shape[1] != self._n_lfs:
            raise DataError(
                f"the model was fitted on {self._n_lfs} LFs, but came {checked.shape[1]}; "
                "pass the same LFs in that order"
            )
        ballots = self._collect(checked, self._checked_classifier(classifier, len(checked)), None)
        posterior = self._posterior_or_shares(ballots)
        by_item: NDArray[np.float32] = posterior.astype(np.float32).take(ballots.inverse, axis=0)
        return by_item

    @abstractmethod
    def _learn(self, ballots: Ballots) -> None:
        """Learn; start from the balance in ``class_prior_``."""

    @abstractmethod
    def _posterior(self, ballots: Ballots) -> NDArray[np.float64]:
        """Return the posterior (d, K) of distinct rows."""

    def _accuracies(self, ballots: Ballots) -> NDArray[np.float64]:
        return ballots.right(self._posterior_or_shares(ballots))

    def _posterior_or_shares(self, ballots: Ballots) -> NDArray[np.float64]:
        if self._stands_in:
            return ballots.shares(self.class_prior_)
        return self._posterior(ballots)

    def _collect(
        self,
        votes: Votes,
        classifier: NDArray[np.float64] | None,
        gold: NDArray[np.int64] | None,
    ) -> Ballots:
        if not self.uses_class_sets and self._class_sets:
            votes = np.where(votes >= self._n_classes, ABSTAIN, votes).astype(np.int16)
        return collect(
            votes,
            n_classes=self._n_classes,
            class_sets=self._class_sets if self.uses_class_sets else (),
            classifier=classifier,
            gold=gold,
        )

    def _left_out(self, votes: Votes, gold: NDArray[np.int64], ballots: Ballots) -> list[str]:
        notes = []
        if self._class_sets and not self.uses_class_sets:
            n_set_votes = int((votes >= self._n_classes).sum())
            if n_set_votes:
                notes.append(f"{n_set_votes} votes for class sets left out, which it cannot use")
        n_gold = int((gold != ABSTAIN).sum())
        if n_gold and not self.uses_gold:
            notes.append(f"{n_gold} gold rows left out, which it cannot use")
        silent = int((ballots.rows == ABSTAIN).all(axis=0).sum()) if len(votes) else 0
        if 0 < silent < votes.shape[1]:
            notes.append(f"{silent} of {votes.shape[1]} LFs never vote and count for nothing")
        return notes

    def _checked_classifier(
        self, classifier: NDArray[np.floating] | None, n_items: int
    ) -> NDArray[np.float64] | None:
        """Return the classifier's probabilities (n, K), None where the model asks for none."""
        if not self.needs_classifier:
            return None
        if classifier is None:
            raise DataError(
                f"{self.name} weighs the LFs against a classifier, but none came; pass its "
                "out-of-fold class probabilities, classifier=pred_probs"
            )
        if np.shape(classifier) != (n_items, self._n_classes):
            raise DataError(
                f"classifier must give {n_items} rows of {self._n_classes} probabilities, but came "
                f"with shape {np.shape(classifier)}; align it with the votes"
            )
        return check_posterior(classifier, self._n_classes).astype(np.float64)


def naive_bayes(
    ballots: Ballots,
    log_theta: NDArray[np.float64],
    prior: NDArray[np.float64],
    *,
    hears_silence: bool = False,
) -> NDArray[np.float64]:
    """Return P(class | row), (d, K), for LFs independent given the class.

    Parameters
    ----------
    log_theta
        (m * V, K) log P(LF says value | class), ordered as `Ballots.tokens`; 0 for what says
        nothing.
    prior
        (K,) shares.
    """
    joint = ballots.tokens(hears_silence=hears_silence) @ log_theta + log(prior)
    posterior: NDArray[np.float64] = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    return posterior


def log(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm, finite for zero."""
    floored: NDArray[np.float64] = np.log(np.maximum(probabilities, FLOOR))
    return floored


def covered(votes: ArrayLike) -> NDArray[np.bool_]:
    """Return which of the n rows of ``votes`` (n, m) hold at least one vote."""
    is_covered: NDArray[np.bool_] = (np.asarray(votes) != ABSTAIN).any(axis=1)
    return is_covered

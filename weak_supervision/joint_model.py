"""Votes and features teach each other: a classifier is one more witness, and learns from the rest.

Try it: ``JointModel().fit(votes, features, n_classes=3).posterior_``.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import brentq, minimize, minimize_scalar
from scipy.special import log_softmax, logsumexp, softmax
from sklearn.metrics import cohen_kappa_score

from weak_supervision.classifiers.discriminant import CrossFitted, Discriminant
from weak_supervision.dependence import count_votes, dependence, discount
from weak_supervision.label_models.base import covered
from weak_supervision.label_models.checks import ClassBalance, given_balance
from weak_supervision.label_models.majority_vote import MajorityVote
from weak_supervision.threads import one_thread
from weaklight.contracts import ABSTAIN, ClassSet, Votes, check_votes, expand_votes
from weaklight.errors import DataError
from weaklight.seeds import numpy_generator

__all__ = ["JointModel"]

FOLDS = 5
MIN_ROWS = 50  # covered rows with features; fewer teach no classifier
MAX_CALIBRATION_ROWS = 20_000  # K + 1 numbers are fitted; more rows change none of them
LIKELIER = 4.0  # a vote for a class makes it so much likelier, where nothing else is known
SETTLED = 1e-3  # share of labels that may still change when the rounds end
MAX_FITTED_ROWS = 100_000  # above, the rounds run on a draw and the rest is predicted
# Cohen's kappa with the votes' labels from which features may say
WITNESS = 0.1  # which LFs repeat one another
MEASURE = 0.2  # and how sure votes can be
BALANCE_STEPS = 100
BALANCED = 1e-4  # of the logarithm of a share
TINY = 1e-9


class JointModel:
    """Learns what each LF's vote is worth from a classifier on the features, and vice versa.

    Starts from the majority vote. In each round a discriminant on the features is taught the
    posterior and asked, out of fold, about every item; the LFs are then weighed by how their votes
    fit the posterior; and the two together are the next posterior. A row without votes gets the
    classifier's answer, a row without features the votes'. LFs that say the same more often than
    the classifier's answers explain share their weight (`weak_supervision.dependence`).

    The rounds confirm themselves, and LFs that err where the features err count as so many
    witnesses. So at the end the posterior is softened: features are only as sure as the votes'
    labels bear out, votes only as the features' do, and the two together on average as those two
    would be. Labels stay.

    Parameters
    ----------
    rounds
        At most; it ends earlier when fewer than one label in a thousand changes.
    strength
        Votes that the average LF lends to each LF: an LF that votes ten times is half itself.
    seed
        Of the folds.

    Attributes
    ----------
    posterior_
        (n, K) float32 of the items that were fitted; out-of-fold as far as the features go.
    from_features_
        (n, K) float32: what the features alone say of those items, out of fold and calibrated.
    is_taught_
        Whether there were enough covered items with features to teach a classifier.
    dependence_
        (m, m) float64: how far each two LFs are one witness, 0 to 1; zeros unless ``is_taught_``.
    classifier_
        `Discriminant` taught the posterior of the covered items; absent unless ``is_taught_``.
    note_
        Plain sentences about what was left out; empty where nothing.

    Notes
    -----
    Time O(n d^2) once and O(n d K + d^3) a round, with n at most 100,000: above, the rounds run on
    so many drawn rows, and the others are predicted. Memory O(n K) beside the features.

    Assumes that the LFs err independently of the features given the class, and that the features
    vary smoothly with it. Silence counts for nothing. A side that errs makes the other seem less
    sure than it may be, so probabilities are rather too low. Where the features know nothing, the
    classifier answers with the class balance and what is left is a naive Bayes vote, which may be
    worse than majority vote: see `weak_supervision.choice`.

    References
    ----------
    Raykar et al. 2010, "Learning from crowds", JMLR 11, section 2.3, with cross-fitting, a
    discriminant in place of logistic regression and one likelihood a vote, so that an LF that
    knows one class only is a witness too.
    """

    name = "joint"
    note_: str

    def __init__(self, *, rounds: int = 10, strength: float = 10.0, seed: int = 0) -> None:
        self.rounds = rounds
        self.strength = strength
        self.seed = seed

    def fit(
        self,
        votes: NDArray[np.generic],
        features: NDArray[np.floating],
        *,
        n_classes: int,
        class_sets: tuple[ClassSet, ...] = (),
        human: NDArray[np.integer] | None = None,
        class_balance: ClassBalance = None,
    ) -> Self:
        """Run the rounds.

        Parameters
        ----------
        votes
            (n, m): -1 abstains, 0..K-1 a class, K+s the s-th class set.
        features
            (n, d) floats; rows that are not finite have votes only.
        human
            (n,) class ids of people's labels, -1 elsewhere; they never move.
        class_balance
            K shares or "uniform", which the posterior then keeps to on average over the rows that
            have votes or features; "estimated" or None leaves it to the rounds.

        Raises
        ------
        DataError
            If the balance is none, the votes break their contract or the rows do not match.
        """
        checked = check_votes(votes, n_classes, len(class_sets))
        people = np.full(len(checked), ABSTAIN) if human is None else np.asarray(human)
        if not len(checked) == len(features) == len(people):
            raise DataError(
                f"votes, features and human labels must have the same rows, but came with "
                f"{len(checked)}, {len(features)} and {len(people)}; run embed on the same items"
            )
        self._voice = expand_votes(n_classes, class_sets)  # (V, K)
        self._class_sets = class_sets
        self._balance = given_balance(class_balance, n_classes)
        self._offset = np.zeros(n_classes)
        if len(checked) <= MAX_FITTED_ROWS:
            self.posterior_, self.from_features_ = self._run(checked, features, people)
            return self
        generator = numpy_generator(self.seed, "fitted rows")
        drawn = np.sort(generator.choice(len(checked), MAX_FITTED_ROWS, replace=False))
        posterior, from_features = self._run(checked[drawn], features[drawn], people[drawn])
        self.posterior_ = self.predict_proba(checked, features)
        self.from_features_ = self.predict_from_features(features)
        self.posterior_[drawn], self.from_features_[drawn] = posterior, from_features
        said = people != ABSTAIN
        self.posterior_[said] = np.eye(n_classes, dtype=np.float32)[people[said]]
        return self

    @one_thread()
    def _run(
        self, votes: Votes, features: NDArray[np.floating], human: NDArray[np.integer]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run the rounds and return the posterior and what the features alone say."""
        n_classes = self._voice.shape[1]
        said = human != ABSTAIN
        people = np.eye(n_classes)[human[said]]
        known = covered(votes) | said
        tokens = count_votes(votes, len(self._voice))
        start = MajorityVote().fit(votes, n_classes=n_classes, class_sets=self._class_sets)
        posterior = start.predict_proba(votes).astype(np.float64)
        posterior[said] = people
        self._prior = posterior[known].mean(axis=0) if known.any() else self._voice.mean(axis=0)
        self._log_lift = self._weigh(tokens, posterior, known)
        self._slope, self._bias = 1.0, np.zeros(n_classes)
        self.dependence_ = np.zeros((votes.shape[1], votes.shape[1]))

        has_features = np.isfinite(features).all(axis=1)
        taught = known & has_features
        self.is_taught_ = bool(taught.sum() >= MIN_ROWS)
        self.note_ = ""
        if not self.is_taught_:
            self.note_ = (
                f"only {int(taught.sum())} items have votes and features, {MIN_ROWS} are needed "
                "to teach a classifier; the votes stand alone"
            )
            from_features = np.tile(self._prior, (len(votes), 1))
            return posterior.astype(np.float32), from_features.astype(np.float32)
        fitted = CrossFitted(
            features, taught.astype(np.float64), known, folds=FOLDS, seed=self.seed
        )
        for _ in range(self.rounds):
            logits = fitted.logits(posterior)
            self._calibrate(logits[taught], posterior[taught])
            self._prior = posterior[known].mean(axis=0)
            self._log_lift = self._weigh(tokens, posterior, known)
            log_p = self._log_from_features(logits, features)
            counted = self._count_witnesses(tokens, log_p, taught)
            before = posterior.argmax(axis=1)
            posterior = self._together(log_p, counted, known | has_features)
            posterior[said] = people
            if (before != posterior.argmax(axis=1))[known].mean() < SETTLED:
                break
        self._soften(log_p[taught], (counted @ self._log_lift)[taught])
        log_p = self._log_from_features(logits, features)
        posterior = self._together(log_p, counted, known | has_features)
        posterior[said] = people
        self.classifier_ = Discriminant().fit(features, posterior, taught.astype(np.float64))
        return posterior.astype(np.float32), np.exp(log_p).astype(np.float32)

    def predict_proba(
        self, votes: NDArray[np.generic], features: NDArray[np.floating]
    ) -> NDArray[np.float32]:
        """Return the posterior (n, K) float32 of new items, from their votes and features."""
        n_symbols, n_classes = self._voice.shape
        checked = check_votes(votes, n_classes, n_symbols - n_classes)
        log_p = np.log(np.maximum(self.predict_from_features(features), TINY))
        counted = discount(count_votes(checked, n_symbols), self.dependence_, n_symbols)
        log_joint = log_p + counted @ self._log_lift + self._offset
        return np.asarray(softmax(log_joint, axis=1), dtype=np.float32)

    def predict_from_features(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return calibrated probabilities (n, K) float32 of new items without their votes."""
        if not self.is_taught_:
            return np.tile(self._prior, (len(features), 1)).astype(np.float32)
        log_p = self._log_from_features(self.classifier_.logits(features), features)
        return np.exp(log_p).astype(np.float32)

    def _together(
        self, log_p: NDArray[np.float64], counted: sparse.csr_matrix, knows: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Return the posterior (n, K) of features and votes, kept to the given class balance."""
        logits = log_p + counted @ self._log_lift
        if self._balance is not None:
            self._offset = offset_for(logits[knows], self._balance)
        posterior: NDArray[np.float64] = softmax(logits + self._offset, axis=1)
        return posterior

    def _count_witnesses(
        self, tokens: sparse.csr_matrix, log_p: NDArray[np.float64], taught: NDArray[np.bool_]
    ) -> sparse.csr_matrix:
        """Return the votes with weights: LFs that repeat one another share theirs."""
        n_symbols = len(self._voice)
        from_votes = self._with_prior((tokens @ self._log_lift)[taught])
        if agreement(from_votes, log_p[taught]) >= WITNESS:
            independently = np.exp(log_p) * taught[:, None]
            self.dependence_ = dependence(tokens, independently, n_symbols)
        return discount(tokens, self.dependence_, n_symbols)

    def _soften(self, log_p: NDArray[np.float64], lift: NDArray[np.float64]) -> None:
        """Make the two together as sure, on average, as either side's labels bear out the other.

        Parameters
        ----------
        log_p, lift
            (n, K) of rows with both: of the features, and what the votes add to the prior.
        """
        from_votes = self._with_prior(lift)
        if agreement(from_votes, log_p) < MEASURE:
            return
        said_by_votes, said_by_features = from_votes.argmax(axis=1), log_p.argmax(axis=1)
        doubted = (
            slope_towards(log_p, said_by_votes) * log_p
            + slope_towards(from_votes, said_by_features) * lift
        )
        wanted = softmax(doubted, axis=1).max(axis=1).mean()

        def excess(factor: float) -> float:
            return float(softmax(factor * (log_p + lift), axis=1).max(axis=1).mean() - wanted)

        if excess(1.0) > 0.0:
            factor = float(brentq(excess, 0.0, 1.0, xtol=1e-4))
            self._slope *= factor
            self._bias *= factor
            self._log_lift *= factor

    def _with_prior(self, lift: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (n, K) log P(class | votes), up to a constant a row."""
        log_p: NDArray[np.float64] = lift + np.log(np.maximum(self._prior, TINY))
        return log_p

    def _log_from_features(
        self, logits: NDArray[np.float32], features: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        log_p = log_softmax(self._slope * logits.astype(np.float64) + self._bias, axis=1)
        log_p[~np.isfinite(features).all(axis=1)] = np.log(np.maximum(self._prior, TINY))
        return np.asarray(log_p, dtype=np.float64)

    def _weigh(
        self, tokens: sparse.csr_matrix, posterior: NDArray[np.float64], known: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Return log P(class | vote) - log P(class) of each LF's each vote, (m V, K).

        LFs that vote seldom lean on the average LF, and votes that nobody ever cast on `LIKELIER`.
        """
        n_symbols, n_classes = self._voice.shape
        counts = (tokens.T @ np.where(known[:, None], posterior, 0.0)).reshape(
            -1, n_symbols, n_classes
        )  # (m, V, K)
        guess = (1.0 + (LIKELIER - 1.0) * (self._voice > 0)) * self._prior
        average = counts.sum(axis=0) + guess / guess.sum(axis=1, keepdims=True)
        average /= average.sum(axis=1, keepdims=True)
        share = counts + self.strength * average
        share /= share.sum(axis=2, keepdims=True)
        lift: NDArray[np.float64] = np.log(np.maximum(share, TINY)) - np.log(
            np.maximum(self._prior, TINY)
        )
        return lift.reshape(-1, n_classes)

    def _calibrate(self, logits: NDArray[np.float32], posterior: NDArray[np.float64]) -> None:
        """Set slope and bias so that the logits fit the posterior (Platt 1999, K classes)."""
        if len(logits) > MAX_CALIBRATION_ROWS:
            generator = numpy_generator(self.seed, "calibration")
            drawn = generator.choice(len(logits), MAX_CALIBRATION_ROWS, replace=False)
            logits, posterior = logits[drawn], posterior[drawn]

        x, y = np.ascontiguousarray(logits.T, dtype=np.float64), np.ascontiguousarray(posterior.T)

        def loss(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            log_p = theta[0] * x + theta[1:, None]  # (K, n)
            log_p -= log_p.max(axis=0)
            p = np.exp(log_p)
            mass = p.sum(axis=0)
            log_p -= np.log(mass)
            error = (p / mass - y) / len(logits)
            # a bias is worth a little, so that a class without any item stays finite
            value = -(y * log_p).sum() / len(logits) + 1e-3 * (theta[1:] ** 2).sum()
            slope = np.append((error * x).sum(), error.sum(axis=1) + 2e-3 * theta[1:])
            return float(value), slope

        found = minimize(
            loss,
            np.append(self._slope, self._bias),  # the last round's, which are near
            jac=True,
            method="L-BFGS-B",
            bounds=[(0.0, None)] + [(None, None)] * logits.shape[1],
        )
        self._slope, self._bias = float(found.x[0]), found.x[1:]


def agreement(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return Cohen's kappa of the likeliest classes of two (n, K); 0 where one knows one class."""
    labels, others = one.argmax(axis=1), other.argmax(axis=1)
    if min(np.ptp(labels), np.ptp(others)) == 0:
        return 0.0
    return float(cohen_kappa_score(labels, others))


def slope_towards(logits: NDArray[np.float64], labels: NDArray[np.intp]) -> float:
    """Return the factor in 0..1 by which ``logits`` (n, K) fit ``labels`` (n,) best (log-loss)."""
    own = logits[np.arange(len(labels)), labels]
    found = minimize_scalar(
        lambda slope: float(np.mean(logsumexp(slope * logits, axis=1) - slope * own)),
        bounds=(0.0, 1.0),
        method="bounded",
    )
    return float(found.x)


def offset_for(logits: NDArray[np.float64], balance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what to add to ``logits`` (n, K) so that their softmax has this mean (K,).

    Saerens et al. 2002, "Adjusting the outputs of a classifier to new a priori probabilities",
    section 2.2, for a balance that is known. O(n K) a step, at most 100.
    """
    target = np.log(np.maximum(balance, TINY))
    offset = np.zeros(len(balance))
    for _ in range(BALANCE_STEPS):
        step = target - np.log(np.maximum(softmax(logits + offset, axis=1).mean(axis=0), TINY))
        offset += step
        if np.abs(step[balance > 0]).max() < BALANCED:
            break
    return offset

"""Dawid and Skene's EM, run over the distinct rows of votes instead of over all items.

Try it: ``DawidSkene().fit(votes, n_classes=3).predict_proba(votes)``.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from weak_supervision.label_models.ballots import Ballots
from weak_supervision.label_models.base import BaseLabelModel, log, naive_bayes
from weaklight.contracts import ABSTAIN

__all__ = ["DawidSkene"]

TRACE = 1e-10
MAJORITY_ROWS = 10.0  # gold rows that the majority vote is worth at the start of EM


class DawidSkene(BaseLabelModel):
    """Learns how often each LF says each thing about each class, and the classes with it.

    Every class set is one more thing that an LF can say, so "footwear" may turn out to mean
    "sneaker or boot, hardly ever sandal". Gold rows are held at their class.

    Parameters
    ----------
    abstain
        What an LF's silence means. ``"ignore"``: nothing. An item is then a bag of (LF, vote)
        tokens drawn from its class, so an LF that only ever says "spam" still counts as evidence,
        because it says so more often about spam. ``"missing"``: nothing either, and each LF's
        votes are compared among themselves alone, as in the paper, whose doctors did not see every
        patient; an LF that only says one thing then counts for nothing. ``"symbol"``: silence is
        one more vote, as in WRENCH; it pays where LFs cover much and hurts where they are sparse.
    smoothing
        Pseudo-votes added to every (LF, vote, class) count. 0.01 only keeps probabilities off
        zero; 1 and more drowns LFs that vote a few dozen times (LabelMe falls from 0.795 to 0.739).
    max_iter, tol
        EM stops when the objective grows by less than ``tol`` times its size.

    Attributes
    ----------
    objective_
        Penalised log-likelihood after each step, never decreasing.
    class_prior_
        (K,) float64: learned, unless a class balance was given to ``fit``.

    Notes
    -----
    Time O(s v K) for s steps over the v votes of the distinct rows, after O(n m) to find them;
    memory O(v + d K + m V K).
    Starts from the spread majority vote, or, given gold, from what that says about the LFs with the
    majority vote counting as 10 gold rows. Draws nothing, so it is deterministic. Assumes that LFs
    err independently given the class: near-copies of one LF are counted as so many witnesses.

    References
    ----------
    Dawid and Skene 1979, "Maximum likelihood estimation of observer error-rates using the EM
    algorithm", JRSS C 28; eqs. 2.3-2.5.
    """

    name = "dawid_skene"
    uses_gold = True
    learns_balance = True

    def __init__(
        self,
        *,
        abstain: Literal["ignore", "missing", "symbol"] = "ignore",
        smoothing: float = 0.01,
        max_iter: int = 1000,
        tol: float = 1e-6,
    ) -> None:
        self.abstain = abstain
        self.smoothing = smoothing
        self.max_iter = max_iter
        self.tol = tol

    def _learn(self, ballots: Ballots) -> None:
        uniform = np.full(len(self.class_prior_), 1 / len(self.class_prior_))
        start = uniform if self._learns_prior else self.class_prior_
        if not self._hears_silence:
            ballots = ballots.take(ballots.covered)
        tokens = ballots.tokens(hears_silence=self._hears_silence)  # (d, M * V)
        backwards = tokens.T.tocsr()  # as quick in a product from the left
        counts, known = ballots.counts, ballots.gold != ABSTAIN
        certain = np.eye(len(uniform))[ballots.gold[known]]
        self._seen = np.asarray(tokens.sum(axis=0)).ravel() > 0
        self._log_theta = np.zeros((tokens.shape[1], len(uniform)))
        self.objective_: list[float] = []
        posterior = ballots.shares(start)  # (d, K)
        weight = _first_weight(counts, known)
        for _ in range(self.max_iter):
            posterior[known] = certain
            weighted = posterior * weight[:, None]
            weight = counts
            if self._learns_prior:
                self.class_prior_ = weighted.sum(axis=0) / weighted.sum()  # eq. 2.4
            penalty = self._maximise(backwards @ weighted, ballots.meanings)
            joint = tokens @ self._log_theta + log(self.class_prior_)
            likelihood = logsumexp(joint, axis=1)
            posterior = np.exp(joint - likelihood[:, None])  # eq. 2.5
            likelihood[known] = (joint[known] * certain).sum(axis=1)
            self.objective_.append(float(counts @ likelihood) + penalty)
            if len(self.objective_) > 1:
                gain = self.objective_[-1] - self.objective_[-2]
                if gain <= self.tol * abs(self.objective_[-1]):
                    break

    def _posterior(self, ballots: Ballots) -> NDArray[np.float64]:
        return naive_bayes(
            ballots, self._log_theta, self.class_prior_, hears_silence=self._hears_silence
        )

    @property
    def _hears_silence(self) -> bool:
        return self.abstain == "symbol"

    def _maximise(self, token_counts: NDArray[np.float64], meanings: NDArray[np.float64]) -> float:
        """Set log P(token | class), (m * V, K), 0 for what nobody says; return the penalty."""
        n_classes = token_counts.shape[1]
        # at least a trace, so that an LF without votes on a class says nothing about that class
        smoothed = np.maximum(token_counts + self.smoothing, TRACE)
        smoothed = np.where(self._seen[:, None], smoothed, 0.0)
        if self.abstain == "ignore":  # one multinomial a class over all tokens
            total = smoothed.sum(axis=0, keepdims=True)
        else:  # eq. 2.3: one multinomial an LF and class
            n_values = len(meanings) + self._hears_silence
            by_lf = smoothed.reshape(-1, n_values, n_classes)  # (m, V, K)
            total = np.repeat(by_lf.sum(axis=1), n_values, axis=0)
        theta = np.where(self._seen[:, None], smoothed, 1.0) / np.where(total > 0, total, 1.0)
        self._log_theta = np.where(self._seen[:, None], np.log(theta), 0.0)
        return self.smoothing * float(self._log_theta.sum())


def _first_weight(counts: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return how much each row counts in the first step: gold decides which optimum is found."""
    n_open = counts[~known].sum()
    if not known.any() or n_open <= MAJORITY_ROWS:
        return counts
    return np.where(known, counts, counts * MAJORITY_ROWS / n_open)

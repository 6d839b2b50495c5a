"""Dawid and Skene's EM, run over the distinct rows of votes instead of over all items.

Try it: ``DawidSkene().fit(votes, n_classes=3).predict_proba(votes)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import logsumexp

from weak_supervision.label_models.base import checked_class_balance, covered
from weak_supervision.label_models.majority_vote import MajorityVote
from weaklight.contracts import ABSTAIN, ClassSet, Votes, check_votes

__all__ = ["DawidSkene"]

FLOOR = 1e-12  # stands in for a probability of zero, whose logarithm would be -inf


def _distinct_rows(votes: Votes) -> tuple[Votes, NDArray[np.intp], NDArray[np.intp]]:
    """Return the distinct rows, which of them each row is, and how often each occurs."""
    packed = votes.view(np.dtype((np.void, votes.itemsize * votes.shape[1]))).ravel()
    _, first, inverse, counts = np.unique(
        packed, return_index=True, return_inverse=True, return_counts=True
    )
    return votes[first], inverse.ravel(), counts


class DawidSkene:
    """Learns how often each LF says each thing about each class, and the classes with it.

    Every class set is one more thing that an LF can say, so "footwear" may turn out to mean
    "sneaker or boot, hardly ever sandal".

    Parameters
    ----------
    abstain
        What an LF's silence means. ``"ignore"``: nothing. An item is then a bag of (LF, vote)
        tokens drawn from its class, so an LF that only ever says "spam" still counts as evidence,
        because it says so more often about spam. ``"symbol"``: silence is one more vote, as in
        WRENCH; it pays where LFs cover much and hurts where they are sparse.
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
        (K,) float64: learned, unless ``class_balance`` was given to ``fit``.

    Notes
    -----
    Time O(s d m K) for s steps over d distinct rows, after one O(n m log n) sort; memory
    O(d m + m K V).
    Starts from the spread majority vote and draws nothing, so it is deterministic. Assumes that LFs
    err independently given the class: near-copies of one LF are counted as so many witnesses.

    References
    ----------
    Dawid and Skene 1979, "Maximum likelihood estimation of observer error-rates using the EM
    algorithm", JRSS C 28; eqs. 2.3-2.5.
    """

    name = "dawid_skene"
    uses_class_sets = True
    note_: str

    def __init__(
        self,
        *,
        abstain: Literal["ignore", "symbol"] = "ignore",
        smoothing: float = 0.01,
        max_iter: int = 1000,
        tol: float = 1e-6,
    ) -> None:
        self.abstain = abstain
        self.smoothing = smoothing
        self.max_iter = max_iter
        self.tol = tol

    def fit(
        self,
        votes: NDArray[np.generic],
        *,
        n_classes: int,
        class_sets: tuple[ClassSet, ...] = (),
        class_balance: Sequence[float] | None = None,
    ) -> Self:
        """Run EM until the objective stands still.

        Raises
        ------
        DataError
            If the votes or the class balance break their contract.
        """
        checked = check_votes(votes, n_classes, len(class_sets))
        self._n_sets = len(class_sets)
        self.class_prior_ = checked_class_balance(class_balance, n_classes)
        self.objective_: list[float] = []
        self.note_ = ""
        voice = MajorityVote().fit(checked, n_classes=n_classes, class_sets=class_sets)
        if not self._hears_silence:
            checked = checked[covered(checked)]
        self._seen = np.zeros(self._n_symbols * checked.shape[1], dtype=np.bool_)
        self._log_theta = np.zeros((len(self._seen), n_classes))
        if not checked.size:
            self.note_ = "no LF voted on any item; the posterior is the class balance"
            return self

        rows, _, counts = _distinct_rows(checked)
        tokens = self._tokens(rows)  # (d, m * V)
        self._seen = np.asarray(tokens.sum(axis=0)).ravel() > 0
        if unheard := int((~(rows != ABSTAIN).any(axis=0)).sum()):
            self.note_ = f"{unheard} of {rows.shape[1]} LFs never vote and count for nothing"
        self._run(tokens, counts, voice.predict_proba(rows), learn_prior=class_balance is None)
        return self

    def _run(
        self,
        tokens: sparse.csr_matrix,
        counts: NDArray[np.intp],
        start: NDArray[np.float32],
        *,
        learn_prior: bool,
    ) -> None:
        posterior = start.astype(np.float64)  # (d, K)
        for _ in range(self.max_iter):
            weighted = posterior * counts[:, None]
            if learn_prior:
                self.class_prior_ = weighted.sum(axis=0) / counts.sum()  # eq. 2.4
            self._log_theta = self._maximise(tokens.T @ weighted)
            joint = self._joint(tokens)
            likelihood = logsumexp(joint, axis=1)
            posterior = np.exp(joint - likelihood[:, None])  # eq. 2.5
            penalty = self.smoothing * self._log_theta.sum()
            self.objective_.append(float(counts @ likelihood + penalty))
            if len(self.objective_) > 1:
                gain = self.objective_[-1] - self.objective_[-2]
                if gain <= self.tol * abs(self.objective_[-1]):
                    break

    def predict_proba(self, votes: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return the posterior (n, K) float32; votes unseen in ``fit`` count for nothing."""
        checked = check_votes(votes, len(self.class_prior_), self._n_sets)
        if not checked.size:
            return np.tile(self.class_prior_.astype(np.float32), (len(checked), 1))
        rows, inverse, _ = _distinct_rows(checked)
        joint = self._joint(self._tokens(rows))
        posterior = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
        by_item: NDArray[np.float32] = posterior.astype(np.float32)[inverse]
        return by_item

    @property
    def _hears_silence(self) -> bool:
        return self.abstain == "symbol"

    @property
    def _n_symbols(self) -> int:
        return len(self.class_prior_) + self._n_sets + self._hears_silence

    def _tokens(self, rows: Votes) -> sparse.csr_matrix:
        """Return (d, m * V) zeros and ones: which LF says what in each row."""
        n_rows, n_lfs = rows.shape
        # in "symbol" mode silence is the last of the V symbols
        silence = self._n_symbols - 1 if self._hears_silence else ABSTAIN
        symbols = np.where(rows == ABSTAIN, silence, rows)
        row, lf = np.nonzero(symbols != ABSTAIN)
        column = lf * self._n_symbols + symbols[row, lf]
        return sparse.csr_matrix(
            (np.ones(len(row)), (row, column)), shape=(n_rows, n_lfs * self._n_symbols)
        )

    def _maximise(self, token_counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return log P(token | class), (m * V, K); 0 for tokens that nobody ever said."""
        smoothed = np.where(self._seen[:, None], token_counts + self.smoothing, 0.0)
        if self._hears_silence:  # eq. 2.3: every LF says one thing about every item
            by_lf = smoothed.reshape(-1, self._n_symbols, smoothed.shape[1])  # (m, V, K)
            total = np.repeat(by_lf.sum(axis=1), self._n_symbols, axis=0)
        else:  # one multinomial a class over all tokens
            total = smoothed.sum(axis=0, keepdims=True)
        theta = np.maximum(smoothed / np.maximum(total, FLOOR), FLOOR)
        return np.where(self._seen[:, None], np.log(theta), 0.0)

    def _joint(self, tokens: sparse.csr_matrix) -> NDArray[np.float64]:
        log_prior = np.log(np.maximum(self.class_prior_, FLOOR))
        joint: NDArray[np.float64] = tokens @ self._log_theta + log_prior
        return joint

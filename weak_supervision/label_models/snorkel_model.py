"""Snorkel's LabelModel behind our contract: no global seeds, no crashes on thin votes.

Try it: ``SnorkelModel().fit(votes, n_classes=3).predict_proba(votes)``.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from weak_supervision.label_models.base import checked_class_balance, covered
from weak_supervision.label_models.majority_vote import MajorityVote
from weaklight.contracts import ABSTAIN, ClassSet, Votes, check_votes
from weaklight.seeds import derive_seed, preserve_global_rng

__all__ = ["SnorkelModel"]

MIN_LFS = 3  # the moments that Snorkel matches say nothing about fewer
MAX_OUTCOMES = 6000  # LFs x classes; Snorkel holds several float32 matrices of the square
logger = logging.getLogger(__name__)


class SnorkelModel:
    """Data programming by matching the LFs' pairwise agreements (MeTaL, as Snorkel ships it).

    Class sets, LFs and classes that never get a vote are left out, which ``note_`` says. With
    fewer than three voting LFs or a single voted class it answers with the majority vote instead.

    Parameters
    ----------
    n_epochs, lr
        Of Snorkel's gradient descent. 200 and 500 steps label LabelMe alike (0.775), and 200 do
        better on YouTube (0.741 against 0.715).
    seed
        Seeds Snorkel's shuffling; the global generators are put back afterwards.

    Notes
    -----
    Time and memory O(n m K) for one dense one-hot matrix, then O((m K)^2) a step. Assumes LFs that
    err independently given the class, and a uniform class balance unless ``class_balance`` says
    otherwise. Silence counts for nothing when predicting.

    References
    ----------
    Ratner et al. 2019, "Training complex models with multi-task weak supervision",
    arXiv:1810.02840, algorithm 1.
    """

    name = "snorkel"
    uses_class_sets = False
    note_: str

    def __init__(self, *, n_epochs: int = 200, lr: float = 0.01, seed: int = 0) -> None:
        self.n_epochs = n_epochs
        self.lr = lr
        self.seed = seed

    def fit(
        self,
        votes: NDArray[np.generic],
        *,
        n_classes: int,
        class_sets: tuple[ClassSet, ...] = (),
        class_balance: Sequence[float] | None = None,
    ) -> Self:
        """Fit Snorkel's LabelModel on the LFs and classes that are voted at all.

        Raises
        ------
        DataError
            If the votes or the class balance break their contract.
        """
        checked = check_votes(votes, n_classes, len(class_sets))
        self._n_sets = len(class_sets)
        self.class_prior_ = checked_class_balance(class_balance, n_classes)
        self._fallback: MajorityVote | None = None
        notes: list[str] = []
        if (n_set_votes := int((checked >= n_classes).sum())) > 0:
            notes.append(f"{n_set_votes} votes for class sets left out, which Snorkel cannot use")
        plain = np.where(checked >= n_classes, ABSTAIN, checked).astype(np.int16)
        self._lfs = np.flatnonzero((plain != ABSTAIN).any(axis=0))
        self._classes = np.unique(plain[plain != ABSTAIN])
        if len(silent := np.setdiff1d(np.arange(n_classes), self._classes)):
            notes.append(f"classes {silent.tolist()} never get a vote")

        reason = self._why_not(n_classes)
        if not reason:
            compact = self._compact(plain)
            balance = self.class_prior_[self._classes]
            self._log_prior = np.log(np.maximum(balance / max(balance.sum(), 1e-12), 1e-12))
            self._log_mu = self._run_snorkel(compact, np.exp(self._log_prior))
            if not np.isfinite(self._log_mu).all():
                reason = "Snorkel's parameters are not finite"
        if reason:
            notes.append(f"{reason}; the majority vote stands in")
            self._fallback = MajorityVote().fit(
                checked, n_classes=n_classes, class_sets=class_sets, class_balance=class_balance
            )
        self.note_ = "; ".join(notes)
        if self.note_:
            logger.info("snorkel: %s", self.note_)
        return self

    def predict_proba(self, votes: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return the posterior (n, K) float32; an uncovered row gets the class balance."""
        if self._fallback is not None:
            return self._fallback.predict_proba(votes)
        n_classes = len(self.class_prior_)
        checked = check_votes(votes, n_classes, self._n_sets)
        plain = np.where(checked >= n_classes, ABSTAIN, checked).astype(np.int16)
        compact = self._compact(plain)
        logits = np.tile(self._log_prior, (len(compact), 1))  # (n, voted classes)
        # a last row of zeros, so that ABSTAIN = -1 adds nothing; sums of logs cannot underflow
        for table, column in zip(self._log_mu, compact.T, strict=True):
            logits += np.vstack([table, np.zeros(len(self._classes))])[column]
        posterior = np.zeros((len(compact), n_classes))
        posterior[:, self._classes] = softmax(logits, axis=1)
        posterior[~covered(compact)] = self.class_prior_
        return posterior.astype(np.float32)

    def _why_not(self, n_classes: int) -> str:
        """Return why Snorkel cannot be fitted, empty where it can."""
        if len(self._lfs) < MIN_LFS:
            return f"Snorkel needs {MIN_LFS} LFs that vote for classes but found {len(self._lfs)}"
        if len(self._classes) < 2:
            return f"only {len(self._classes)} of {n_classes} classes gets a vote"
        if len(self._lfs) * len(self._classes) > MAX_OUTCOMES:
            return (
                f"{len(self._lfs)} LFs over {len(self._classes)} classes are too many for Snorkel "
                f"(LFs x classes up to {MAX_OUTCOMES})"
            )
        return ""

    def _compact(self, plain: Votes) -> Votes:
        """Return the voting LFs' columns with the voted classes renumbered from 0."""
        number = np.full(len(self.class_prior_) + 1, ABSTAIN, dtype=np.int16)  # last: ABSTAIN
        number[self._classes] = np.arange(len(self._classes))
        return number[plain[:, self._lfs]]

    def _run_snorkel(self, votes: Votes, balance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return log P(vote | class) of each LF, (m, votes, classes)."""
        with preserve_global_rng():
            # imported inside the guard: importing Snorkel draws from numpy's global generator
            from snorkel.labeling.model import LabelModel as Snorkel

            model = Snorkel(cardinality=len(balance), verbose=False)
            model.fit(
                votes.astype(np.int64),
                class_balance=balance.tolist(),
                n_epochs=self.n_epochs,
                lr=self.lr,
                seed=derive_seed(self.seed, "snorkel") % 2**32,
                progress_bar=False,
            )
        mu = model.mu.detach().cpu().numpy().astype(np.float64)  # (m * classes, classes)
        log_mu: NDArray[np.float64] = np.log(mu).reshape(votes.shape[1], len(balance), -1)
        return log_mu

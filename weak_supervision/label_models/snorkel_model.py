"""Snorkel's LabelModel, from the moments of the distinct rows of votes.

Try it: ``SnorkelModel().fit(votes, n_classes=3).predict_proba(votes)``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import linear_sum_assignment
from scipy.special import softmax

from weak_supervision.label_models.ballots import Ballots
from weak_supervision.label_models.base import BaseLabelModel, NotLearnableError, log
from weaklight.seeds import derive_seed

__all__ = ["SnorkelModel"]

MIN_LFS = 3  # the moments that Snorkel matches say nothing about fewer
MAX_OUTCOMES = 6000  # LFs x classes; a few float64 matrices of the square are held
START_PRECISION = 0.7  # of every LF before it is learned: Snorkel's prec_init
MOMENTUM = 0.9


class SnorkelModel(BaseLabelModel):
    """Data programming by matching the LFs' pairwise agreements (MeTaL, as Snorkel ships it).

    The same loss from the same start in the same steps as Snorkel 0.10, so it learns what Snorkel
    learns, but from the distinct rows and in NumPy: neither Snorkel nor torch is imported, which
    takes longer than the fit. Class sets, LFs and classes that never get a vote are left out.
    With fewer than three voting LFs or a single voted class the majority vote stands in.

    Parameters
    ----------
    n_epochs, lr
        Of Snorkel's gradient descent. 200 and 500 steps label LabelMe alike (0.775), and 200 do
        better on YouTube (0.741 against 0.715).
    seed
        Of the start.

    Attributes
    ----------
    accuracies_
        (m,) float64: Snorkel's ``get_weights``, NaN for an LF that never votes.

    Notes
    -----
    Time O(n m) to find the distinct rows, O(v m) for v votes in them, then O((m K)^2) a step;
    memory O(v + (m K)^2). Assumes LFs that err independently given the class, and a uniform class
    balance unless told otherwise. Silence counts for nothing when predicting.

    References
    ----------
    Ratner et al. 2019, "Training complex models with multi-task weak supervision",
    arXiv:1810.02840, algorithm 1.
    """

    name = "snorkel"
    uses_class_sets = False

    def __init__(self, *, n_epochs: int = 200, lr: float = 0.01, seed: int = 0) -> None:
        self.n_epochs = n_epochs
        self.lr = lr
        self.seed = seed

    def _learn(self, ballots: Ballots) -> None:
        n_classes = len(self.class_prior_)
        tokens = ballots.tokens()  # (d, m * K)
        times = np.asarray(tokens.T @ ballots.counts).reshape(-1, n_classes)
        self._lfs = np.flatnonzero(times.any(axis=1))
        self._classes = np.flatnonzero(times.any(axis=0))
        if len(unheard := np.setdiff1d(np.arange(n_classes), self._classes)):
            self._extra_notes.append(f"classes {unheard.tolist()} never get a vote")
        self._refuse_thin_votes(n_classes)

        # only LFs that vote and classes that are voted for; the others are renumbered away
        self._columns = (self._lfs[:, None] * n_classes + self._classes).ravel()
        heard = tokens[:, self._columns]
        n_items = ballots.counts.sum()
        moments = (heard.T @ sparse.diags_array(ballots.counts) @ heard).toarray() / n_items
        balance = self.class_prior_[self._classes]
        balance = np.maximum(balance / max(balance.sum(), 1e-12), 1e-12)
        mu = _descend(
            moments,
            balance,
            int(n_items),
            n_epochs=self.n_epochs,
            lr=self.lr,
            seed=derive_seed(self.seed, "snorkel") % 2**32,
        )
        if not np.isfinite(mu).all():
            raise NotLearnableError(f"the descent left the finite numbers at lr={self.lr:g}")
        self._log_mu, self._log_balance = log(mu), log(balance)
        by_lf = mu.reshape(len(self._lfs), len(balance), len(balance))  # (m, votes, classes)
        coverage = times[self._lfs].sum(axis=1) / n_items
        right = np.einsum("jkk,k->j", by_lf, balance) / coverage
        self._learned = np.full(ballots.n_lfs, np.nan)
        self._learned[self._lfs] = np.clip(right, 1e-6, 1.0)

    def _posterior(self, ballots: Ballots) -> NDArray[np.float64]:
        logits = ballots.tokens()[:, self._columns] @ self._log_mu + self._log_balance
        posterior = np.zeros((len(logits), len(self.class_prior_)))
        posterior[:, self._classes] = softmax(logits, axis=1)
        posterior[~ballots.covered] = self.class_prior_
        return posterior

    def _accuracies(self, ballots: Ballots) -> NDArray[np.float64]:
        return super()._accuracies(ballots) if self._stands_in else self._learned

    def _refuse_thin_votes(self, n_classes: int) -> None:
        if len(self._lfs) < MIN_LFS:
            raise NotLearnableError(
                f"Snorkel needs {MIN_LFS} LFs that vote for classes but found {len(self._lfs)}"
            )
        if len(self._classes) < 2:
            raise NotLearnableError(f"only 1 of {n_classes} classes gets a vote")
        if len(self._lfs) * len(self._classes) > MAX_OUTCOMES:
            raise NotLearnableError(
                f"{len(self._lfs)} LFs over {len(self._classes)} classes are too many for Snorkel "
                f"(LFs x classes up to {MAX_OUTCOMES})"
            )


def _descend(
    moments: NDArray[np.float64],
    balance: NDArray[np.float64],
    n_items: int,
    *,
    n_epochs: int,
    lr: float,
    seed: int,
) -> NDArray[np.float64]:
    """Return mu = P(LF votes v | class), (m * k, k), that explains the moments (m * k, m * k).

    Minimises |O - mu P mu'|^2 off the LFs' own blocks, plus |mu p - diag O|^2, from Snorkel's
    start, in Snorkel's steps.
    """
    n_classes = len(balance)
    n_lfs = len(moments) // n_classes
    own = np.arange(n_lfs)
    rate = np.diag(moments)
    right = np.tile(np.eye(n_classes), (n_lfs, 1)) > 0  # (m * k, k): where the vote is the class
    mu = np.where(right, np.clip(rate[:, None] * START_PRECISION / balance, 0.0, 1.0), 0.0)
    mu *= np.random.RandomState(seed).random_sample()  # Snorkel's own draw from this seed
    velocity = np.zeros_like(mu)
    with np.errstate(over="ignore", invalid="ignore"):  # the caller looks at what comes out
        for _ in range(n_epochs):
            weighed = mu * balance
            error = moments - weighed @ mu.T
            error.reshape(n_lfs, n_classes, n_lfs, n_classes)[own, :, own, :] = 0.0
            off = mu @ balance - rate
            velocity = MOMENTUM * velocity - 4.0 * (error @ weighed) + 2.0 * np.outer(off, balance)
            mu = mu - lr * velocity
    least = min(0.01, 10.0 ** -np.ceil(np.log10(n_items)))
    return _in_order(np.clip(mu, least, 1.0 - least), balance)


def _in_order(mu: NDArray[np.float64], balance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return mu with equally common classes swapped so that LFs are right as often as can be."""
    n_classes = len(balance)
    said = mu.reshape(-1, n_classes, n_classes).sum(axis=0) * balance  # (votes, classes)
    source = np.arange(n_classes)
    for share in np.unique(balance.round(3)):
        group = np.flatnonzero(balance.round(3) == share)
        old, new = linear_sum_assignment(said[np.ix_(group, group)].T, maximize=True)
        source[group[new]] = group[old]
    return mu[:, source]

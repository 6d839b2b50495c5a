"""Snorkel's LabelModel behind our contract, from the moments of the distinct rows of votes.

Try it: ``SnorkelModel().fit(votes, n_classes=3).predict_proba(votes)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import softmax

from weak_supervision.label_models.ballots import Ballots
from weak_supervision.label_models.base import BaseLabelModel, NotLearnableError, log
from weak_supervision.threads import one_thread
from weaklight.seeds import derive_seed, preserve_global_rng

__all__ = ["SnorkelModel"]

MIN_LFS = 3  # the moments that Snorkel matches say nothing about fewer
MAX_OUTCOMES = 6000  # LFs x classes; Snorkel holds several float32 matrices of the square


class SnorkelModel(BaseLabelModel):
    """Data programming by matching the LFs' pairwise agreements (MeTaL, as Snorkel ships it).

    Snorkel's own solver runs, on the same matrix of agreements that it would count itself: what it
    learns is what Snorkel learns. Only what changes no step of it is left out: its log, a penalty
    of weight 0, and what torch's optimiser does besides stepping. Class sets, LFs and classes that
    never get a vote are left out. With fewer than three voting LFs or a single voted class the
    majority vote stands in.

    Parameters
    ----------
    n_epochs, lr
        Of Snorkel's gradient descent. 200 and 500 steps label LabelMe alike (0.775), and 200 do
        better on YouTube (0.741 against 0.715).
    seed
        Seeds Snorkel's start; the global generators are put back afterwards.

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
        mu = self._run_snorkel(moments, balance, int(n_items))
        if not np.isfinite(mu).all():
            raise NotLearnableError("Snorkel's parameters are not finite")
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

    def _run_snorkel(
        self, moments: NDArray[np.float64], balance: NDArray[np.float64], n_items: int
    ) -> NDArray[np.float64]:
        """Return P(LF votes v | class), (m * k, k), for moments (m * k, m * k) of k classes."""
        with preserve_global_rng():
            # imported inside the guard: importing Snorkel draws from numpy's global generator
            import torch
            from snorkel.labeling.model import LabelModel

            class FromMoments(LabelModel):  # type: ignore[misc]
                """Takes the matrix O of agreements instead of counting it over all items."""

                def _generate_O(  # noqa: N802  Snorkel's name
                    self, L: NDArray[np.int64], higher_order: bool = False
                ) -> None:
                    super()._generate_O(L, higher_order)  # lists cliques and sizes; any row does
                    self.O = torch.from_numpy(moments).float()
                    self.n = n_items

                def _set_optimizer(self) -> None:
                    momentum = self.train_config.optimizer_config.sgd_config.momentum
                    self.optimizer = _Descent(self.mu, self.train_config.lr, momentum)

                def _loss_l2(self, l2: float = 0.0) -> float:
                    return 0.0  # its weight is 0; Snorkel would compute it all the same

                def _execute_logging(self, loss: torch.Tensor) -> dict[str, float]:
                    return {}  # nobody reads the loss of each step

            model = FromMoments(cardinality=len(balance), verbose=False)
            any_row = np.zeros((1, len(moments) // len(balance)), dtype=np.int64)
            try:
                with one_thread():
                    model.fit(
                        any_row,
                        class_balance=balance.tolist(),
                        n_epochs=self.n_epochs,
                        lr=self.lr,
                        seed=derive_seed(self.seed, "snorkel") % 2**32,
                        progress_bar=False,
                    )
            except Exception as error:  # Snorkel raises nothing narrower when its loss is NaN
                raise NotLearnableError(f"Snorkel gave up: {error}") from error
        mu: NDArray[np.float64] = model.mu.detach().cpu().numpy().astype(np.float64)
        return mu


class _Descent:
    """The steps of ``torch.optim.SGD`` with momentum, Snorkel's optimiser, for its one parameter.

    To make torch's own imports torch's compiler, which takes longer than the whole fit.
    """

    def __init__(self, parameter: Any, lr: float, momentum: float) -> None:
        self._parameter = parameter
        self._lr = lr
        self._momentum = momentum
        self._velocity = parameter.data.new_zeros(parameter.shape)

    def zero_grad(self) -> None:
        self._parameter.grad = None

    def step(self) -> None:
        self._velocity.mul_(self._momentum).add_(self._parameter.grad)
        self._parameter.data.add_(self._velocity, alpha=-self._lr)

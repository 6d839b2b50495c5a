"""Crowd-kit's MACE and GLAD behind our contract: ``pip install "weaklight[crowd]"``.

Try it: ``Mace().fit(votes, n_classes=3).accuracies_``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, softmax

from weak_supervision.label_models.ballots import Ballots
from weak_supervision.label_models.base import BaseLabelModel, NotLearnableError, log, naive_bayes
from weaklight.contracts import ABSTAIN
from weaklight.errors import ConfigError
from weaklight.seeds import derive_seed

__all__ = ["Glad", "Mace"]


class Mace(BaseLabelModel):
    """Learns how often each LF knows the class, and what it says where it only guesses.

    An LF that always says the same, whatever the item, is found out. Class sets and gold are
    left out; a class balance counts only when predicting.

    Parameters
    ----------
    n_iter
        Steps of variational EM.
    seed
        Of the start.

    Notes
    -----
    Time O(v K) a step through pandas for v votes of all items, about 2 s for 10,000 votes, as
    crowd-kit has no counts. Assumes LFs that err independently given the class.

    References
    ----------
    Hovy, Berg-Kirkpatrick, Vaswani and Hovy 2013, "Learning whom to trust with MACE", NAACL,
    through crowd-kit (Apache-2.0).
    """

    name = "mace"
    uses_class_sets = False

    def __init__(self, *, n_iter: int = 50, seed: int = 0) -> None:
        self.n_iter = n_iter
        self.seed = seed

    def _learn(self, ballots: Ballots) -> None:
        crowdkit = _crowdkit()
        table, _ = _long_table(ballots)
        # Crowd-kit numbers labels and workers as they come but sums them in sorted order, so both
        # have to come sorted: labels by frequency, workers renamed as they come.
        labels = table["label"].value_counts(sort=False).sort_index(ascending=False)
        labels = labels.sort_values(ascending=False, kind="stable")
        table["label"] = table["label"].map({label: i for i, label in enumerate(labels.index)})
        table = table.sort_values("label", kind="stable", ignore_index=True)
        table["worker"], workers = pd.factorize(table["worker"])
        mace = crowdkit.MACE(
            n_restarts=1,  # crowd-kit starts all of them alike
            n_iter=self.n_iter,
            random_state=derive_seed(self.seed, "mace") % 2**32,
        ).fit(table)
        guesses = mace.spamming_[:, :1] * mace.thetas_  # (voting LFs, voted classes)
        knows = mace.spamming_[:, 1]
        n_classes = len(self.class_prior_)
        theta = np.ones((ballots.n_lfs, n_classes, n_classes))  # a vote never heard says nothing
        of_class = labels.index.to_numpy()
        for guess, share, lf in zip(guesses, knows, workers, strict=True):
            theta[lf, of_class] = guess[:, None]
            theta[lf, of_class, of_class] += share
        self._log_theta = log(theta).reshape(-1, n_classes)

    def _posterior(self, ballots: Ballots) -> NDArray[np.float64]:
        return naive_bayes(ballots, self._log_theta, self.class_prior_)


class Glad(BaseLabelModel):
    """Learns how able each LF is and how hard each item, together.

    A row of votes that was not in ``fit`` counts as of average difficulty. Class sets and gold
    are left out.

    Parameters
    ----------
    n_iter
        Steps of EM.
    search_steps
        Of the conjugate-gradient search in each of them.

    Notes
    -----
    Time O(v K) a search step through pandas for v votes of all items: thousands of items, not
    millions. Assumes that an LF errs towards every other class alike, and independently given class
    and difficulty.

    References
    ----------
    Whitehill, Ruvolo, Wu, Bergsma and Movellan 2009, "Whose vote should count more", NeurIPS 22,
    through crowd-kit (Apache-2.0).
    """

    name = "glad"
    uses_class_sets = False

    def __init__(self, *, n_iter: int = 20, search_steps: int = 25) -> None:
        self.n_iter = n_iter
        self.search_steps = search_steps

    def _learn(self, ballots: Ballots) -> None:
        crowdkit = _crowdkit()
        table, covered = _long_table(ballots)
        balance = pd.Series(np.maximum(self.class_prior_, 1e-12))
        glad = crowdkit.GLAD(
            n_iter=self.n_iter,
            m_step_max_iter=self.search_steps,
            labels_priors=balance,
            silent=True,
        ).fit(table)
        self._ability = np.zeros(ballots.n_lfs)
        self._ability[glad.alphas_.index] = glad.alphas_
        first = np.concatenate([[0], np.cumsum(covered.counts)[:-1]]).astype(np.int64)
        ease = glad.betas_.loc[first].to_numpy()
        self._ease = {row.tobytes(): value for row, value in zip(covered.rows, ease, strict=True)}

    def _posterior(self, ballots: Ballots) -> NDArray[np.float64]:
        n_classes = len(self.class_prior_)
        # 1 is the mean of the prior that crowd-kit puts on log inverse difficulty
        ease = np.exp([self._ease.get(row.tobytes(), 1.0) for row in ballots.rows])  # (d,)
        joint = np.tile(log(self.class_prior_), (len(ease), 1))
        for ability, column in zip(self._ability, ballots.rows.T, strict=True):
            says = column != ABSTAIN
            right = expit(ability * ease[says])
            joint[says] += log((1 - right) / (n_classes - 1))[:, None]
            joint[says, column[says]] += log(right) - log((1 - right) / (n_classes - 1))
        posterior: NDArray[np.float64] = softmax(joint, axis=1)
        return posterior


def _crowdkit() -> Any:
    try:
        import crowdkit.aggregation
    except ImportError as error:
        raise ConfigError(
            "MACE and GLAD run on crowd-kit, which is not installed; run: "
            'pip install "weaklight[crowd]"'
        ) from error
    return crowdkit.aggregation


def _long_table(ballots: Ballots) -> tuple[pd.DataFrame, Ballots]:
    """Return one line a vote (task, worker, label), and the covered rows in their order.

    Every item is a task of its own, as crowd-kit has no counts; items of one row follow each other.
    """
    covered = ballots.take(ballots.covered)
    rows = np.repeat(covered.rows, covered.counts.astype(np.int64), axis=0)
    task, worker = np.nonzero(rows != ABSTAIN)
    label = rows[task, worker].astype(np.int64)
    if len(np.unique(label)) < 2:
        raise NotLearnableError("only one class gets a vote")
    return pd.DataFrame({"task": task, "worker": worker, "label": label}), covered

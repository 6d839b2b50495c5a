"""Dawid and Skene with one number an LF: how often it is right.

Try it: ``OneCoin().fit(votes, n_classes=3).accuracies_``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from weak_supervision.label_models.ballots import Ballots
from weak_supervision.label_models.base import log
from weak_supervision.label_models.dawid_skene import DawidSkene

__all__ = ["OneCoin", "coin_table"]


class OneCoin(DawidSkene):
    """Learns one accuracy for each LF; where it is wrong, every other class is as likely.

    The fewest parameters of all models that learn, for LFs with few votes.

    Parameters
    ----------
    smoothing
        Pseudo-votes for right and for wrong of each LF, so that nobody is infallible.
    max_iter, tol
        EM stops when the objective grows by less than ``tol`` times its size.

    Attributes
    ----------
    accuracies_
        (m,) float64, learned; NaN for an LF that never votes.

    Notes
    -----
    Cost, start and assumption as `DawidSkene`. Silence says nothing. A vote for a set of s classes
    is right with the LF's accuracy a and names any set of that size that holds the class alike:
    P(set | y) is proportional to a / s inside and (1 - a) / (K - s) outside, which for s = 1 is
    the paper's coin.

    References
    ----------
    Zhang, Chen, Zhou and Jordan 2016, "Spectral methods meet EM", JMLR 17, arXiv:1406.3824, sec. 2.
    Sets: Yu, Ding and Bach 2022, "Learning from multiple noisy partial labelers", arXiv:2106.04530.
    """

    name = "one_coin"

    def __init__(self, *, smoothing: float = 1.0, max_iter: int = 1000, tol: float = 1e-6) -> None:
        super().__init__(abstain="missing", smoothing=smoothing, max_iter=max_iter, tol=tol)

    def _maximise(self, token_counts: NDArray[np.float64], meanings: NDArray[np.float64]) -> float:
        by_lf = token_counts.reshape(-1, *meanings.shape)  # (m, V, K)
        by_lf = by_lf * _tells(meanings)[:, None]
        total = by_lf.sum(axis=(1, 2))
        right = (by_lf * (meanings > 0)).sum(axis=(1, 2))
        self._coins = np.where(
            total > 0,
            (right + self.smoothing) / np.maximum(total + 2 * self.smoothing, 1e-12),
            np.nan,
        )
        self._log_theta = coin_table(self._coins, meanings)
        voting = self._coins[total > 0]
        return self.smoothing * float((log(voting) + log(1 - voting)).sum())

    def _accuracies(self, ballots: Ballots) -> NDArray[np.float64]:
        return super()._accuracies(ballots) if self._stands_in else self._coins


def coin_table(
    accuracies: NDArray[np.float64], meanings: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return log P(vote | class) up to a constant a vote, (m * V, K); 0 where it says nothing.

    Parameters
    ----------
    accuracies
        (m,) shares, NaN for an LF of which nothing is known.
    meanings
        (V, K), see `Ballots`.
    """
    size = (meanings > 0).sum(axis=1, keepdims=True)  # (V, 1)
    coin = accuracies[:, None, None]
    outside = (1 - coin) / np.maximum(meanings.shape[1] - size, 1)
    table = np.where(meanings > 0, coin / size, outside)  # (m, V, K)
    says = np.isfinite(table) & _tells(meanings)[:, None]
    log_table: NDArray[np.float64] = np.where(says, log(np.where(says, table, 1.0)), 0.0)
    return log_table.reshape(-1, meanings.shape[1])


def _tells(meanings: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which votes (V,) rule any class out; a set of all classes says nothing."""
    tells: NDArray[np.bool_] = (meanings == 0).any(axis=1)
    return tells

"""Majority vote in which better LFs, or commoner classes, weigh more.

Try it: ``WeightedVote(lf_weights=[2, 1, 1]).fit(votes, n_classes=3).predict_proba(votes)``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from weak_supervision.label_models.ballots import Ballots
from weak_supervision.label_models.base import BaseLabelModel, log
from weaklight.contracts import ABSTAIN
from weaklight.errors import DataError

__all__ = ["WeightedVote"]

PRIOR_VOTES = 2.0  # an LF with few judged votes weighs like the average LF


class WeightedVote(BaseLabelModel):
    """The posterior is the share of weighted votes that each class got.

    Parameters
    ----------
    lf_weights
        (m,) weights, none negative. Left out, they are the log-odds of each LF being right, which
        is the best weight of independent votes: judged on the gold rows where ``fit`` is given
        some, else by agreement with the majority vote (crowd workers' "Wawa").
    weigh_classes
        Whether a vote also counts in proportion to its class's share in the class balance.

    Attributes
    ----------
    weights_
        (m,) float64.

    Notes
    -----
    Time O(n m), memory O(n + v + d K) for v votes in d distinct rows. Agreement with the majority
    rewards LFs that copy one another. ``WeightedVote(lf_weights=[1] * m, weigh_classes=True)`` with
    the shares of the validation rows is WRENCH's weighted majority vote.

    References
    ----------
    Nitzan and Paroush 1982, "Optimal decision rules in uncertain dichotomous choice situations",
    International Economic Review 23, theorem 1.
    """

    name = "weighted_vote"
    uses_gold = True

    def __init__(
        self, *, lf_weights: Sequence[float] | None = None, weigh_classes: bool = False
    ) -> None:
        self.lf_weights = lf_weights
        self.weigh_classes = weigh_classes

    def _learn(self, ballots: Ballots) -> None:
        if self.lf_weights is None:
            self.weights_ = self._log_odds(ballots)
        else:
            self.weights_ = np.asarray(self.lf_weights, dtype=np.float64)
            fits = self.weights_.shape == (ballots.n_lfs,) and np.isfinite(self.weights_).all()
            if not fits or (self.weights_ < 0).any():
                raise DataError(
                    f"lf_weights must hold {ballots.n_lfs} numbers, none negative, but came as "
                    f"{self.weights_.tolist()}; give one for each LF"
                )

    def _posterior(self, ballots: Ballots) -> NDArray[np.float64]:
        voice = self.weights_[:, None, None] * ballots.meanings  # (m, V, K)
        if self.weigh_classes:
            voice = voice * self.class_prior_
        voices = ballots.tokens() @ voice.reshape(-1, ballots.meanings.shape[1])
        total = voices.sum(axis=1, keepdims=True)
        shares: NDArray[np.float64] = np.where(
            total > 0, voices / np.maximum(total, 1e-12), self.class_prior_
        )
        return shares

    def _log_odds(self, ballots: Ballots) -> NDArray[np.float64]:
        """Return log a (K - 1) / (1 - a) of each LF's accuracy a, at least 0."""
        n_classes = ballots.meanings.shape[1]
        is_gold = (ballots.gold != ABSTAIN) & ballots.covered
        judge = ballots.shares(self.class_prior_)
        if is_gold.any():
            ballots = ballots.take(is_gold)
            judge = np.eye(n_classes)[ballots.gold]
        else:
            self._extra_notes.append("no gold rows, so LFs weigh by agreement with majority vote")
        judged = ballots.counts @ ballots.said()  # (m,) votes
        right = np.nan_to_num(ballots.right(judge)) * judged
        typical = right.sum() / judged.sum()
        accuracy = (right + PRIOR_VOTES * typical) / (judged + PRIOR_VOTES)
        return np.maximum(log(accuracy * (n_classes - 1)) - log(1 - accuracy), 0.0)

"""The baseline that every other label model has to beat.

Try it: ``MajorityVote().fit(votes, n_classes=3).predict_proba(votes)``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from weak_supervision.label_models.ballots import Ballots
from weak_supervision.label_models.base import BaseLabelModel

__all__ = ["MajorityVote"]


class MajorityVote(BaseLabelModel):
    """One vote, one voice: the posterior is the share of votes that each class got.

    A vote for a class set gives each of its classes an equal part of one voice. Gold and the class
    balance change nothing but uncovered rows. Ties are broken by `hard_labels`, by WRENCH's rule
    where it is given no item ids.

    Notes
    -----
    Time O(n m), memory O(n + d K) for d distinct rows.

    Examples
    --------
    >>> votes = np.array([[0, 0, 1], [-1, 2, -1]])
    >>> MajorityVote().fit(votes, n_classes=3).predict_proba(votes).round(2).tolist()
    [[0.6700000166893005, 0.33000001311302185, 0.0], [0.0, 0.0, 1.0]]
    """

    name = "majority_vote"

    def _learn(self, ballots: Ballots) -> None:
        pass

    def _posterior(self, ballots: Ballots) -> NDArray[np.float64]:
        return ballots.shares(self.class_prior_)

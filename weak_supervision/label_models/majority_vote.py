"""The baseline that every other label model has to beat.

Try it: ``MajorityVote().fit(votes, n_classes=3).predict_proba(votes)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from weak_supervision.label_models.base import checked_class_balance
from weaklight.contracts import ClassSet, check_votes, expand_votes

__all__ = ["MajorityVote"]


class MajorityVote:
    """One vote, one voice: the posterior is the share of votes that each class got.

    A vote for a class set gives each of its classes an equal part of one voice.

    Notes
    -----
    Time O(n m), memory O(n K): votes are counted column by column, never expanded to n x m x K.

    Examples
    --------
    >>> votes = np.array([[0, 0, 1], [-1, 2, -1]])
    >>> MajorityVote().fit(votes, n_classes=3).predict_proba(votes).round(2).tolist()
    [[0.6700000166893005, 0.33000001311302185, 0.0], [0.0, 0.0, 1.0]]
    """

    name = "majority_vote"
    uses_class_sets = True
    note_: str

    def fit(
        self,
        votes: NDArray[np.generic],
        *,
        n_classes: int,
        class_sets: tuple[ClassSet, ...] = (),
        class_balance: Sequence[float] | None = None,
    ) -> Self:
        """Remember the classes; there is nothing to learn.

        Raises
        ------
        DataError
            If the votes break their contract.
        """
        check_votes(votes, n_classes, len(class_sets))
        self.class_prior_ = checked_class_balance(class_balance, n_classes)
        self._class_sets = class_sets
        self.note_ = ""
        return self

    def predict_proba(self, votes: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return each class's share of the votes, (n, K) float32; no vote gives the prior."""
        n_classes = len(self.class_prior_)
        checked = check_votes(votes, n_classes, len(self._class_sets))
        # a last row of zeros, so that ABSTAIN = -1 adds nothing
        voice = np.vstack([expand_votes(n_classes, self._class_sets), np.zeros(n_classes)])
        counts = np.zeros((len(checked), n_classes))
        for column in checked.T:
            counts += voice[column]
        total = counts.sum(axis=1, keepdims=True)
        shares = np.where(total > 0, counts / np.maximum(total, 1e-12), self.class_prior_)
        return shares.astype(np.float32)

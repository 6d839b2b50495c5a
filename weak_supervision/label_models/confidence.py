"""Votes of LFs that give probabilities, one column for each level of confidence.

Try it: ``levels = ConfidenceLevels().fit(votes, {3: probabilities})``, then
``DawidSkene().fit(levels.transform(votes, {3: probabilities}), n_classes=2)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from weaklight.contracts import ABSTAIN, ClassSet, Votes, expand_votes
from weaklight.errors import DataError

__all__ = ["ConfidenceLevels"]

SoftVotes = Mapping[int, NDArray[np.floating]]


class ConfidenceLevels(BaseEstimator):  # type: ignore[misc]
    """Splits a soft LF into several LFs, from those votes of which it is least sure to the surest.

    How sure a soft LF is of a vote is the probability that it gives to what it votes for. The votes
    are cut into levels with about as many votes each, and each level becomes a column of its own
    that abstains elsewhere. Every label model then learns what each level is worth, without knowing
    of probabilities, which need not be calibrated: only their order counts. An item has as many
    votes as before, so majority vote does not change.

    Parameters
    ----------
    n_levels
        At most, of each soft LF. On planted votes 3 to 8 do alike.
    min_votes
        Of a level: few votes teach little, so a soft LF that votes seldom is split less.

    Attributes
    ----------
    edges_ : dict of column to (levels - 1,) float64
        A vote that is surer than the i-th edge belongs to a level above i.
    source_ : (M,) int64
        The column of the votes that came in from which each column that goes out was made.

    Notes
    -----
    Time O(n log n) a soft LF, memory O(n M). A probability taken for so many fractions of a vote
    loses against plain votes in every model that learns: an LF then seems to err at random as
    often as it hesitates.
    """

    edges_: dict[int, NDArray[np.float64]]
    source_: NDArray[np.int64]

    def __init__(self, *, n_levels: int = 4, min_votes: int = 30) -> None:
        self.n_levels = n_levels
        self.min_votes = min_votes

    def fit(
        self, votes: Votes, soft_votes: SoftVotes, *, class_sets: tuple[ClassSet, ...] = ()
    ) -> Self:
        """Find the levels.

        Parameters
        ----------
        votes
            (n, m) ints, -1 abstains.
        soft_votes
            Column of a soft LF to its (n, K) probabilities; NaN where it abstains.
        class_sets
            What votes from K on mean.

        Raises
        ------
        DataError
            If a soft LF votes on an item without a probability, or the shapes do not fit.
        """
        self.edges_ = {}
        self._class_sets = class_sets
        for column in sorted(soft_votes):
            sure = self._confidence(votes, soft_votes, column)
            sure = sure[votes[:, column] != ABSTAIN]
            n_levels = max(1, min(self.n_levels, len(sure) // self.min_votes))
            shares = np.arange(1, n_levels) / n_levels
            edges = np.unique(np.quantile(sure, shares)) if len(shares) else np.empty(0)
            self.edges_[column] = edges[edges < sure.max(initial=0.0)]
        n_columns = [len(self.edges_.get(column, ())) + 1 for column in range(np.shape(votes)[1])]
        self.source_ = np.repeat(np.arange(len(n_columns)), n_columns)
        return self

    def transform(self, votes: Votes, soft_votes: SoftVotes) -> Votes:
        """Return the votes (n, M) int16, each soft LF's levels in its place, surest last.

        Raises
        ------
        DataError
            As in ``fit``, or if the soft LFs are others.
        """
        if (
            set(soft_votes) != set(self.edges_)
            or votes.shape[1] != self.source_.max(initial=-1) + 1
        ):
            raise DataError(
                f"the levels were found for {self.source_.max(initial=-1) + 1} LFs, soft ones in "
                f"columns {sorted(self.edges_)}, but came {votes.shape[1]}, soft ones in columns "
                f"{sorted(soft_votes)}; pass the same LFs in that order"
            )
        split = votes[:, self.source_].astype(np.int16)
        for column, edges in self.edges_.items():
            level = np.searchsorted(edges, self._confidence(votes, soft_votes, column), side="left")
            first = int(np.searchsorted(self.source_, column))
            for number in range(len(edges) + 1):
                split[level != number, first + number] = ABSTAIN
        return split

    def _confidence(self, votes: Votes, soft_votes: SoftVotes, column: int) -> NDArray[np.float64]:
        """Return how likely a soft LF holds what it votes for (n,), NaN where it does not vote."""
        given = np.asarray(soft_votes[column])
        if given.ndim != 2 or len(given) != len(votes) or column >= votes.shape[1]:
            raise DataError(
                f"soft votes of column {column} must have shape ({len(votes)}, classes), for one "
                f"of {votes.shape[1]} columns, but came with {given.shape}; align them with votes"
            )
        said = votes[:, column] != ABSTAIN
        members = expand_votes(given.shape[1], self._class_sets) > 0  # (V, K)
        sure = np.full(len(votes), np.nan)
        sure[said] = (given[said] * members[votes[said, column]]).sum(axis=1)
        if np.isnan(sure[said]).any():
            row = int(np.flatnonzero(said & np.isnan(sure))[0])
            raise DataError(
                f"a soft LF must give probabilities wherever it votes, but column {column} gives "
                f"none in row {row}; let it abstain there"
            )
        return sure

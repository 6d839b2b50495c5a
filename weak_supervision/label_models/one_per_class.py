"""Items that belong to several classes at once: one label model for each class.

Try it: ``OnePerClass(DawidSkene).fit(votes).predict_proba(votes)`` with votes (n, m, C).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from weak_supervision.label_models.base import LabelModel
from weaklight.errors import DataError

__all__ = ["OnePerClass"]


class OnePerClass:
    """Asks of every class by itself whether an item belongs to it.

    Parameters
    ----------
    make_model
        Called without arguments once a class, for instance ``DawidSkene``.

    Attributes
    ----------
    models_
        The C fitted two-class models, in class order.

    Notes
    -----
    C times the cost of one model over two classes. Classes that go or do not go together are not
    learned: each class is judged by votes about it alone.

    Examples
    --------
    >>> from weak_supervision.label_models import MajorityVote
    >>> votes = np.array([[[1, 0], [1, -1], [-1, 1]]])  # one item, three LFs, two classes
    >>> OnePerClass(MajorityVote).fit(votes).predict_proba(votes).tolist()
    [[1.0, 0.5]]
    """

    def __init__(self, make_model: Callable[[], LabelModel]) -> None:
        self.make_model = make_model

    def fit(
        self,
        votes: NDArray[np.integer],
        *,
        shares: Sequence[float] | None = None,
        gold: NDArray[np.integer] | None = None,
    ) -> Self:
        """Fit one model a class.

        Parameters
        ----------
        votes
            (n, m, C) ints: 1 the item belongs to the class, 0 it does not, -1 no opinion.
        shares
            C shares of items that belong to each class; they need not sum to 1. None: the models'
            own way.
        gold
            (n, C) ints as in ``votes``, -1 where unknown.

        Raises
        ------
        DataError
            If the shapes do not fit or a value is none of -1, 0 and 1.
        """
        n_classes = _checked(votes)
        if shares is not None and len(shares) != n_classes:
            raise DataError(
                f"shares must hold one number for each of {n_classes} classes, but has "
                f"{len(shares)}; leave it out to let the models decide"
            )
        if gold is not None and np.shape(gold) != (len(votes), n_classes):
            raise DataError(
                f"gold must have shape ({len(votes)}, {n_classes}), but came with "
                f"{np.shape(gold)}; give one column a class"
            )
        self.models_ = [
            self.make_model().fit(
                votes[:, :, c],
                n_classes=2,
                class_balance=None if shares is None else (1 - shares[c], shares[c]),
                gold=None if gold is None else gold[:, c],
            )
            for c in range(n_classes)
        ]
        return self

    def predict_proba(self, votes: NDArray[np.integer]) -> NDArray[np.float32]:
        """Return how likely each item belongs to each class, (n, C) float32; rows need not sum.

        Raises
        ------
        DataError
            If the votes do not fit those of ``fit``.
        """
        if _checked(votes) != len(self.models_):
            raise DataError(
                f"votes must speak of {len(self.models_)} classes, but came with shape "
                f"{votes.shape}; pass the classes of fit"
            )
        columns = [
            model.predict_proba(votes[:, :, c])[:, 1] for c, model in enumerate(self.models_)
        ]
        return np.stack(columns, axis=1)


def _checked(votes: NDArray[np.integer]) -> int:
    """Return how many classes votes (n, m, C) speak of."""
    if np.ndim(votes) != 3 or votes.shape[2] == 0:
        raise DataError(
            f"votes must have three dimensions (items, LFs, classes), but came with shape "
            f"{np.shape(votes)}; stack one matrix of -1, 0 and 1 a class"
        )
    n_classes: int = votes.shape[2]
    return n_classes

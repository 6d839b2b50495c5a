"""What a label model is, and the three small questions every one of them answers.

Try it: ``python -c "from weak_supervision.label_models import *; print(covered([[0]]))"``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from weaklight.contracts import ABSTAIN, ClassSet
from weaklight.errors import DataError

__all__ = ["TIE_RULE", "LabelModel", "checked_class_balance", "covered", "hard_labels"]

TIE_RULE = (
    "a tie goes to one of the tied classes by the SHA-1 of the item id; "
    "an item without any evidence counts as a tie between all classes"
)

TIE = 1e-5  # probabilities closer than this are a tie, as in snorkel.utils.probs_to_preds


class LabelModel(Protocol):
    """Turns the votes of many LFs into one distribution over the classes for each item.

    Attributes
    ----------
    name
        The word used in artifacts and reports.
    uses_class_sets
        Whether a vote for a class set counts; a model that cannot use one says so in ``note_``.
    note_
        Plain sentences about what the last ``fit`` had to leave out; empty where nothing.
    """

    name: str
    uses_class_sets: bool
    note_: str

    def fit(
        self,
        votes: NDArray[np.generic],
        *,
        n_classes: int,
        class_sets: tuple[ClassSet, ...] = (),
        class_balance: Sequence[float] | None = None,
    ) -> Self:
        """Learn from ``votes`` (n, m): -1 abstains, 0..K-1 a class, K+s the s-th class set."""
        ...

    def predict_proba(self, votes: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return the posterior (n, K) float32; an uncovered row gets the class balance."""
        ...


def covered(votes: ArrayLike) -> NDArray[np.bool_]:
    """Return which of the n rows of ``votes`` (n, m) hold at least one vote."""
    is_covered: NDArray[np.bool_] = (np.asarray(votes) != ABSTAIN).any(axis=1)
    return is_covered


def checked_class_balance(
    class_balance: Sequence[float] | None, n_classes: int
) -> NDArray[np.float64]:
    """Return the class balance as (K,) float64 summing to 1; uniform where none is given.

    Raises
    ------
    DataError
        If its length is not K or a share is negative or not finite.
    """
    if class_balance is None:
        return np.full(n_classes, 1.0 / n_classes)
    balance = np.asarray(class_balance, dtype=np.float64)
    usable = balance.shape == (n_classes,) and np.isfinite(balance).all() and (balance >= 0).all()
    if not usable or balance.sum() == 0:
        raise DataError(
            f"class_balance must hold {n_classes} shares, none negative, but came as "
            f"{balance.tolist()}; leave it out to let the model decide"
        )
    shares: NDArray[np.float64] = balance / balance.sum()
    return shares


def hard_labels(
    posterior: NDArray[np.floating],
    is_covered: NDArray[np.bool_] | None = None,
    *,
    keys: Sequence[object] | None = None,
) -> NDArray[np.int64]:
    """Return the likeliest class of each row; -1 where ``is_covered`` is false.

    Ties are broken by :data:`TIE_RULE`; always taking the first class would inflate it.

    Parameters
    ----------
    posterior
        (n, K) floats, rows sum to 1.
    is_covered
        (n,) bool, or None to label every row.
    keys
        n item ids, so that a label depends on its own row alone; row numbers where left out, which
        is the rule of Snorkel and WRENCH, so figures compare.

    Raises
    ------
    DataError
        If there is not one key per row.

    References
    ----------
    Snorkel 0.10, ``probs_to_preds(tie_break_policy="random")``.

    Examples
    --------
    >>> hard_labels(np.array([[0.2, 0.8], [0.5, 0.5]])).tolist()
    [1, 1]
    """
    if keys is not None and len(keys) != len(posterior):
        raise DataError(
            f"expected one key per row, but came {len(keys)} keys for {len(posterior)} rows; "
            "pass the item ids of the same rows"
        )
    tied = posterior >= posterior.max(axis=1, keepdims=True, initial=0.0) - TIE  # (n, K)
    labels: NDArray[np.int64] = tied.argmax(axis=1).astype(np.int64)
    is_open = tied.sum(axis=1) > 1
    if is_covered is not None:
        is_open &= is_covered
    for row in np.flatnonzero(is_open).tolist():
        classes = np.flatnonzero(tied[row])
        key = str(row if keys is None else keys[row])
        draw = int(hashlib.sha1(key.encode(), usedforsecurity=False).hexdigest(), 16)
        labels[row] = classes[draw % len(classes)]
    if is_covered is not None:
        labels[~is_covered] = ABSTAIN
    return labels

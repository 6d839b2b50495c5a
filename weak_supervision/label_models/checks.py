"""What comes to a label model beside the votes, checked: class balance and gold.

Try it: ``class_prior("uniform", ballots)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from weak_supervision.label_models.ballots import Ballots
from weaklight.contracts import ABSTAIN
from weaklight.errors import DataError

__all__ = ["ClassBalance", "checked_gold", "class_prior", "given_balance"]

ClassBalance = Sequence[float] | Literal["uniform", "estimated"] | None


def class_prior(class_balance: ClassBalance, ballots: Ballots) -> NDArray[np.float64]:
    """Return the class balance to start from, (K,)."""
    n_classes = ballots.meanings.shape[1]
    given = given_balance(class_balance, n_classes)
    if given is not None:
        return given
    uniform = _shares(None, n_classes)
    is_covered = ballots.covered
    if not is_covered.any() or class_balance is None:
        return uniform
    shares = ballots.shares(uniform)[is_covered]
    balance: NDArray[np.float64] = np.average(shares, axis=0, weights=ballots.counts[is_covered])
    return balance


def given_balance(class_balance: ClassBalance, n_classes: int) -> NDArray[np.float64] | None:
    """Return the balance (K,) that a person gave, None where it is to be learnt."""
    if class_balance is None:
        return None
    if isinstance(class_balance, str):
        if class_balance == "estimated":
            return None
        if class_balance == "uniform":
            return _shares(None, n_classes)
        raise DataError(
            f'class_balance must be "uniform", "estimated" or {n_classes} shares, but came as '
            f"{class_balance!r}; pass one of these"
        )
    return _shares(class_balance, n_classes)


def checked_gold(
    gold: NDArray[np.integer] | None, n_items: int, n_classes: int
) -> NDArray[np.int64]:
    """Return gold as (n,) int64, -1 where unknown."""
    if gold is None:
        return np.full(n_items, ABSTAIN, dtype=np.int64)
    known = np.asarray(gold)
    fits = known.shape == (n_items,) and known.dtype.kind in "iu"
    if not fits or not ABSTAIN <= known.min(initial=0) <= known.max(initial=0) < max(n_classes, 1):
        raise DataError(
            f"gold must hold a class id below {n_classes}, or -1, for each of {n_items} rows, but "
            f"came as {known.dtype} of shape {known.shape}; map class names to ids first"
        )
    return known.astype(np.int64)


def _shares(class_balance: Sequence[float] | None, n_classes: int) -> NDArray[np.float64]:
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

"""What every bag classifier is, and the checks they share.

A bag is an (n_i, d) array of instances with one label for the whole. All classifiers here are used
alike::

    model = NoisyOrBagClassifier().fit(bags, y)
    model.predict_proba(bags)      # (n_bags, K)
    model.predict_instances(bags)  # one (n_i, K) array a bag
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from weaklight.errors import DataError

__all__ = [
    "Bag",
    "BagClassifier",
    "check_bags",
    "check_labels",
    "predict_alone",
    "split_like",
]

Bag = NDArray[np.floating]


class BagClassifier(Protocol):
    """Learns from one label a bag.

    Attributes
    ----------
    classes_
        (K,) the distinct labels, sorted. With two, the second one is the positive.
    """

    classes_: NDArray[np.int64]

    def fit(self, bags: Sequence[Bag], y: ArrayLike) -> Self:
        """Train on ``bags``, (n_i, d) arrays, with integer labels ``y`` (n_bags,)."""
        ...

    def predict_proba(self, bags: Sequence[Bag]) -> NDArray[np.float32]:
        """Return (n_bags, K) float32, rows sum to 1."""
        ...

    def predict_instances(self, bags: Sequence[Bag]) -> list[NDArray[np.float32]]:
        """Return one (n_i, K) float32 array a bag; each class says what its score means."""
        ...


def check_bags(bags: Sequence[Bag], d: int | None = None) -> int:
    """Return the width of the bags or say what is wrong with them.

    Raises
    ------
    DataError
        If a bag is empty or not finite, or widths differ among the bags or from ``d``.
    """
    shapes = {bag.shape[1:] for bag in bags}
    if len(shapes) != 1 or not all(map(len, bags)) or (d is not None and shapes != {(d,)}):
        wanted = "one width" if d is None else f"{d} features"
        raise DataError(
            f"bags must be a list of non-empty (n_i, d) arrays of {wanted}, but came "
            f"{len(bags)} bags of widths {sorted(shapes)}; leave empty bags out"
        )
    if not all(np.isfinite(bag).all() for bag in bags):
        raise DataError("bags must be finite, but hold NaN or infinity; leave such instances out")
    return int(next(iter(shapes))[0])


def check_labels(y: ArrayLike, n_bags: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the classes (K,) and each bag's class number (n_bags,).

    Raises
    ------
    DataError
        If there is not one integer label a bag, or all labels are the same.
    """
    labels = np.asarray(y)
    if labels.shape != (n_bags,) or (labels.dtype.kind not in "iub" and (labels % 1 != 0).any()):
        raise DataError(
            f"y must hold one integer label for each of {n_bags} bags, but came with shape "
            f"{labels.shape} and type {labels.dtype}"
        )
    classes, numbers = np.unique(labels.astype(np.int64), return_inverse=True)
    if len(classes) < 2:
        raise DataError(
            f"bags of two kinds at least are needed, but all carry {classes.tolist()}; "
            "bags of one kind teach nothing"
        )
    return classes, numbers.astype(np.int64)


def predict_alone(
    predict_proba: Callable[[Sequence[Bag]], NDArray[np.float32]], bags: Sequence[Bag]
) -> list[NDArray[np.float32]]:
    """Return what each instance would be called as a bag of its own, one (n_i, K) array a bag."""
    alone = [instance[None, :] for bag in bags for instance in bag]
    return split_like(predict_proba(alone), bags)


def split_like(stacked: NDArray[np.float32], bags: Sequence[Bag]) -> list[NDArray[np.float32]]:
    """Return rows of all instances, one after another, as one array a bag."""
    return np.split(stacked, np.cumsum([len(bag) for bag in bags])[:-1])

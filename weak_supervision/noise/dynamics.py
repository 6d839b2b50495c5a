"""Area under the margin: labels that a network never quite believes while it learns.

Try it: ``area_under_margin(features, labels, n_classes=10).doubted``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weak_supervision.noise.robust_head import RobustHead
from weaklight.contracts import ABSTAIN
from weaklight.errors import DataError
from weaklight.seeds import derive_seed, numpy_generator

__all__ = ["Margins", "area_under_margin"]

PERCENTILE = 99  # of the threshold rows' areas, as in the paper


@dataclass(frozen=True)
class Margins:
    """How strongly the label of each row was believed, over all epochs.

    Attributes
    ----------
    area
        (n,) float64: logit of the label minus the largest other one, mean over epochs; NaN without
        a label. Low where the label pulls against its neighbors.
    doubted
        (n,) bool: area below that of nearly all rows whose label is wrong on purpose.
    """

    area: NDArray[np.float64]
    doubted: NDArray[np.bool_]


def area_under_margin(
    features: NDArray[np.floating],
    labels: NDArray[np.integer],
    n_classes: int,
    *,
    epochs: int = 10,
    seed: int = 0,
) -> Margins:
    """Train a head twice and watch the margins of its labels.

    Parameters
    ----------
    features
        (n, d) floats; rows that are not finite are left out.
    labels
        (n,) class ids, -1 without a label.
    n_classes
        K.
    epochs
        Of each training; before the head can memorise.
    seed
        Draws the threshold rows and the head's weights.

    Raises
    ------
    DataError
        If fewer than 4 (K + 1) rows can be used.

    Notes
    -----
    In each training one row of K + 1 gets a class that does not exist: its margin shows what a
    wrong label looks like. The two trainings take different such rows, so every row is judged in
    one of them at least. Time: two trainings.

    References
    ----------
    Pleiss et al. 2020, "Identifying mislabeled data using the area under the margin ranking",
    arXiv:2001.10528, eqs. 1 and 2 and section 4.
    """
    usable = np.flatnonzero((labels != ABSTAIN) & np.isfinite(features).all(axis=1))
    n_threshold = len(usable) // (n_classes + 1)
    if n_threshold < 4:
        raise DataError(
            f"margins need {4 * (n_classes + 1)} labelled rows with features, but there are "
            f"{len(usable)}; widen the coverage"
        )
    order = numpy_generator(seed, "area_under_margin").permutation(len(usable))
    area = np.zeros(len(usable))
    times = np.zeros(len(usable))
    doubted = np.zeros(len(usable), dtype=np.bool_)
    for part in range(2):
        fake = order[part * n_threshold : (part + 1) * n_threshold]
        given = labels[usable].astype(np.int64)
        given[fake] = n_classes
        mean = _mean_margins(features[usable], given, n_classes + 1, epochs, seed + part)
        real = np.ones(len(usable), dtype=np.bool_)
        real[fake] = False
        cut = np.percentile(mean[fake], PERCENTILE)
        area[real] += mean[real]
        times[real] += 1
        doubted |= real & (mean <= cut)
    out = Margins(np.full(len(labels), np.nan), np.zeros(len(labels), dtype=np.bool_))
    out.area[usable] = area / times
    out.doubted[usable] = doubted
    return out


def _mean_margins(
    features: NDArray[np.floating],
    labels: NDArray[np.int64],
    n_classes: int,
    epochs: int,
    seed: int,
) -> NDArray[np.float64]:
    index = torch.from_numpy(labels)[:, None]
    total = torch.zeros(len(labels), dtype=torch.float64)

    def watch(epoch: int, logits: list[Tensor]) -> None:
        own = logits[0].gather(1, index).squeeze(1)
        others = logits[0].scatter(1, index, -torch.inf).max(dim=1).values
        total.add_((own - others).double() / epochs)

    RobustHead(
        strategy="plain",
        input_dropout=0.0,
        epochs=epochs,
        seed=derive_seed(seed, "area_under_margin"),
        on_epoch=watch,
    ).fit(features, np.eye(n_classes, dtype=np.float32)[labels])
    return total.numpy()

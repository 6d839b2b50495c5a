"""Few labels: the linear probe on 1 % and 10 % of the training labels, over several draws.

Try it: ``[print(row.share, row.mean, row.spread) for row in few_labels(task)]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np
from numpy.typing import NDArray

from ssl_models.evaluation.labelled import check_features, check_labels, stratified_rows
from ssl_models.evaluation.linear import linear_probe
from ssl_models.evaluation.scores import Task, accuracy
from weaklight.errors import ConfigError
from weaklight.intervals import Proportion
from weaklight.seeds import numpy_generator

__all__ = ["FewLabels", "few_labels"]


@dataclass(frozen=True)
class FewLabels:
    """Accuracy with a share of the labels.

    Attributes
    ----------
    share
        Of each class's training rows.
    n_train
        Labels in each draw.
    accuracies
        On all test rows, one for each draw. Their Wilson intervals know the chance in the test
        rows, not the one in the draw.
    """

    share: float
    n_train: int
    accuracies: tuple[Proportion, ...]

    @property
    def mean(self) -> float:
        """Mean accuracy over the draws."""
        return fmean(a.successes / a.n for a in self.accuracies)

    @property
    def spread(self) -> float | None:
        """Standard deviation over the draws, None for a single one."""
        values = [a.successes / a.n for a in self.accuracies]
        return stdev(values) if len(values) > 1 else None


def few_labels(
    task: Task[NDArray[np.floating]],
    shares: Sequence[float] = (0.01, 0.1),
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
) -> tuple[FewLabels, ...]:
    """Probe the features with a share of the labels, drawn by class and drawn anew for each seed.

    Parameters
    ----------
    task
        With features (n, d) of a frozen encoder, which may have seen all training images: labels
        are what is short.
    shares
        Of the training labels; a class gives at least one.
    seeds
        One draw each.

    Returns
    -------
    One entry for each share, in order.

    Raises
    ------
    ConfigError
        If there is no seed.
    DataError
        If shapes or labels do not fit, a feature is not finite, or a share is none.

    Notes
    -----
    The regularisation is chosen on a fifth of each draw, so no label beyond the draw is used.

    References
    ----------
    Chen et al. 2020, "SimCLR", arXiv:2002.05709, section 6: 1 % and 10 % of ImageNet's labels,
    balanced by class. They fine-tune there; see :func:`~ssl_models.evaluation.finetune`.
    """
    if not seeds:
        raise ConfigError("seeds must hold at least one seed, as each makes a draw, but is empty")
    train, test = check_features(task.train, "train"), check_features(task.test, "test")
    labels = check_labels(task.train_labels, len(train), task.n_classes)
    gold = check_labels(task.test_labels, len(test), task.n_classes)
    results = []
    for share in shares:
        accuracies = []
        for seed in seeds:
            rows = stratified_rows(labels, share, numpy_generator(seed, "few labels"))
            probe = linear_probe(train[rows], labels[rows], test, task.n_classes, seed=seed)
            accuracies.append(accuracy(probe.proba, gold))
        results.append(FewLabels(share, len(rows), tuple(accuracies)))
    return tuple(results)

"""How labels go wrong: which class gets labelled as which, from clear cases or from gold.

Try it: ``estimate_noise(features, labels, n_classes=10).rate``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import nnls

from weak_supervision.neighbors import build_graph
from weak_supervision.scaling import scale_about
from weaklight.errors import DataError
from weaklight.seeds import numpy_generator

__all__ = ["LabelNoise", "estimate_noise", "noise_by_gold", "noise_of_clear_cases"]

MAX_ROWS = 20_000  # enough to tell; drawn at random where there are more
ROWS_A_CLASS = 10  # fewer tell nothing
CLEAR, MIN_CLEAR = 0.1, 20  # share and number of the items that stand for their class
MOST_NEIGHBORS, LEAST_NEIGHBORS = 50, 5
TEMPERATURE = 0.07  # of neighbors' weights, as in kNN evaluation (Wu et al. 2018, arXiv:1805.01978)


@dataclass(frozen=True)
class LabelNoise:
    """Noise of labels that depends on the true class alone.

    Attributes
    ----------
    transition
        (K, K) float32, row c: how a true c gets labelled; rows sum to 1.
    prior
        (K,) float32: how common each true class is.
    """

    transition: NDArray[np.float32]
    prior: NDArray[np.float32]

    @property
    def rate(self) -> float:
        """Share of wrong labels."""
        return float(1 - self.prior @ np.diag(self.transition))


def estimate_noise(
    features: NDArray[np.floating], labels: NDArray[np.integer], n_classes: int, *, seed: int = 0
) -> LabelNoise:
    """Estimate the noise from the labels of the items that are the clearest cases of each class.

    Parameters
    ----------
    features
        (n, d) floats; rows that are not finite are left out.
    labels
        (n,) class ids, -1 without a label; those are left out.
    n_classes
        K.
    seed
        Of the rows that are drawn where there are more than 20,000.

    Raises
    ------
    DataError
        If fewer than 10 K rows can be used.

    Notes
    -----
    The labels of an item's nearest neighbors, not its own, say how clear a case it is; see
    :func:`noise_of_clear_cases`. 50 neighbors, fewer where classes are small: half a class at most.
    Time O(n^2 d) for at most 20,000 rows.

    References
    ----------
    Zhu et al. 2021, "Clusterability as an alternative to anchor points when learning with noisy
    labels", arXiv:2102.05291, tell the matrix from two nearest neighbors that are of one class;
    on features of middling quality they often are not.
    """
    usable = np.flatnonzero((labels >= 0) & np.isfinite(features).all(axis=1))
    if len(usable) < ROWS_A_CLASS * n_classes:
        raise DataError(
            f"the noise of {n_classes} classes cannot be told from {len(usable)} labelled rows; "
            f"{ROWS_A_CLASS * n_classes} are needed at least, or give the rate"
        )
    if len(usable) > MAX_ROWS:
        drawn = numpy_generator(seed, "transition").choice(len(usable), MAX_ROWS, replace=False)
        usable = usable[np.sort(drawn)]
    own = labels[usable]
    return noise_of_clear_cases(_neighbors_say(features[usable], own, n_classes), own)


def _neighbors_say(
    features: NDArray[np.floating], labels: NDArray[np.integer], n_classes: int
) -> NDArray[np.float64]:
    """Return (n, K) shares of the classes among each row's neighbors, near ones counting more."""
    mean = features.mean(axis=0)
    x = (features - mean) / scale_about(mean, features)
    k = min(MOST_NEIGHBORS, max(LEAST_NEIGHBORS, len(x) // (2 * n_classes)))
    graph = build_graph(x, k=k)
    weights = np.exp((graph.data - 1.0) / TEMPERATURE)
    near = sparse.csr_matrix((weights, graph.indices, graph.indptr), shape=(len(x), len(x)))
    said = near @ np.eye(n_classes)[labels]
    return np.asarray(said / np.maximum(said.sum(axis=1, keepdims=True), np.finfo(float).tiny))


def noise_of_clear_cases(scores: NDArray[np.floating], labels: NDArray[np.integer]) -> LabelNoise:
    """Count how the items are labelled that a classifier is surest of.

    Parameters
    ----------
    scores
        (n, K) logits or probabilities of a classifier that did not see the items.
    labels
        (n,) class ids, -1 without a label; those are left out.

    Notes
    -----
    Of the items that the classifier takes for a class, the tenth with the largest margin stand for
    it (20 at least); their labels are a row of the transition matrix. The prior is the one that
    turns the matrix into the labels' frequencies, by non-negative least squares. Assumes that each
    class is labelled rightly more often than as any other, and that the noise depends on the class
    alone. Items that are clear and yet of another class raise the rate; people err less on clear
    items, which lowers it. Labels that were made from the same features look free of noise.

    References
    ----------
    Patrini et al. 2017, "Making deep neural networks robust to label noise", arXiv:1609.03683,
    section 4.1: the matrix from "perfect examples"; counts of many in place of the probabilities
    of one, which a miscalibrated classifier would get wrong.
    """
    known = labels >= 0
    scores, labels = scores[known], labels[known]
    n_classes = scores.shape[1]
    taken_for = scores.argmax(axis=1)
    top = np.partition(scores, -2, axis=1)[:, -2:]
    margin = top[:, 1] - top[:, 0]
    transition = np.eye(n_classes)
    for c in range(n_classes):
        rows = np.flatnonzero(taken_for == c)
        if len(rows):
            n_clear = max(MIN_CLEAR, round(CLEAR * len(rows)))
            clear = rows[np.argsort(-margin[rows], kind="stable")[:n_clear]]
            transition[c] = np.bincount(labels[clear], minlength=n_classes) / len(clear)
    frequency = np.bincount(labels, minlength=n_classes) / len(labels)
    prior, _ = nnls(np.vstack([transition.T, np.ones(n_classes)]), np.append(frequency, 1.0))
    return LabelNoise(transition.astype(np.float32), (prior / prior.sum()).astype(np.float32))


def noise_by_gold(
    labels: NDArray[np.integer], gold: NDArray[np.integer], n_classes: int
) -> LabelNoise:
    """Count the noise on rows whose true class is known, half a row added to each right cell.

    Parameters
    ----------
    labels, gold
        (n,) class ids; rows with a -1 in either are left out.

    Examples
    --------
    >>> noise_by_gold(np.array([0, 1, 1]), np.array([0, 0, 1]), 2).transition.round(2).tolist()
    [[0.6000000238418579, 0.4000000059604645], [0.0, 1.0]]
    """
    known = (labels >= 0) & (gold >= 0)
    counts = 0.5 * np.eye(n_classes)
    np.add.at(counts, (gold[known], labels[known]), 1.0)
    of_class = counts.sum(axis=1)
    transition = counts / of_class[:, None]
    return LabelNoise(transition.astype(np.float32), (of_class / of_class.sum()).astype(np.float32))

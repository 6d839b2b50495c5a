"""Weighted nearest neighbours on features: the quickest honest test of an encoder.

Try it: ``knn_predict_proba(features[gold], labels, features[rest], n_classes=10, k=5)``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl_models.retrieval import nearest_rows
from weaklight.errors import DataError

__all__ = ["knn_predict_proba"]


def knn_predict_proba(
    features_ref: NDArray[np.floating],
    labels_ref: NDArray[np.integer],
    features_query: NDArray[np.floating],
    n_classes: int,
    k: int = 20,
    temperature: float = 0.07,
) -> NDArray[np.float32]:
    """Return class probabilities from the ``k`` references of highest cosine similarity.

    A neighbour of similarity s votes with weight ``exp(s / temperature)``.

    Parameters
    ----------
    features_ref
        (N, d) finite, any scale; N >= 1.
    labels_ref
        (N,) class ids in 0..K-1.
    features_query
        (n, d) finite; n may be 0.
    n_classes
        K.
    k
        Neighbours; more than N counts as N. Ties at the k-th place go to the earlier reference.
    temperature
        0.07 as in InstDisc and DINO: only near neighbours count.

    Returns
    -------
    (n, K) float32, rows sum to 1.

    Raises
    ------
    DataError
        If shapes or labels do not fit, or a feature is not finite.

    Notes
    -----
    Time O(n N d); memory 64 MiB of similarities beside the inputs, whatever n and N.

    References
    ----------
    Wu et al. 2018, "Unsupervised feature learning via non-parametric instance discrimination",
    arXiv:1805.01978, section 3.4.

    Examples
    --------
    >>> ref = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> knn_predict_proba(ref, np.array([0, 1]), np.array([[2.0, 0.1]]), 2).argmax()
    np.int64(0)
    """
    labels = np.asarray(labels_ref)
    n_references = len(features_ref)
    if n_references == 0 or labels.shape != (n_references,):
        raise DataError(
            "labels_ref must hold one label per reference and there must be at least one, but "
            f"came {labels.shape} labels for {n_references} references"
        )
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= n_classes:
        raise DataError(
            f"labels_ref must be class ids in 0..{n_classes - 1}; leave abstains (-1) out"
        )
    if k < 1 or temperature <= 0:
        raise DataError(f"k must be >= 1 and temperature > 0, but are {k} and {temperature}")
    nearest = nearest_rows(features_ref, features_query, k=min(k, n_references))
    top = nearest.similarity  # (n, k)
    weight = np.exp((top - top[:, :1]) / temperature)  # minus the largest: no overflow
    said = labels[nearest.rows]  # (n, k)
    votes = np.stack([(weight * (said == c)).sum(axis=1) for c in range(n_classes)], axis=1)
    return np.asarray(votes / votes.sum(axis=1, keepdims=True), np.float32)

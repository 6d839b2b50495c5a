"""Weighted nearest neighbours on features: the quickest honest test of an encoder.

Try it: ``knn_predict_proba(features[gold], labels, features[rest], n_classes=10, k=5)``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from weaklight.errors import DataError

__all__ = ["knn_predict_proba"]

CHUNK_VALUES = 1 << 24  # similarities held at once: 64 MiB of float32


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
    reference, query = (
        _unit_rows(features_ref, "features_ref"),
        _unit_rows(features_query, "features_query"),
    )
    labels = np.asarray(labels_ref)
    if len(reference) == 0 or labels.shape != (len(reference),):
        raise DataError(
            "labels_ref must hold one label per reference and there must be at least one, but "
            f"came {labels.shape} labels for {len(reference)} references"
        )
    if reference.shape[1] != query.shape[1]:
        raise DataError(
            f"references and queries must share d, but have {reference.shape[1]} and "
            f"{query.shape[1]}; embed both with one encoder"
        )
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= n_classes:
        raise DataError(
            f"labels_ref must be class ids in 0..{n_classes - 1}; leave abstains (-1) out"
        )
    if k < 1 or temperature <= 0:
        raise DataError(f"k must be >= 1 and temperature > 0, but are {k} and {temperature}")
    k = min(k, len(reference))
    one_hot = np.eye(n_classes, dtype=np.float32)[labels]  # (N, K)
    out = np.empty((len(query), n_classes), np.float32)
    step = max(1, CHUNK_VALUES // len(reference))
    for start in range(0, len(query), step):
        similarity = query[start : start + step] @ reference.T  # (chunk, N)
        # A stable sort of the negated values: ties keep the order of the references.
        nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :k]  # (chunk, k)
        top = np.take_along_axis(similarity, nearest, 1)
        weight = np.exp((top - top[:, :1]) / temperature)  # minus the largest: no overflow
        votes = np.einsum("qk,qkc->qc", weight, one_hot[nearest])
        out[start : start + step] = votes / votes.sum(1, keepdims=True)
    return out


def _unit_rows(features: NDArray[np.floating], name: str) -> NDArray[np.float32]:
    array = np.asarray(features, dtype=np.float32)
    if array.ndim != 2:
        raise DataError(f"{name} must be (n, d), but came with shape {array.shape}")
    if not np.isfinite(array).all():
        raise DataError(f"{name} must be finite; leave rows that are not `present` out")
    length = np.linalg.norm(array, axis=1, keepdims=True)
    return np.asarray(array / np.maximum(length, 1e-12), np.float32)

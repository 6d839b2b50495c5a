"""Gaussian classes with one shared, shrunken covariance: closed form, at ease with wrong labels.

Try it: ``Discriminant().fit(features, posterior).predict_proba(features)``.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.special import softmax

from weak_supervision.classifiers.linear_head import LinearHead
from weak_supervision.folds import deal_folds
from weak_supervision.threads import one_thread
from weaklight.errors import DataError

__all__ = ["CrossFitted", "Discriminant"]

# Halfway. Taught by majority votes and judged on test gold, 0.3 / 0.5 / 0.7 / 0.9 are right on
# 0.85 / 0.87 / 0.88 / 0.88 of LabelMe and 0.86 / 0.87 / 0.87 / 0.86 of YouTube, with an F1 of
# 0.89 / 0.91 / 0.92 / 0.92 on SMS: anything in the middle does.
SHRINKAGE = 0.5
CHUNK_ROWS = 65_536  # weighted copies of the features are made so many rows at a time
CONSTANT = 1e-5  # variance beside mean square
TINY = 1e-9


class Discriminant:
    """Linear discriminant analysis that takes soft labels and row weights.

    Labels that are wrong at random pull all class means towards the common mean and leave the
    directions between them as they were; so the boundaries hardly move, while logistic regression
    learns each wrong label by heart.

    Parameters
    ----------
    shrinkage
        0..1: how far the covariance within the classes is drawn towards its diagonal, so that the
        scale of a feature does not matter. With hundreds of features and thousands of labels it
        has to be well above 0.

    Attributes
    ----------
    coef_, intercept_
        (d, K) and (K,) float32: logits, the class prior included.
    class_prior_
        (K,) float32 weighted mean of the targets: the answer for rows without finite features.

    Notes
    -----
    Time O(n d^2 + d^3), memory O(d^2) beside the features. Assumes classes that differ by their
    means. No draw, hence no seed. Its probabilities are too sure of themselves where the classes
    are no Gaussians; calibrate them before multiplying them with anything.

    References
    ----------
    Fisher 1936, "The use of multiple measurements in taxonomic problems"; Schaefer and Strimmer
    2005, "A shrinkage approach to large-scale covariance matrix estimation", SAGMB 4, target D.
    """

    def __init__(self, *, shrinkage: float = SHRINKAGE) -> None:
        self.shrinkage = shrinkage

    def fit(
        self,
        features: NDArray[np.floating],
        targets: NDArray[np.floating],
        weights: NDArray[np.floating] | None = None,
    ) -> Self:
        """Estimate class means and the shared covariance.

        Parameters
        ----------
        features
            (n, d) floats; rows that are not finite take no part.
        targets
            (n, K) floats, rows sum to 1.
        weights
            (n,) floats; rows with weight 0 take no part.

        Raises
        ------
        DataError
            If the rows do not match or none is left to learn from.
        """
        w = _usable_weights(features, targets, weights)
        counts = w @ targets
        sums = (targets * w[:, None]).T.astype(np.float32) @ np.nan_to_num(features)
        self.coef_, self.intercept_ = _solve(
            counts, sums, _second_moment(features, w), self.shrinkage
        )
        self.class_prior_ = (counts / counts.sum()).astype(np.float32)
        return self

    def logits(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return (n, K) float32; the log class prior for rows that are not finite."""
        return _logits(features, self.coef_, self.intercept_, self.class_prior_)

    def predict_proba(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return probabilities (n, K) float32; the class prior for rows that are not finite."""
        proba: NDArray[np.float32] = softmax(self.logits(features), axis=1)
        return proba

    def as_linear_head(self, classes: tuple[str, ...] | None = None) -> LinearHead:
        """Return a `LinearHead` that predicts the same, to be saved and shipped as one."""
        names = tuple(classes or map(str, range(self.coef_.shape[1])))
        return LinearHead.from_layer(self.coef_, self.intercept_, self.class_prior_, names)


class CrossFitted:
    """Discriminants that never saw the rows they judge, cheap to teach anew with other targets.

    The covariances of the folds are summed once; targets change class means only. So each new
    teaching costs O(n d K + folds d^3), whatever the number of folds.

    Parameters
    ----------
    features
        (n, d) floats; rows that are not finite are not learnt from.
    weights
        (n,) floats: which rows are learnt from, the same for all targets to come.
    strata
        (n,) integers that the folds are balanced by.
    folds, seed, shrinkage
        As in `weak_supervision.folds` and `Discriminant`.
    """

    def __init__(
        self,
        features: NDArray[np.floating],
        weights: NDArray[np.floating],
        strata: NDArray[np.integer],
        *,
        folds: int = 5,
        seed: int = 0,
        shrinkage: float = SHRINKAGE,
    ) -> None:
        self.shrinkage = shrinkage
        self.features = np.asarray(features, dtype=np.float32)
        self.weights = _usable_weights(features, features, weights)
        fold = deal_folds(strata, folds=folds, seed=seed)
        self.folds = [np.flatnonzero(fold == number) for number in range(folds)]
        self._seconds = [_second_moment(self.features[f], self.weights[f]) for f in self.folds]

    def logits(self, targets: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return out-of-fold logits (n, K) float32 of discriminants taught ``targets`` (n, K)."""
        weighted = (targets * self.weights[:, None]).astype(np.float32)
        counts = [weighted[f].sum(axis=0, dtype=np.float64) for f in self.folds]
        sums = [weighted[f].T @ np.nan_to_num(self.features[f]) for f in self.folds]
        total_counts = np.sum(counts, axis=0)
        total_sums = np.sum(sums, axis=0)
        total_second = np.sum(self._seconds, axis=0)
        out = np.empty(targets.shape, dtype=np.float32)
        for rows, count, summed, second in zip(
            self.folds, counts, sums, self._seconds, strict=True
        ):
            rest = total_counts - count
            coef, intercept = _solve(
                rest, total_sums - summed, total_second - second, self.shrinkage
            )
            prior = (rest / max(rest.sum(), TINY)).astype(np.float32)
            out[rows] = _logits(self.features[rows], coef, intercept, prior)
        return out


def _usable_weights(
    features: NDArray[np.floating],
    targets: NDArray[np.floating],
    weights: NDArray[np.floating] | None,
) -> NDArray[np.float64]:
    w = np.ones(len(features)) if weights is None else np.asarray(weights, dtype=np.float64)
    if not len(features) == len(targets) == len(w):
        raise DataError(
            f"features, targets and weights must have the same rows, but came with "
            f"{len(features)}, {len(targets)} and {len(w)}"
        )
    w = np.where(np.isfinite(features).all(axis=1), w, 0.0)
    if not w.any():
        raise DataError(
            "training needs a row with finite features and weight above 0, but there is none; "
            "check that the LFs cover items that have features"
        )
    return w


def _second_moment(
    features: NDArray[np.floating], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the weighted sum of x x^T, (d, d) float64."""
    second = np.zeros((features.shape[1], features.shape[1]))
    used = np.flatnonzero(weights)
    for start in range(0, len(used), CHUNK_ROWS):
        rows = used[start : start + CHUNK_ROWS]
        scaled = features[rows] * np.sqrt(weights[rows, None]).astype(np.float32)  # (chunk, d)
        second += scaled.T @ scaled
    return second


def _solve(
    counts: NDArray[np.float64],
    sums: NDArray[np.floating],
    second: NDArray[np.float64],
    shrinkage: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return (d, K) coefficients and (K,) intercepts from weighted sums over the rows."""
    total = max(float(counts.sum()), TINY)
    prior = counts / total
    means = sums / np.maximum(counts, TINY)[:, None]  # (K, d)
    within = second / total - (means.T * prior) @ means
    size = np.diag(second) / total + TINY
    # what float32 cannot tell from a constant counts for nothing
    own = np.where(np.diag(within) > CONSTANT * size, np.diag(within), size)
    shrunken = (1.0 - shrinkage) * within
    shrunken[np.diag_indices_from(shrunken)] += shrinkage * own
    with one_thread():
        coef = cho_solve(cho_factor(shrunken), means.T)  # (d, K)
    intercept = np.log(np.maximum(prior, TINY)) - 0.5 * np.einsum("kd,dk->k", means, coef)
    return coef.astype(np.float32), intercept.astype(np.float32)


def _logits(
    features: NDArray[np.floating],
    coef: NDArray[np.float32],
    intercept: NDArray[np.float32],
    prior: NDArray[np.float32],
) -> NDArray[np.float32]:
    finite = np.isfinite(features).all(axis=1)
    out = np.tile(np.log(np.maximum(prior, TINY)).astype(np.float32), (len(features), 1))
    out[finite] = np.asarray(features[finite], dtype=np.float32) @ coef + intercept
    return out

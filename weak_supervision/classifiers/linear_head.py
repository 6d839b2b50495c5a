"""A linear classifier on frozen features that learns from soft, weighted labels.

Try it: ``LinearHead().fit(features, posterior).predict_proba(features)``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax

from weaklight.contracts import check_posterior
from weaklight.errors import ArtifactError, DataError, TrainingError

__all__ = ["LinearHead"]

MIN_DEV_ROWS = 20  # below this a temperature would be noise
TEMPERATURES = (0.05, 20.0)
logger = logging.getLogger(__name__)


class LinearHead:
    """Multinomial logistic regression with soft targets and row weights.

    Parameters
    ----------
    l2
        Weight of ``|W|^2 / 2`` beside the summed loss, scikit-learn's ``1 / C``. 10 suits
        hundreds of standardised features with labels that are partly wrong.
    max_iter
        Steps of L-BFGS at most; the problem is convex, so more change little.

    Attributes
    ----------
    coef_, intercept_
        (d, K) and (K,) float32, for standardised features.
    mean_, scale_
        (d,) float32 of the training rows.
    class_prior_
        (K,) float32 weighted mean of the targets: the answer for rows without finite features.
    temperature_
        Divides the logits; 1 unless ``fit`` was given at least 20 dev rows.
    classes_
        Class names that go into ``head.json``, or class ids as text.

    Notes
    -----
    Time O(n d K) a step, memory O(n d). Convex, started from zero and without any draw, so there
    is no seed. Row weights and targets are taken as they are: wrong labels are learnt as such.

    References
    ----------
    Liu and Nocedal 1989, "On the limited memory BFGS method", Math. Prog. 45.
    Guo et al. 2017, "On calibration of modern neural networks", arXiv:1706.04599, section 4.2.
    """

    coef_: NDArray[np.float32]
    intercept_: NDArray[np.float32]
    mean_: NDArray[np.float32]
    scale_: NDArray[np.float32]
    class_prior_: NDArray[np.float32]
    temperature_: float
    classes_: tuple[str, ...]

    def __init__(self, *, l2: float = 10.0, max_iter: int = 300) -> None:
        self.l2 = l2
        self.max_iter = max_iter

    def fit(
        self,
        features: NDArray[np.floating],
        targets: NDArray[np.floating],
        weights: NDArray[np.floating] | None = None,
        *,
        dev: tuple[NDArray[np.floating], NDArray[np.integer]] | None = None,
        classes: Sequence[str] | None = None,
    ) -> Self:
        """Minimise the weighted cross-entropy, then calibrate on ``dev``.

        Parameters
        ----------
        features
            (n, d) floats; rows with weight 0 may hold NaN.
        targets
            (n, K) floats, rows with weight sum to 1.
        weights
            (n,) floats, not negative; 1 where left out.
        dev
            Features (n_dev, d) and class ids (n_dev,) for the temperature alone.
        classes
            The K class names to remember.

        Raises
        ------
        DataError
            If shapes do not fit, no row has weight, or a weighted row is not finite.
        TrainingError
            If the loss is not finite.
        """
        weights = np.ones(len(targets)) if weights is None else np.asarray(weights, np.float64)
        if not len(features) == len(targets) == len(weights):
            raise DataError(
                f"features, targets and weights must have the same rows, but came with "
                f"{len(features)}, {len(targets)} and {len(weights)}"
            )
        used = weights > 0
        if not used.any():
            raise DataError(
                "training needs a row with weight above 0, but there is none; "
                "check that the LFs cover anything and that cleaning left something"
            )
        x = np.asarray(features[used], dtype=np.float32)
        if not np.isfinite(x).all():
            raise DataError(
                f"{int((~np.isfinite(x).all(axis=1)).sum())} weighted rows have NaN or infinite "
                "features; give them weight 0"
            )
        y = check_posterior(targets[used], targets.shape[1])
        w = weights[used]
        self.classes_ = tuple(classes or map(str, range(y.shape[1])))
        self.class_prior_ = np.average(y, axis=0, weights=w).astype(np.float32)
        self.mean_ = np.average(x, axis=0, weights=w).astype(np.float32)
        spread = np.sqrt(np.average((x - self.mean_) ** 2, axis=0, weights=w))
        self.scale_ = np.where(spread > 1e-6, spread, 1.0).astype(np.float32)
        self._minimise((x - self.mean_) / self.scale_, y, w.astype(np.float32))
        self.temperature_ = 1.0
        if dev is not None:
            self._calibrate(*dev)
        return self

    def _minimise(
        self, x: NDArray[np.float32], y: NDArray[np.float32], w: NDArray[np.float32]
    ) -> None:
        n_features, n_classes = x.shape[1], y.shape[1]
        total = float(w.sum())
        penalty = self.l2 / total

        def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            theta = flat.reshape(n_features + 1, n_classes)
            logits = x @ theta[:-1].astype(np.float32) + theta[-1].astype(np.float32)  # (n, K)
            log_p = log_softmax(logits, axis=1)
            value = -float(np.einsum("n,nk,nk->", w, y, log_p, dtype=np.float64)) / total
            slope = w[:, None] * (np.exp(log_p) - y) / total
            gradient = np.vstack([x.T @ slope, slope.sum(axis=0)]).astype(np.float64)
            gradient[:-1] += penalty * theta[:-1]
            return value + penalty / 2 * float((theta[:-1] ** 2).sum()), gradient.ravel()

        result = minimize(
            loss,
            np.zeros((n_features + 1) * n_classes),
            jac=True,
            method="L-BFGS-B",
            # looser than float64's defaults: the loss itself is computed in float32
            options={"maxiter": self.max_iter, "ftol": 1e-8, "gtol": 1e-6},
        )
        if not np.isfinite(result.fun):
            raise TrainingError(
                "the head's loss became NaN or infinite; look for huge values in the features"
            )
        theta = result.x.reshape(n_features + 1, n_classes).astype(np.float32)
        self.coef_, self.intercept_ = theta[:-1], theta[-1]

    def _calibrate(self, features: NDArray[np.floating], labels: NDArray[np.integer]) -> None:
        if len(labels) < MIN_DEV_ROWS:
            logger.warning(
                "%d dev rows are too few to calibrate on (%d needed); temperature stays 1",
                len(labels),
                MIN_DEV_ROWS,
            )
            return
        logits = self._logits(features).astype(np.float64)  # (n_dev, K)
        rows = np.arange(len(labels))

        def loss(log_temperature: float) -> float:
            log_p = log_softmax(logits / np.exp(log_temperature), axis=1)
            return -float(log_p[rows, labels].mean())

        best = minimize_scalar(loss, bounds=tuple(np.log(TEMPERATURES)), method="bounded")
        self.temperature_ = float(np.exp(best.x))

    def _logits(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        if features.ndim != 2 or features.shape[1] != len(self.mean_):
            raise DataError(
                f"this head was trained on {len(self.mean_)} features an item, but came with shape "
                f"{features.shape}; embed the items with the encoder that the head belongs to"
            )
        x = (np.asarray(features, dtype=np.float32) - self.mean_) / self.scale_
        return (x @ self.coef_ + self.intercept_).astype(np.float32)

    def predict_proba(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return calibrated probabilities (n, K) float32; the class prior without features.

        Raises
        ------
        DataError
            If the rows have another width than in training.
        """
        finite = np.isfinite(features).all(axis=1)
        proba = np.tile(self.class_prior_, (len(features), 1))
        logits = self._logits(features[finite]).astype(np.float64)
        proba[finite] = softmax(logits / self.temperature_, axis=1)
        return proba

    def save(self, folder: Path) -> None:
        """Write ``head.safetensors`` and ``head.json`` into ``folder``."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {"coef": self.coef_, "intercept": self.intercept_}
        save_file(
            {k: np.ascontiguousarray(v) for k, v in arrays.items()}, folder / "head.safetensors"
        )
        about = {
            "classes": list(self.classes_),
            "d": len(self.mean_),
            "temperature": self.temperature_,
            "mean": self.mean_.tolist(),
            "scale": self.scale_.tolist(),
            "class_prior": self.class_prior_.tolist(),
            "l2": self.l2,
            "max_iter": self.max_iter,
        }
        (folder / "head.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``save`` wrote.

        Raises
        ------
        ArtifactError
            If a file is missing or damaged.
        """
        try:
            about = json.loads((folder / "head.json").read_text(encoding="utf-8"))
            arrays = load_file(folder / "head.safetensors")
            head = cls(l2=about["l2"], max_iter=about["max_iter"])
            head.coef_, head.intercept_ = arrays["coef"], arrays["intercept"]
            head.mean_ = np.asarray(about["mean"], dtype=np.float32)
            head.scale_ = np.asarray(about["scale"], dtype=np.float32)
            head.class_prior_ = np.asarray(about["class_prior"], dtype=np.float32)
            head.temperature_ = float(about["temperature"])
            head.classes_ = tuple(about["classes"])
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise ArtifactError(
                f"a trained head is head.safetensors and head.json in {folder}, but reading "
                f"failed: {error!r}; run the train stage again"
            ) from error
        if head.coef_.shape != (about["d"], len(head.classes_)):
            raise ArtifactError(
                f"head.json speaks of {about['d']} features and {len(head.classes_)} classes, but "
                f"head.safetensors holds {head.coef_.shape}; run the train stage again"
            )
        return head

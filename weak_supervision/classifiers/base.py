"""What every classifier on features does: fit, calibrate, predict, save, load.

Try it: ``load_head(Path("head")).predict_proba(features)``.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy.special import softmax

from weak_supervision.classifiers.balance import balanced_weights
from weak_supervision.classifiers.temperature import fit_temperature
from weak_supervision.scaling import scale_about
from weaklight.contracts import check_posterior
from weaklight.errors import ArtifactError, ConfigError, DataError
from weaklight.words import nearest

if TYPE_CHECKING:
    from torch import nn

__all__ = ["BALANCES", "HEAD_FILES", "Head"]

BALANCES = ("none", "classes")
HEAD_FILES = ("head.safetensors", "head.json")
Dev = tuple[NDArray[np.floating], NDArray[np.integer]]


class Head(ABC):
    """A classifier on features that learns from soft, weighted labels.

    A subclass says how it learns and what it has learnt; standardising, class balance, calibration
    and files are here.

    Attributes
    ----------
    mean_, scale_
        (d,) float32 of the training rows.
    class_prior_
        (K,) float32 weighted mean of the targets: the answer for rows without finite features.
    temperature_
        Divides the logits; 1 unless ``fit`` was given at least 20 dev rows.
    classes_
        (K,) class names, or class ids as text.
    """

    kind: ClassVar[str]
    settings: ClassVar[tuple[str, ...]]  # the arguments of __init__ that belong into head.json

    balance: str
    mean_: NDArray[np.float32]
    scale_: NDArray[np.float32]
    class_prior_: NDArray[np.float32]
    temperature_: float
    classes_: tuple[str, ...]

    @abstractmethod
    def _learn(
        self,
        x: NDArray[np.float32],
        y: NDArray[np.float32],
        w: NDArray[np.float64],
        trusted: NDArray[np.bool_],
        dev: Dev | None,
    ) -> None:
        """Learn from standardised features (n, d), targets (n, K) and weights (n,) above 0.

        ``trusted`` (n,) bool are rows whose targets nothing may doubt.
        """

    @abstractmethod
    def _logits(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return logits or log-probabilities (n, K) of standardised features (n, d)."""

    @abstractmethod
    def _arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return what was learnt, by name."""

    @abstractmethod
    def _restore(self, arrays: Mapping[str, NDArray[np.float32]]) -> None:
        """Take back what ``_arrays`` returned; a KeyError or ValueError says that it is not it."""

    @abstractmethod
    def networks(self) -> list[nn.Module]:
        """Return the networks from standardised features to logits whose mean predicts."""

    @property
    def n_features_in_(self) -> int:
        """The width d of the features."""
        return len(self.mean_)

    def fit(
        self,
        features: NDArray[np.floating],
        targets: NDArray[np.generic],
        weights: NDArray[np.floating] | None = None,
        *,
        trusted: NDArray[np.bool_] | None = None,
        dev: Dev | None = None,
        classes: Sequence[str] | None = None,
    ) -> Self:
        """Learn, then calibrate on ``dev``.

        Parameters
        ----------
        features
            (n, d) floats; rows with weight 0 may hold NaN.
        targets
            (n, K) floats, rows with weight sum to 1; or (n,) class ids.
        weights
            (n,) floats, not negative; 1 where left out.
        trusted
            (n,) bool: rows whose labels are known to be right; heads that doubt labels do not doubt
            these. None of them where left out.
        dev
            Features (n_dev, d) and class ids (n_dev,) for the temperature, and for early stopping
            where that is asked for. They are never learnt from.
        classes
            The K class names to remember.

        Raises
        ------
        ConfigError
            If a setting is unknown.
        DataError
            If shapes do not fit, no row has weight, or a weighted row is not finite.
        TrainingError
            If the loss is not finite.
        """
        if self.balance not in BALANCES:
            near = nearest(self.balance, BALANCES)
            raise ConfigError(f"balance must be one of {BALANCES}, but is {self.balance!r}{near}")
        soft = _soft(targets, classes)
        w = np.ones(len(soft)) if weights is None else np.asarray(weights, np.float64)
        known = np.zeros(len(soft), bool) if trusted is None else np.asarray(trusted, bool)
        if not len(features) == len(soft) == len(w) == len(known):
            raise DataError(
                "features, targets, weights and trusted must have the same rows, but came with "
                f"{len(features)}, {len(soft)}, {len(w)} and {len(known)}"
            )
        used = w > 0
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
        y = check_posterior(soft[used], soft.shape[1])
        w = w[used]
        self.classes_ = tuple(classes or map(str, range(y.shape[1])))
        self.class_prior_ = np.average(y, axis=0, weights=w).astype(np.float32)
        if self.balance == "classes":
            w = balanced_weights(y, w)
        self.mean_ = np.average(x, axis=0, weights=w).astype(np.float32)
        self.scale_ = scale_about(self.mean_, x, w).astype(np.float32)
        self.temperature_ = 1.0
        held_out = None if dev is None else (self._standardised(dev[0]), dev[1])
        self._learn(self._standardised(x), y, w, known[used], held_out)
        if dev is not None:
            self.calibrate(*dev)
        return self

    def calibrate(self, features: NDArray[np.floating], labels: NDArray[np.integer]) -> None:
        """Set the temperature by rows that were not trained on: (n, d) floats, (n,) class ids."""
        self.temperature_ = fit_temperature(self._logits(self._standardised(features)), labels)

    def predict_proba(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return calibrated probabilities (n, K) float32; the class prior without features.

        Raises
        ------
        DataError
            If the rows have another width than in training.
        """
        finite = np.isfinite(features).all(axis=1)
        x = self._standardised(features[finite])
        proba = np.tile(self.class_prior_, (len(features), 1))
        proba[finite] = softmax(self._logits(x).astype(np.float64) / self.temperature_, axis=1)
        return proba

    def predict(self, features: NDArray[np.floating]) -> NDArray[np.int64]:
        """Return the likeliest class ids (n,)."""
        return np.asarray(self.predict_proba(features).argmax(axis=1), dtype=np.int64)

    def _standardised(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        if features.ndim != 2 or features.shape[1] != self.n_features_in_:
            raise DataError(
                f"this head was trained on {self.n_features_in_} features an item, but came with "
                f"shape {features.shape}; embed the items with the encoder that the head belongs to"
            )
        x: NDArray[np.float32] = (np.asarray(features, np.float32) - self.mean_) / self.scale_
        return x

    def save(self, folder: Path) -> None:
        """Write ``head.safetensors`` and ``head.json`` into ``folder``."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {name: np.ascontiguousarray(array) for name, array in self._arrays().items()}
        save_file(arrays, folder / "head.safetensors")
        about = {
            "kind": self.kind,
            "classes": list(self.classes_),
            "d": self.n_features_in_,
            "temperature": self.temperature_,
            "mean": self.mean_.tolist(),
            "scale": self.scale_.tolist(),
            "class_prior": self.class_prior_.tolist(),
            **{name: getattr(self, name) for name in self.settings},
        }
        (folder / "head.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``save`` wrote.

        Raises
        ------
        ArtifactError
            If a file is missing or damaged, or holds another kind of head.
        """
        try:
            about = read_about(folder)
            head = cls(**{name: about[name] for name in cls.settings if name in about})
            head.mean_ = np.asarray(about["mean"], dtype=np.float32)
            head.scale_ = np.asarray(about["scale"], dtype=np.float32)
            head.class_prior_ = np.asarray(about["class_prior"], dtype=np.float32)
            head.temperature_ = float(about["temperature"])
            head.classes_ = tuple(about["classes"])
            if not len(head.mean_) == len(head.scale_) == about["d"]:
                raise ValueError(
                    f"head.json speaks of {about['d']} features, but holds {len(head.mean_)} means"
                )
            head._restore(load_file(folder / "head.safetensors"))
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise ArtifactError(
                f"a trained head is {' and '.join(HEAD_FILES)} in {folder}, but reading failed: "
                f"{error!r}; run the train stage again"
            ) from error
        return head


def read_about(folder: Path) -> dict[str, Any]:
    """Return what ``head.json`` says; heads from before there were several kinds are linear."""
    about: dict[str, Any] = json.loads((folder / "head.json").read_text(encoding="utf-8"))
    return {"kind": "linear", **about}


def _soft(targets: NDArray[Any], classes: Sequence[str] | None) -> NDArray[np.floating]:
    if targets.ndim == 2:
        return targets
    labels = targets.astype(np.int64)
    if len(labels) == 0 or labels.min() < 0:
        raise DataError("class ids must be 0 or more; leave out rows without a label")
    n_classes = int(labels.max()) + 1 if classes is None else len(classes)
    if labels.max() >= n_classes:
        raise DataError(f"class ids must be below {n_classes}, but go up to {labels.max()}")
    return np.eye(n_classes, dtype=np.float32)[labels]

"""Encoders that learn nothing but scales: of log-mel statistics, summaries of series, or values.

Try it: ``StatisticsEncoder("log_mel", sample_rate=8000).fit(clips).encode(clips)``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from ssl_models.audio.logmel import log_mel_statistics
from ssl_models.checkpoints import write_json, write_tensors
from ssl_models.series import summary_statistics
from weaklight.errors import ArtifactError, ConfigError, DataError
from weaklight.words import nearest

__all__ = ["STATISTICS", "StatisticsEncoder"]

STATISTICS = ("log_mel", "summary", "values")


class StatisticsEncoder:
    """Plain statistics, each scaled to mean 0 and deviation 1 over the items it was fitted on.

    Parameters
    ----------
    name
        ``log_mel`` for clips, each (T,) int16; ``summary`` for series, each (T, C) float32, or
        ``values``, the T C numbers as they are, where all series are of one length.
    sample_rate
        Of the clips, in hertz.

    Attributes
    ----------
    mean_, scale_ : (dim,) float32
    """

    def __init__(self, name: str, *, sample_rate: int = 0) -> None:
        if name not in STATISTICS:
            near = nearest(name, STATISTICS)
            raise ConfigError(f"statistics must be one of {STATISTICS}, but are {name!r}{near}")
        self.name = name
        self.sample_rate = sample_rate

    def fit(self, signals: Sequence[NDArray[Any]]) -> Self:
        """Learn the scales; a statistic that never changes is left as it is."""
        values = self._values(signals)
        self.mean_ = values.mean(axis=0)
        scale = values.std(axis=0)
        self.scale_ = np.where(scale > 0, scale, 1).astype(np.float32)
        return self

    def encode(self, signals: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
        """Return (n, dim) float32."""
        return np.asarray((self._values(signals) - self.mean_) / self.scale_, np.float32)

    def save(self, folder: Path) -> None:
        """Write ``encoder.json`` and ``encoder.safetensors``."""
        folder.mkdir(parents=True, exist_ok=True)
        description = {"backbone": self.name, "dim": len(self.mean_)}
        write_json(folder / "encoder.json", {**description, "sample_rate": self.sample_rate})
        tensors = {"mean": torch.from_numpy(self.mean_), "scale": torch.from_numpy(self.scale_)}
        write_tensors(folder / "encoder.safetensors", tensors)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return what :meth:`save` wrote.

        Raises
        ------
        ArtifactError
            If a file is missing or damaged.
        """
        try:
            description = json.loads((folder / "encoder.json").read_bytes())
            encoder = cls(description["backbone"], sample_rate=description["sample_rate"])
            tensors = load_file(folder / "encoder.safetensors")
            encoder.mean_, encoder.scale_ = (tensors[k].numpy() for k in ("mean", "scale"))
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise ArtifactError(
                f"{folder} holds no readable scales ({type(error).__name__}: {error}); run the "
                "pretrain stage again"
            ) from error
        return encoder

    def describe(self) -> str:
        """Return one sentence on what was learnt from what."""
        what = {
            "log_mel": "statistics of log-mel bands",
            "summary": "statistics of level, shape and rhythm",
            "values": "values as they are",
        }[self.name]
        return (
            f"{len(self.mean_)} {what}, scaled over the unlabelled items; nothing else was learnt."
        )

    def _values(self, signals: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
        if self.name == "log_mel":
            return log_mel_statistics(signals, sample_rate=self.sample_rate)
        if self.name == "values":
            lengths = {one.shape for one in signals}
            if len(lengths) > 1:
                raise DataError(
                    f"values need series of one length, but came {len(lengths)} lengths from "
                    f"{min(lengths)[0]} to {max(lengths)[0]} steps; take summary"
                )
            return np.array([one.ravel() for one in signals], np.float32)
        return summary_statistics(signals)

"""Settings of a pretraining run, each default with its reason."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ssl_models.augment import AugmentConfig
from weaklight.errors import ConfigError
from weaklight.words import nearest

__all__ = ["TrainConfig"]


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that decides the bytes of an encoder, beside the pixels.

    :func:`ssl_models.suggest_settings` fills it by the data; the defaults suit a few thousand
    small images on CPU.
    """

    method: str = "simclr"
    method_options: Mapping[str, Any] = field(default_factory=dict)
    backbone: str = "compact"
    width: int = 32
    init: str | None = None  # weights to start from: a file, torchvision:NAME or timm:NAME
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    epochs: int = 20  # never derived from a clock: equal settings give equal bytes
    steps: int | None = None  # overrides epochs
    batch_size: int = 64  # of one optimiser step, over all processes and micro-batches
    accumulate: int = 1  # micro-batches a step; contrastive losses see one micro-batch at a time
    lr: float = 3e-3
    weight_decay: float = 1e-4  # weights only, not biases or batch norm
    weight_decay_end: float | None = None  # reached along a cosine, as DINO does; None: constant
    warmup: float = 0.1  # share of the steps
    clip_grad: float = 0.0  # longest gradient of each weight tensor, DINO's 3; 0 clips nothing
    seed: int = 0
    device: str = "auto"  # auto, cpu, cuda
    precision: str = "auto"  # auto, bf16, fp32
    # CPU threads of each process, 0 leaves torch's setting. Two are 1.6 times as fast as one on two
    # idle cores and many times slower on busy ones, where every operation waits for the slower
    # thread; with one the bytes are those of any machine of this kind, however many cores it has.
    threads: int = 1
    log_every: int = 10
    checkpoint_every: int = 50  # steps; a kill costs at most so many, Ctrl-C none

    def __post_init__(self) -> None:
        if isinstance(self.augment, Mapping):
            object.__setattr__(self, "augment", AugmentConfig(**self.augment))
        for name in ("epochs", "batch_size", "accumulate", "log_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, but is {getattr(self, name)}")
        if self.threads < 0:
            raise ConfigError(f"threads must be 0 or more, but is {self.threads}")
        if self.steps is not None and self.steps < 1:
            raise ConfigError(f"steps must be at least 1 or left out, but is {self.steps}")
        if self.lr <= 0 or not 0 <= self.warmup < 1:
            raise ConfigError(
                f"lr must be > 0 and warmup a share in 0..1, but are {self.lr} and {self.warmup}"
            )
        for name in ("weight_decay", "weight_decay_end", "clip_grad"):
            if (getattr(self, name) or 0) < 0:
                raise ConfigError(f"{name} must be >= 0, but is {getattr(self, name)}")
        for name, allowed in (
            ("device", ("auto", "cpu", "cuda")),
            ("precision", ("auto", "bf16", "fp32")),
        ):
            if getattr(self, name) not in allowed:
                near = nearest(str(getattr(self, name)), allowed)
                raise ConfigError(
                    f"{name} must be one of {allowed}, but is {getattr(self, name)}{near}"
                )

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain JSON values."""
        plain = {**asdict(self), "method_options": dict(self.method_options)}
        return dict(json.loads(json.dumps(plain)))  # tuples become lists, as on disk

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> TrainConfig:
        """Return the config that :meth:`as_dict` described.

        Raises
        ------
        ConfigError
            If a key is unknown.
        """
        unknown = sorted(set(settings) - {f.name for f in fields(cls)})
        if unknown:
            raise ConfigError(f"pretrain settings hold unknown keys {unknown}; remove them")
        return cls(**settings)

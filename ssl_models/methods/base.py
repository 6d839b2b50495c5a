"""What a method is: heads, a loss and how it draws views. The trainer does everything else.

A new method is one file: subclass :class:`Method`, decorate it with ``@register_method("name")``
and import it in ``methods/__init__.py``.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from ssl_models.augment import AugmentConfig
from ssl_models.backbones import Backbone
from weaklight.errors import ConfigError

__all__ = ["METHODS", "Method", "build_method", "register_method"]

METHODS: dict[str, type[Method]] = {}

Category = Literal["reconstructive", "predictive", "contrastive", "self-distillation"]


class Method(nn.Module, ABC):
    """A self-supervised method round an encoder.

    Attributes
    ----------
    encoder
        The backbone being trained; the only part that outlives training.
    rows
        (B,) int64: which images of the data set the current batch holds; set by the trainer.
    category, principle, cost, when
        The line this method gets in ``weaklight methods``.
    settings
        Fields of ``TrainConfig`` that this method needs other than most do, for small data.
    """

    category: ClassVar[Category]
    principle: ClassVar[str]
    cost: ClassVar[str]
    when: ClassVar[str]
    settings: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    rows: Tensor

    def __init__(self, encoder: Backbone, augment: AugmentConfig) -> None:
        super().__init__()
        self.encoder = encoder

    def begin(self, n_images: int) -> None:
        """Prepare for a run over ``n_images`` images, for instance make room for a bank."""

    @abstractmethod
    def views(self, images: Tensor, generator: torch.Generator) -> Any:
        """Return what :meth:`step` needs, drawn from (B, C, H, W) uint8 images."""

    @abstractmethod
    def step(self, views: Any) -> tuple[Tensor, Tensor]:
        """Return the loss (scalar, fp32) and the embeddings that the monitor reads.

        The embeddings are (V B, d): V views of the B images, all first views, then all second.
        """

    def signals(self) -> dict[str, Tensor]:
        """Return scalars of the last step by name, for the history: terms of a loss and the like.

        Asked for when a step is logged: what costs time belongs here, not in :meth:`step`.
        """
        return {}

    def after_step(self, step: int, total_steps: int) -> None:
        """Follow an optimiser step: move a teacher, turn a queue. Once a step, not a micro-batch.

        Parameters
        ----------
        step
            Optimiser steps done, from 1.
        total_steps
            Steps of the whole run, for schedules.
        """

    def forward(self, views: Any) -> tuple[Tensor, Tensor]:
        """Run :meth:`step`; the door through which DistributedDataParallel comes in."""
        return self.step(views)


def register_method(name: str) -> Callable[[type[Method]], type[Method]]:
    """Register a method class under ``name``."""

    def decorate(cls: type[Method]) -> type[Method]:
        if name in METHODS:
            raise ConfigError(f"a method named {name!r} is registered already; pick another name")
        METHODS[name] = cls
        return cls

    return decorate


def build_method(
    name: str, encoder: Backbone, augment: AugmentConfig, options: Mapping[str, Any]
) -> Method:
    """Return the method ``name`` round ``encoder``.

    Raises
    ------
    ConfigError
        If the name or an option is unknown.
    """
    if name not in METHODS:
        raise ConfigError(f"method must be one of {sorted(METHODS)}, but is {name!r}")
    known = set(inspect.signature(METHODS[name]).parameters) - {"encoder", "augment"}
    if unknown := sorted(set(options) - known):
        raise ConfigError(f"method {name!r} takes {sorted(known)}, but {unknown} came; remove them")
    return METHODS[name](encoder, augment, **options)

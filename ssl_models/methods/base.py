"""What a method is: heads, a loss and how it draws views. The trainer does everything else.

:class:`Objective` is all that the trainer asks for; :class:`Method` is one on images, by a name.

A new method is one file: subclass :class:`Method`, decorate it with ``@register_method("name")``
and import it in ``methods/__init__.py``.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple, get_type_hints

import torch
from torch import Tensor, nn

from ssl_models.augment import AugmentConfig
from ssl_models.backbones import Backbone
from ssl_models.monitor import spread
from weaklight.errors import ConfigError
from weaklight.words import nearest

__all__ = [
    "METHODS",
    "Method",
    "MethodOption",
    "Objective",
    "build_method",
    "method_options",
    "options_of",
    "register_method",
]

METHODS: dict[str, type[Method]] = {}

Category = Literal["reconstructive", "predictive", "contrastive", "self-distillation"]


class Objective(nn.Module, ABC):
    """What is minimised on a batch of anything, and the hooks round an optimiser step.

    Attributes
    ----------
    encoder
        What is being trained; the only part that outlives training.
    rows
        (B,) int64: which rows of the data set the current batch holds; set by the trainer.
    projections
        (B, P) of the last step, kept by methods whose loss does not push them apart: where they no
        longer spread, training has collapsed.
    """

    encoder: nn.Module
    rows: Tensor
    projections: Tensor | None = None

    def begin(self, n_rows: int) -> None:
        """Prepare for a run over ``n_rows`` rows, for instance make room for a bank."""

    @abstractmethod
    def views(self, batch: Any, generator: torch.Generator) -> Any:
        """Return what :meth:`step` needs, drawn from a batch."""

    @abstractmethod
    def step(self, views: Any) -> tuple[Tensor, Tensor]:
        """Return the loss (scalar, fp32) and the embeddings that the monitor reads.

        The embeddings are (V B, d): V views of the B rows, all first views, then all second.
        """

    def signals(self) -> dict[str, Tensor]:
        """Return scalars of the last step by name, for the history: terms of a loss and the like.

        Asked for when a step is logged: what costs time belongs here, not in :meth:`step`.
        """
        return {} if self.projections is None else {"projection_std": spread(self.projections)}

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


class Method(Objective):
    """A self-supervised method round an encoder of images.

    Attributes
    ----------
    encoder
        The backbone being trained.
    category, principle, cost, when
        The line this method gets in ``weaklight methods``.
    settings
        Fields of ``TrainConfig`` that this method needs other than most do, for small data.
    transformer_settings
        The same where the backbone is one of our vision transformers, on top of ``settings``.
    sees_whole_images
        Whether the encoder learns from inputs like those it meets in use. Where it learns from
        parts alone, its batch norms are estimated on whole images before it is written.
    """

    category: ClassVar[Category]
    principle: ClassVar[str]
    cost: ClassVar[str]
    when: ClassVar[str]
    settings: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    transformer_settings: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    sees_whole_images: ClassVar[bool] = True
    encoder: Backbone

    def __init__(self, encoder: Backbone, augment: AugmentConfig) -> None:
        super().__init__()
        self.encoder = encoder

    @abstractmethod
    def views(self, images: Tensor, generator: torch.Generator) -> Any:
        """Return what :meth:`step` needs, drawn from (B, C, H, W) uint8 images."""


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
    known = method_options(name)
    if unknown := sorted(set(options) - set(known)):
        what_to_do = nearest(unknown[0], known) or "; remove them"
        raise ConfigError(f"method {name!r} takes {sorted(known)}, but {unknown} came{what_to_do}")
    return METHODS[name](encoder, augment, **options)


class MethodOption(NamedTuple):
    """What an option of a method takes, and what it is where nobody says so."""

    type: Any
    default: Any


def method_options(name: str) -> dict[str, MethodOption]:
    """Return the options of the method ``name``: the keyword arguments of its class.

    Raises
    ------
    ConfigError
        If the name is unknown.
    """
    if name not in METHODS:
        near = nearest(name.lower(), METHODS)
        raise ConfigError(f"method must be one of {sorted(METHODS)}, but is {name!r}{near}")
    return options_of(METHODS[name])


def options_of(objective: type[Objective]) -> dict[str, MethodOption]:
    """Return the keyword arguments of a class, its parents' where it passes them on."""
    options: dict[str, MethodOption] = {}
    for parent in objective.__mro__:
        if "__init__" not in vars(parent):
            continue
        parameters = inspect.signature(parent).parameters.values()
        types = get_type_hints(vars(parent)["__init__"])
        own = (p for p in parameters if p.kind is p.KEYWORD_ONLY)
        options = {p.name: MethodOption(types[p.name], p.default) for p in own} | options
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):  # **options are the parent's
            break
    return options

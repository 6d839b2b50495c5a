"""What every text encoder can do, and how one lies on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from ssl_models.checkpoints import write_json, write_tensors
from weaklight.errors import ArtifactError, DataError

__all__ = ["TextEncoder", "check_texts", "read_files", "write_files"]


class TextEncoder(Protocol):
    """Turns texts into features; what a text's features are depends on that text alone.

    Attributes
    ----------
    name : the key under which :data:`~ssl_models.text.load.TEXT_ENCODERS` holds the class
    """

    name: str

    @property
    def dim(self) -> int:
        """Length of a feature vector, known after ``fit``."""

    def fit(self, texts: Sequence[str]) -> Self:
        """Learn from texts without labels; return the encoder."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, dim) float32, not normalised; zeros where no word is known."""

    def save(self, folder: Path) -> None:
        """Write ``encoder.json`` and, where there are weights, ``encoder.safetensors``."""

    def describe(self) -> str:
        """Return one sentence on what was learnt from what."""


def check_texts(texts: Sequence[str], least: int = 1) -> None:
    """Say what is wrong with ``texts``, if anything.

    Raises
    ------
    DataError
        If there are fewer than ``least``, or one is no string.
    """
    if isinstance(texts, str) or len(texts) < least:
        raise DataError(
            f"expected a list of at least {least} texts, but came "
            f"{type(texts).__name__ if isinstance(texts, str) else len(texts)}; "
            "give more texts, or a list of them"
        )
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(
                f"each text must be a string, but text {number} is {type(text).__name__}; "
                "leave missing texts out"
            )


def write_files(
    folder: Path, description: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Write ``encoder.json`` and ``encoder.safetensors``."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "encoder.json", description)
    tensors = {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in arrays.items()}
    write_tensors(folder / "encoder.safetensors", tensors)


def read_files(folder: Path, *names: str) -> tuple[dict[str, Any], list[NDArray[np.float32]]]:
    """Return the description and the named arrays of an encoder.

    Raises
    ------
    ArtifactError
        If a file is missing or damaged, or an array is not in it.
    """
    try:
        description: dict[str, Any] = json.loads((folder / "encoder.json").read_bytes())
        tensors = load_file(folder / "encoder.safetensors")
        return description, [tensors[name].numpy() for name in names]
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise ArtifactError(
            f"{folder} holds no readable text encoder ({type(error).__name__}: {error}); run the "
            "pretrain stage again"
        ) from error

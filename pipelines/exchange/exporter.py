"""What a format of exports is, and the extra that some need."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from pipelines.exchange.labels import WeakLabels
from weaklight.errors import ConfigError

__all__ = ["Exporter", "optional"]


@dataclass(frozen=True)
class Exporter:
    """One format.

    Attributes
    ----------
    write : fills an empty folder
    load : Python that reads the export back, run inside its folder; shown in the data card, with
        what the source calls its columns in place of ``{item_id}`` and ``{text}``
    """

    write: Callable[[WeakLabels, Path], None]
    load: str


def optional(package: str) -> ModuleType:
    """Import a package of the extra ``exchange``.

    Raises
    ------
    ConfigError
        If it is not installed, with the line that installs it.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError:
        raise ConfigError(
            f'this needs {package}; install it with: pip install "weaklight[exchange]"'
        ) from None

"""One hierarchy of errors. Each message says what was expected, what came and what to do.

::

    WeaklightError
    |-- ConfigError      weaklight.toml or a command-line option is wrong (exit code 2)
    |-- DataError        items, votes, gold, bags or features break their contract
    |-- LabelingError    an LF file cannot be loaded or an LF is declared wrongly
    |-- TrainingError    training cannot go on: NaN loss, collapse, checkpoint mismatch
    |-- ArtifactError    an artifact is missing, damaged or of another version
    |-- ProjectBusyError another run holds the project's lock
    `-- StorageError     the disk is full or cannot be written
"""

from __future__ import annotations

__all__ = [
    "ArtifactError",
    "ConfigError",
    "DataError",
    "LabelingError",
    "ProjectBusyError",
    "StorageError",
    "TrainingError",
    "WeaklightError",
]


class WeaklightError(Exception):
    """Root of every error that Weaklight raises on purpose; the command line shows it plainly."""

    exit_code = 1


class ConfigError(WeaklightError):
    """Raised when ``weaklight.toml`` or an option is wrong; nothing has run yet."""

    exit_code = 2


class DataError(WeaklightError):
    """Raised when data handed in break the contract of their kind."""


class LabelingError(WeaklightError):
    """Raised when an LF file cannot be loaded or an LF is declared wrongly."""


class TrainingError(WeaklightError):
    """Raised when training cannot go on or a checkpoint does not fit the model."""


class ArtifactError(WeaklightError):
    """Raised when a stored artifact is missing, damaged or written by another version."""


class ProjectBusyError(WeaklightError):
    """Raised when another process holds the project's lock."""


class StorageError(WeaklightError):
    """Raised when the disk is full or cannot be written; no half-written artifact remains."""

"""Folders that appear whole or not at all: what an export or an import makes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.store import explain_disk_errors
from weaklight.errors import ConfigError

__all__ = ["new_folder"]


@contextmanager
def new_folder(final: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``final`` to fill; it takes that name once the block is done.

    Raises
    ------
    ConfigError
        If ``final`` exists and is not an empty folder; nothing is ever overwritten.
    StorageError
        If the disk is full or cannot be written.
    """
    final = final.absolute()
    if final.exists() and not (final.is_dir() and not any(final.iterdir())):
        raise ConfigError(
            f"{final} exists already and is not overwritten; choose another folder with --to"
        )
    temporary = final.with_name(f".{final.name}.{os.getpid()}.tmp")
    with explain_disk_errors(final):
        temporary.mkdir(parents=True)
        try:
            yield temporary
            os.rename(temporary, final)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

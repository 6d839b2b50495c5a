"""A small table of garments and a way to write LF files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pandas as pd
import pytest

HEADER = "from labeling_functions import ABSTAIN, labeling_function, prototype\n"


@pytest.fixture
def lfs_folder(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes ``name=text`` files to an ``lfs`` folder."""
    folder = tmp_path / "project" / "lfs"

    def write(**files: str) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for stem, text in files.items():
            (folder / f"{stem}.py").write_text(HEADER + dedent(text))
        return folder

    return write


@pytest.fixture
def garments() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "item_id": ["a", "b", "c", "d", "e", "f"],
            "aspect": [2.0, 1.9, 1.0, 0.5, 0.4, float("nan")],
            "gap": [0.5, 0.1, 0.0, 0.0, 0.6, 0.9],
            "note": ["jeans", "dress", None, "boot", "sandal", "jeans"],
            "leg count": [2, 0, 0, 1, 1, 2],
        }
    )

"""Finished runs over texts and over images."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.queries import RunView
from tests.pipelines.exchange.stored import write_run


@pytest.fixture
def texts(tmp_path: Path) -> RunView:
    return write_run(tmp_path / "texts", "text")


@pytest.fixture
def images(tmp_path: Path) -> RunView:
    return write_run(tmp_path / "images", "image")

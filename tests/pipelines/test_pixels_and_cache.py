from pathlib import Path

import numpy as np
import pytest

from pipelines import pixels as pixels_module
from pipelines.item_cache import cached_rows
from pipelines.pixels import load_pixels, write_pixels


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "artifacts" / "ingest" / "d"
    folder.mkdir(parents=True)
    return folder / "pixels.json"


def test_pixels_come_back_across_shards(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels_module, "SHARD_ROWS", 4)
    images = np.random.default_rng(0).integers(0, 256, (10, 3, 2, 1), dtype=np.uint8)
    write_pixels(images, file)
    opened = load_pixels(file)
    assert opened.shape == images.shape
    assert np.array_equal(np.asarray(opened), images)
    assert np.array_equal(opened[[9, 0, 5]], images[[9, 0, 5]])
    assert np.array_equal(opened[3:6], images[3:6])
    assert np.array_equal(opened[-1], images[-1])


def test_a_grown_set_shares_its_full_shards(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels_module, "SHARD_ROWS", 4)
    images = np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1)
    write_pixels(images[:8], file)
    shards = file.parents[3] / "shards"
    first = {p.name: p.stat().st_mtime_ns for p in shards.iterdir()}
    write_pixels(images, file)
    after = {p.name: p.stat().st_mtime_ns for p in shards.iterdir()}
    assert first.items() <= after.items()
    assert len(after) == 3


def test_only_missing_rows_are_computed(tmp_path: Path) -> None:
    asked: list[list[int]] = []

    def compute(rows: np.ndarray) -> np.ndarray:
        asked.append(rows.tolist())
        return rows[:, None] * np.ones((1, 2))

    first = cached_rows(tmp_path, np.array(["a", "b", "a"]), compute)
    assert asked == [[0, 1]]  # equal content is computed once
    assert first.tolist() == [[0, 0], [1, 1], [0, 0]]
    second = cached_rows(tmp_path, np.array(["b", "c", "a"]), compute)
    assert asked == [[0, 1], [1]]
    assert second.tolist() == [[1, 1], [1, 1], [0, 0]]


def test_a_damaged_chunk_is_computed_again(tmp_path: Path) -> None:
    keys = np.array(["a", "b"])
    cached_rows(tmp_path, keys, lambda rows: rows[:, None].astype(float))
    (chunk,) = tmp_path.glob("*.npz")
    chunk.write_bytes(chunk.read_bytes()[:40])
    again = cached_rows(tmp_path, keys, lambda rows: rows[:, None] + 5.0)
    assert again.tolist() == [[5.0], [6.0]]

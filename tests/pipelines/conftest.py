"""A small real project: drawn shapes as PNG files, a settings file and two LF files."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

SIDE = 16
CLASSES = ("tall", "wide", "round")


def draw(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Return a (16, 16) uint8 picture of one of three shapes on black, grainy inside."""
    picture = np.zeros((SIDE, SIDE), dtype=np.float64)
    a, b = int(rng.integers(6, 8)), int(rng.integers(2, 4))
    cy, cx = (int(v) for v in rng.integers(7, 9, size=2))
    if kind == "tall":
        picture[cy - a : cy + a, cx - b : cx + b] = 200
    elif kind == "wide":
        picture[cy - b : cy + b, cx - a : cx + a] = 200
    else:
        y, x = np.mgrid[:SIDE, :SIDE]
        picture[(y - cy) ** 2 + (x - cx) ** 2 <= (a - 2) ** 2] = 200
    picture += (picture > 0) * rng.normal(0, 12, size=picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8)


def png(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()


def shapes(
    n_unlabeled: int = 120, n_dev: int = 30, n_test: int = 45, seed: int = 0
) -> pd.DataFrame:
    """A source table: images, splits, gold for dev and test, bags of "tall" for the rest."""
    rng = np.random.default_rng(seed)
    rows = []
    for split, n in (("unlabeled", n_unlabeled), ("dev", n_dev), ("test", n_test)):
        for _ in range(n):
            kind = CLASSES[rng.integers(3)]
            rows.append(
                {
                    "item_id": f"i{len(rows):04d}",
                    "image": png(draw(kind, rng)),
                    "split": split,
                    "gold": kind if split != "unlabeled" else None,
                    "kind": kind,
                }
            )
    table = pd.DataFrame(rows)
    bag = np.arange(len(table)) // 4
    in_bag = (table["split"] == "unlabeled") & (bag < n_unlabeled // 8)
    table["bag_id"] = [f"b{b}" if i else None for b, i in zip(bag, in_bag, strict=True)]
    tall = table["kind"].eq("tall").groupby(bag).transform("any")
    table["bag_label"] = tall.astype("Int64").where(in_bag)
    return table.drop(columns="kind")


# One thread: two that wait for each other over tiny arrays make a loaded machine crawl.
SETTINGS = """
classes = ["tall", "wide", "round"]
threads = 1

[class_sets]
long = ["tall", "wide"]

[items]
source = "items.parquet"

[pretrain]
steps = 6
batch_size = 32
checkpoint_every = 2

[embed]
neighbors = 5

[bags]
positive = "tall"
folds = 3

[evaluate]
crossover_sizes = [10, 20]
crossover_draws = 2
"""

LFS = '''
from labeling_functions import labeling_function


@labeling_function()
def is_tall(item):
    """Tall: much higher than wide."""
    if item.aspect > 1.4:
        return "tall"


@labeling_function(columns=["aspect"], vote="wide")
def is_wide(aspect):
    """Wide: much wider than high."""
    return aspect < 0.7


@labeling_function()
def is_round(item):
    """Round: as wide as high."""
    if 0.8 <= item.aspect <= 1.25:
        return "round"


@labeling_function(columns=["aspect"], vote="long")
def is_long(aspect):
    """Long either way: tall or wide."""
    return (aspect > 1.6) | (aspect < 0.6)
'''


@pytest.fixture
def make_project(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a small project and returns its folder."""

    def make(
        table: pd.DataFrame | None = None,
        *,
        settings: str = SETTINGS,
        lfs: str = LFS,
        name: str = "project",
    ) -> Path:
        root = tmp_path / name
        (root / "lfs").mkdir(parents=True)
        (shapes() if table is None else table).to_parquet(root / "items.parquet", index=False)
        (root / "weaklight.toml").write_text(settings)
        (root / "lfs" / "shapes.py").write_text(lfs)
        return root

    return make

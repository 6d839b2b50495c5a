"""The bundled example is what its README says, and its rules see nothing that they may not."""

from __future__ import annotations

import gzip
import io
import os
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import Image

from examples.fashion import make_items as maker
from labeling_functions import apply_lfs, load_folder
from pipelines.attributes import measure
from pipelines.config import load_config
from weaklight.contracts import expand_votes
from weaklight.errors import DataError

EXAMPLE = Path(maker.__file__).parent
SOURCE = Path(os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))


@pytest.fixture(scope="module")
def items() -> pd.DataFrame:
    return pd.read_parquet(EXAMPLE / "items.parquet")


@pytest.fixture(scope="module")
def dev(items: pd.DataFrame) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """Attributes, as a project stores them, and gold of the dev rows."""
    rows = items[items["split"] == "dev"]
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(png))) for png in rows["image"]])
    table = measure(pixels[..., None]).astype(np.float32)
    table.insert(0, "item_id", rows["item_id"].to_numpy())
    return table, rows["gold"].map(maker.CLASSES.index).to_numpy()


def test_splits_and_gold(items: pd.DataFrame) -> None:
    assert list(items.columns) == ["item_id", "image", "split", "gold", "bag_id", "bag_label"]
    sizes = {"unlabeled": 7700, "labeled": 300, "dev": 500, "test": 1500}
    assert items["split"].value_counts().to_dict() == sizes
    assert items["item_id"].tolist() == [f"{i:05d}" for i in range(10_000)]
    unlabeled = items["split"] == "unlabeled"
    assert items.loc[unlabeled, "gold"].isna().all()
    assert set(items.loc[~unlabeled, "gold"]) == set(maker.CLASSES)
    labeled = items.loc[items["split"] == "labeled", "item_id"]
    assert set(labeled) == set(maker.read_asked())


def test_baskets(items: pd.DataFrame) -> None:
    inside = items[items["bag_id"].notna()]
    assert inside["split"].isin(["unlabeled", "labeled"]).all()
    assert items.loc[items["bag_id"].isna(), "bag_label"].isna().all()
    baskets = inside.groupby("bag_id")["bag_label"]
    assert baskets.ngroups == 300
    assert len(inside) == 2415
    assert set(baskets.size()) == {6, 7, 8, 9, 10}
    assert (baskets.nunique() == 1).all()
    assert baskets.first().value_counts().to_dict() == {0: 150, 1: 150}


def test_pictures(items: pd.DataFrame) -> None:
    assert (EXAMPLE / "items.parquet").stat().st_size < 8 * 2**20
    assert items["image"].is_unique
    for png in items["image"]:
        picture = Image.open(io.BytesIO(png))
        picture.load()
        assert (picture.format, picture.mode, picture.size) == ("PNG", "L", (28, 28))


def test_further_items_are_those_that_the_example_does_not_hold() -> None:
    n = 10_003
    images = np.zeros((n, 28, 28), np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.arange(n) // 256, np.arange(n) % 256
    labels = (np.arange(n) % 10).astype(np.uint8)
    inside = set(maker.make_items(images, labels)["image"].to_pylist())
    further = maker.further_items(images, labels, 5).to_pandas()  # no more are left than 3
    assert further["item_id"].tolist() == ["10000", "10001", "10002"]
    assert not inside & set(further["image"]) and further["image"].is_unique
    for row in further.itertuples():
        high, low = np.asarray(Image.open(io.BytesIO(row.image)))[0, :2]
        assert row.gold == maker.CLASSES[(256 * int(high) + int(low)) % 10]
    assert (further["split"] == "test").all() and further["bag_id"].isna().all()


def test_settings_name_the_classes_in_order() -> None:
    config = load_config(EXAMPLE / "weaklight.toml")
    assert config.classes == maker.CLASSES
    assert config.class_sets["footwear"] == maker.FOOTWEAR
    assert config.bags.positive == "footwear"


def test_rules_are_explained_and_reach_every_class() -> None:
    lfs = load_folder(EXAMPLE / "lfs")
    by_file = pd.Series([lf.origin.file for lf in lfs]).value_counts()
    assert by_file["silhouette.py"] == 30
    assert by_file["lookalikes.py"] == 7
    assert all(lf.description.endswith(".") and ":" in lf.description for lf in lfs)
    source = "".join(path.read_text() for path in (EXAMPLE / "lfs").glob("*.py"))
    assert [name for name in maker.CLASSES if f'"{name}"' not in source] == []


def test_rules_see_attributes_alone_and_hold_on_dev(
    dev: tuple[pd.DataFrame, NDArray[np.int64]],
) -> None:
    table, gold = dev
    config = load_config(EXAMPLE / "weaklight.toml")
    rules = [lf for lf in load_folder(EXAMPLE / "lfs") if lf.origin.file == "silhouette.py"]
    result = apply_lfs(rules, table, classes=config.classes, class_sets=config.vote_sets, workers=1)
    assert [report.n_errors for report in result.reports] == [0] * len(rules)
    says = expand_votes(len(config.classes), config.vote_sets)
    says = np.vstack([says, np.zeros(len(config.classes))])  # the last row is -1: it says nothing
    tally = says[result.votes].sum(axis=1)  # (n, K)
    covered = tally.any(axis=1)
    assert covered.mean() >= 0.8
    assert (tally.argmax(axis=1) == gold)[covered].mean() >= 0.7
    for j, rule in enumerate(rules):
        voted = result.votes[:, j] >= 0
        right = says[result.votes[voted, j], gold[voted]] > 0
        assert right.mean() > 0.6, rule.name


def test_rules_abstain_where_nothing_is_seen(dev: tuple[pd.DataFrame, NDArray[np.int64]]) -> None:
    table = dev[0].iloc[:1].copy()
    table.iloc[:, 1:] = np.nan
    config = load_config(EXAMPLE / "weaklight.toml")
    rules = [lf for lf in load_folder(EXAMPLE / "lfs") if lf.origin.file == "silhouette.py"]
    result = apply_lfs(rules, table, classes=config.classes, class_sets=config.vote_sets, workers=1)
    assert (result.votes == -1).all()


def test_examples_of_lookalikes_are_dev_items_of_that_class(items: pd.DataFrame) -> None:
    gold = items[items["split"] == "dev"].set_index("item_id")["gold"]
    lookalikes = [lf for lf in load_folder(EXAMPLE / "lfs") if lf.origin.file == "lookalikes.py"]
    for lf in lookalikes:
        assert {gold[i] for i in lf.positives} == {lf.vote}
        assert lf.vote not in {gold[i] for i in lf.negatives}


def test_baskets_follow_their_law() -> None:
    is_footwear = np.random.default_rng(0).random(40_000) < 0.3
    basket, is_positive = maker.fill_baskets(is_footwear, 2_000, np.random.default_rng(1))
    n_footwear = np.bincount(basket[(basket >= 0) & is_footwear], minlength=2_000)
    sizes = np.bincount(basket[basket >= 0], minlength=2_000)
    assert is_positive.sum() == 1_000
    assert ((n_footwear > 0) == is_positive).all()
    assert sizes.min() == 6
    assert sizes.max() == 10
    share = np.mean([0.3 / (1 - 0.7**s) for s in (6, 7, 8, 9, 10)])  # E[k / s | k > 0]
    assert (n_footwear / sizes)[is_positive].mean() == pytest.approx(share, abs=0.015)
    again, _ = maker.fill_baskets(is_footwear, 2_000, np.random.default_rng(1))
    assert (again == basket).all()


def test_too_few_items_for_the_baskets() -> None:
    with pytest.raises(DataError, match="fill fewer baskets"):
        maker.fill_baskets(np.ones(20, dtype=bool), 10, np.random.default_rng(0))


def test_idx_files(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    body = bytes(range(12))
    path.write_bytes(gzip.compress(struct.pack(">HBB3I", 0, 8, 3, 2, 2, 3) + body))
    assert maker.read_idx(path).tolist() == np.arange(12).reshape(2, 2, 3).tolist()
    path.write_bytes(gzip.compress(struct.pack(">HBB3I", 0, 8, 3, 2, 2, 3) + body[:-1]))
    with pytest.raises(DataError, match="fetch it again"):
        maker.read_idx(path)
    path.write_bytes(gzip.compress(struct.pack(">HBB3I", 0, 9, 3, 2, 2, 3) + body))
    with pytest.raises(DataError, match="unsigned bytes"):
        maker.read_idx(path)


@pytest.mark.skipif(
    not SOURCE.is_dir(), reason="Fashion-MNIST is not here: set FASHION_MNIST to its folder"
)
def test_the_script_draws_the_same_items_again() -> None:
    drawn = maker.make_items(*maker.read_folder(SOURCE), maker.read_asked())
    kept = pq.read_table(EXAMPLE / "items.parquet")
    columns = [name for name in kept.column_names if name != "image"]
    assert drawn.select(columns).equals(kept.select(columns))
    for one, other in zip(drawn["image"], kept["image"], strict=True):
        # Bytes of a PNG depend on the zlib that wrote it; what they show does not.
        pictures = [np.asarray(Image.open(io.BytesIO(png.as_py()))) for png in (one, other)]
        assert (pictures[0] == pictures[1]).all()

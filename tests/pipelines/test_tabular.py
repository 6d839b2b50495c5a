"""Rows of a table whose columns are the features: real wines, labelled by three thresholds."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_wine

from pipelines.decode import UnusableItemError, decode_one_series
from pipelines.engine import run_line
from pipelines.exchange import Columns, read_items, write_project
from pipelines.predict import predict_files
from pipelines.project import Project
from pipelines.sections import ItemsConfig
from ssl_models.statistics import StatisticsEncoder
from weaklight.errors import DataError, LabelingError

LFS = '''
from labeling_functions import labeling_function


@labeling_function(columns=["proline"], vote="barolo")
def rich(proline):
    """Barolo: much proline."""
    return proline > 900


@labeling_function()
def pale(item):
    """Grignolino: pale, and not rich."""
    if item.color_intensity < 3.5 and item.proline < 700:
        return "grignolino"


@labeling_function()
def few_flavanoids(item):
    """Barbera: few flavanoids."""
    if item.flavanoids < 1.2:
        return "barbera"
'''
CLASSES = ("barolo", "grignolino", "barbera")


def wines() -> pd.DataFrame:
    """Return 178 wines in a drawn order: 90 unlabeled, 40 dev, 48 test; one has a gap."""
    table = load_wine(as_frame=True).frame.sample(frac=1, random_state=0, ignore_index=True)
    split = np.repeat(["unlabeled", "dev", "test"], [90, 40, 48])
    gold = np.array(CLASSES)[table.pop("target")]
    table.loc[3, "ash"] = np.nan
    return table.assign(split=split, gold=np.where(split == "unlabeled", None, gold))


def test_rows_of_a_table_go_down_the_whole_line(tmp_path: Path) -> None:
    table = wines()
    columns = [c for c in table if c not in ("split", "gold")]
    table.rename_axis("item_id").to_csv(tmp_path / "wines.csv")
    (tmp_path / "lfs").mkdir()
    (tmp_path / "lfs" / "rules.py").write_text(LFS)
    (tmp_path / "weaklight.toml").write_text(
        f"classes = {list(CLASSES)}\n[items]\nsource = 'wines.csv'\nseries = {columns}\n"
        "[evaluate]\ncrossover_sizes = [20]\ncrossover_draws = 2\n"
    )
    project = Project.open(tmp_path)
    record = run_line(project)
    features = np.load(project.store.path("embed", record.artifacts["embed"], "features"))
    whole = table.drop(index=3)[columns].to_numpy(np.float64)
    learnt = whole[table.drop(index=3)["split"] == "unlabeled"]
    by_hand = (whole - learnt.mean(axis=0)) / learnt.std(axis=0)
    np.testing.assert_allclose(features, by_hand, atol=1e-3)
    ingested = json.loads(
        project.store.path("ingest", record.artifacts["ingest"], "report").read_text()
    )
    assert sum(ingested["dropped"].values()) == 1  # the wine with a gap
    written = project.store.path("evaluate", record.artifacts["evaluate"], "evaluation")
    right = {e["key"]: e["value"] for e in json.loads(written.read_text())["headline"]}
    assert right["classifier_accuracy"] > 0.9 > right["majority_vote_accuracy"]
    table[columns].head(3).to_csv(tmp_path / "new.csv", index=False)
    found, left_out = predict_files(project, [tmp_path / "new.csv"])
    assert len(found) == 3 and not left_out and set(found["label"]) <= set(CLASSES)


def test_two_columns_are_a_row_and_one_is_not() -> None:
    assert decode_one_series([1.0, 2.0], is_row=True).tolist() == [[1.0], [2.0]]
    for cell, is_row, message in (
        ([1.0], True, "fewer than 2 columns"),
        ([1.0, 2.0, 3.0], False, "fewer than 4 steps"),
    ):
        with pytest.raises(UnusableItemError, match=message):
            decode_one_series(cell, is_row=is_row)


def test_values_need_one_length() -> None:
    with pytest.raises(DataError, match="2 lengths from 4 to 6 steps"):
        StatisticsEncoder("values").fit([np.zeros((4, 1)), np.zeros((6, 1))])


def test_labelled_bags_of_rows_are_imported_and_need_no_function(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    bag, is_active = np.repeat(np.arange(60), 4), rng.random(240) < 0.15
    values = rng.normal(size=(240, 25)) + 4.0 * is_active[:, None]
    table = pd.DataFrame(values, columns=[f"m{j:02d}" for j in range(25)])
    label = pd.Series(is_active).groupby(bag).transform("any").astype(int)
    table = table.assign(
        bag_id=[f"b{b}" for b in bag],
        bag_label=label.where(bag < 40),
        split=np.where(bag < 40, "unlabeled", "test"),
        gold=np.where(bag < 40, None, np.where(is_active, "active", "idle")),
    )
    table.to_csv(tmp_path / "wide.csv", index=False)
    with pytest.raises(DataError, match=r"'m19'] and 9 more; .*--series"):
        read_items(tmp_path / "wide.csv")
    with pytest.raises(DataError, match="needs a column 'x\\*'"):
        read_items(tmp_path / "wide.csv", Columns(series=("x*",)))
    with pytest.raises(DataError, match=r"needs a column 'm0\?'"):  # as under [items]
        read_items(tmp_path / "wide.csv", Columns(series=("m0?",)))
    imported = read_items(
        tmp_path / "wide.csv", Columns(series=("m*",)), classes=("idle", "active")
    )
    write_project(imported, tmp_path / "p", title="")
    settings = tmp_path / "p" / "weaklight.toml"
    plain = settings.read_text()
    with pytest.raises(LabelingError, match=r"labels of bags and \[bags\] positive"):
        run_line(Project.open(tmp_path / "p"))
    settings.write_text(plain + '[bags]\npositive = "active"\nmethod = "embedding"\n')
    project = Project.open(tmp_path / "p")
    run = run_line(project)
    told = json.loads(project.store.path("report", run.artifacts["report"], "numbers").read_text())
    assert told["what_was_done"][0].startswith("40 bags with one label each added votes")
    page = project.store.path("report", run.artifacts["report"], "report").read_text()
    bags = pd.read_parquet(project.store.path("bags", run.artifacts["bags"], "bags"))
    said = re.findall(r"<b>(b\d+)</b>, active with .*?; its label says (not )?active", page)
    of_bag = dict(zip(bags["bag_id"], bags["label"], strict=True))
    assert not re.search("(?i)a function|functions (vote|alone|were|and)|two functions", page)
    assert len(said) > 3 and all((of_bag[bag] == 0) == bool(no) for bag, no in said)
    right = {e["key"]: e["value"] for e in told["evaluation"]["headline"]}
    assert right["classifier_accuracy"] > 0.85
    found, _ = predict_files(project, [tmp_path / "wide.csv"])
    assert ((found["label"] == "active") == is_active).mean() > 0.85
    table.drop(columns="m07").to_csv(tmp_path / "narrow.csv", index=False)
    with pytest.raises(DataError, match="is 25 columns together, but this table has 24"):
        predict_files(project, [tmp_path / "narrow.csv"])


def test_a_bag_column_of_any_name_is_no_part_of_rows_to_come(tmp_path: Path) -> None:
    row = {"m_bag": [1, 1, 2], "m0": [0.1, 0.2, 0.3], "m1": [3, 4, 5], "bag_label": [0, 0, 1]}
    pd.DataFrame(row).to_csv(tmp_path / "t.csv", index=False)
    imported = read_items(tmp_path / "t.csv", Columns(bag_id="m_bag", series=("m*",)))
    assert ItemsConfig(source="t", series=imported.series).series_columns(row) == ("m0", "m1")
    others = read_items(tmp_path / "t.csv", Columns(series=("m*",)))
    assert others.series == ("m*",)  # nobody said that it is another's

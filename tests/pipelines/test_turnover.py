"""Columns that came, went, or that new items lack; the items themselves are in test_line."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pipelines.project import Project
from pipelines.store import Manifest, Output, hash_path
from pipelines.turnover import turnover

OLD = pd.DataFrame(
    {
        "item_id": [f"i{n}" for n in range(10)],
        "split": ["unlabeled"] * 8 + ["dev"] * 2,
        "sha256": "0",
        "noisy_label": None,
        "sender": ["ann", "bob"] * 5,
        "price": [1.0] * 10,
        "remark": [*[None] * 8, "odd", None],
        "chance": [None] * 8 + [0.1, 0.2],  # stated for gold alone
    }
)
NEW = OLD.iloc[:3].assign(item_id=["n0", "n1", "n2"])


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "weaklight.toml").write_text('classes = ["ham", "spam"]\n[items]\nsource = "x"\n')
    return Project.open(tmp_path)


def told(project: Project, now: pd.DataFrame, before: pd.DataFrame = OLD) -> tuple[str, ...]:
    for digest, table in (("before", before), ("now", now)):
        with project.store.writing("ingest", digest) as out:
            table.to_parquet(out / "items.parquet", index=False)
            output = Output("items.parquet", *hash_path(out / "items.parquet"))
            outputs = {"items": output}
            manifest = Manifest("ingest", digest, 1, {}, {}, 0, {}, {}, outputs, {}, ())
            project.store.commit(out, manifest)
    return turnover(project, "before", "now")


def test_columns_that_came_went_or_are_empty_in_new_items(project: Project) -> None:
    three = "since the run before, 3 items are new"
    assert told(project, pd.concat([OLD, NEW])) == (three,)
    lacking = pd.concat([OLD, NEW.assign(sender=[None, "", " "], price=float("nan"))])
    empty = "of the columns, sender, price are empty in all 3 new items"
    assert told(project, lacking) == (three, empty)
    filled = OLD.assign(noisy_label="ham", remark="odd", chance=0.5)
    assert told(project, pd.concat([filled, filled.iloc[:3].assign(item_id=["x", "y", "z"])])) == (
        three,
    )
    other = lacking.drop(columns="price").assign(weather="wet").iloc[:11]
    changed = "of the columns, weather is new; price is gone; sender is empty in the new item"
    assert told(project, other) == ("since the run before, 1 item is new", changed)
    assert told(project, OLD.drop(columns=["price", "sender"])) == (
        "of the columns, sender, price are gone",
    )
    labelled = OLD.assign(noisy_label="ham")
    assert told(project, pd.concat([labelled, NEW]), labelled)[1] == (
        "of the columns, noisy_label is empty in all 3 new items"
    )


def test_a_sparse_column_is_missed_where_chance_would_hardly_leave_it_empty(
    project: Project,
) -> None:
    half = OLD.assign(remark=["x", None] * 5)
    for n, is_told in ((6, False), (7, True)):  # 1/64, 1/128
        new = pd.concat([NEW] * 3).iloc[:n].assign(item_id=[f"n{k}" for k in range(n)])
        assert (len(told(project, pd.concat([half, new]), half)) == 2) == is_told

"""Templates and Parquet files through the engine: a shard at a time, a child only if needed."""

from __future__ import annotations

import re
import subprocess
import weakref
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.dataset as ds
import pytest

from labeling_functions import (
    apply_lfs,
    keywords,
    load_folder,
    model,
    regex,
    threshold,
    zero_shot,
)
from labeling_functions.shards import ParquetItems
from labeling_functions.templates.groups import TextGroup
from weaklight.errors import DataError

CLASSES = ("ham", "spam")
RULES = """
[[lf]]
name = "words"
kind = "keywords"
column = "text"
words = ["free", "cash"]
vote = "spam"

[[lf]]
name = "both"
kind = "keywords"
column = "text"
words = ["free", "cash"]
need = "all"
vote = "spam"

[[lf]]
name = "digits"
kind = "regex"
column = "text"
pattern = '\\d+ pounds?\\b'
vote = "spam"

[[lf]]
name = "near"
kind = "lookup"
column = "sender"
entries = ["Ann Smith"]
fuzzy = 80
vote = "ham"

[[lf]]
name = "short"
kind = "threshold"
column = "n"
below = 8
vote = "ham"
"""
CODE = """
@labeling_function(columns=["n"], vote="ham")
def tiny(n):
    return n < 5
"""


@pytest.fixture
def items() -> pd.DataFrame:
    texts = [
        "free cash",
        "FREE é",
        "cash 5 pounds",
        "é 7 pounds",
        "free cash é",
        None,
        "no",
        "50 £",
    ]
    senders = ["ann smith", "Ann Smyth", "bob", None, "shop", "ANN  SMITH", "x", "y"]
    return pd.DataFrame(
        {
            "item_id": [f"i{i}" for i in range(8)],
            "text": texts,
            "sender": senders,
            "n": [9, 6, 13, 10, 11, np.nan, 2, 4],
            "secret": ["gold"] * 8,
        }
    )


EXPECTED = [
    [1, 1, -1, 0, -1],
    [1, -1, -1, 0, 0],
    [1, -1, 1, -1, -1],
    [-1, -1, 1, -1, -1],
    [1, 1, -1, -1, -1],
    [-1, -1, -1, 0, -1],
    [-1, -1, -1, -1, 0],
    [-1, -1, -1, -1, 0],
]


@pytest.fixture
def no_children(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a child process was started")

    return lambda: monkeypatch.setattr(subprocess, "Popen", refuse)


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


def test_one_matrix_whatever_the_workers_the_shards_and_the_source(lfs_folder, items, tmp_path):
    folder = write(lfs_folder(b=CODE), a_toml=RULES)
    path = tmp_path / "items.parquet"
    items.to_parquet(path, row_group_size=3)
    lfs = load_folder(folder)
    first = None
    for table, workers, rows in [
        (items, 0, 16_384), (items, 0, 3), (path, 0, 3), (ds.dataset(path), 0, 5), (path, 3, 2),
    ]:  # fmt: skip
        result = apply_lfs(lfs, table, classes=CLASSES, workers=workers, shard_rows=rows)
        first = first or result
        assert result.votes[:, :5].tolist() == EXPECTED
        assert (result.votes == first.votes).all() and result.reports == first.reports
    assert first.votes[:, 5].tolist() == [-1, -1, -1, -1, -1, -1, 0, 0]


def test_only_what_re_must_judge_reaches_a_child_and_it_is_cached(
    lfs_folder, items, tmp_path, no_children
):
    lfs = load_folder(write(lfs_folder(), a_toml=RULES))
    plain = items[items["text"].str.isascii().fillna(False)].assign(sender=None)
    first = apply_lfs(lfs, items, classes=CLASSES, workers=1, cache_dir=tmp_path / "c")
    no_children()
    again = apply_lfs(lfs, items, classes=CLASSES, workers=1, cache_dir=tmp_path / "c")
    assert (again.votes == first.votes).all() and first.votes.tolist() == EXPECTED
    direct = [lf for lf in lfs if lf.name != "near"]
    votes = apply_lfs(direct, plain, classes=CLASSES, workers=1).votes
    assert votes.tolist() == [[1, 1, -1, -1], [1, -1, 1, -1], [-1, -1, -1, 0]]


def test_templates_vote_again_only_where_they_or_their_column_changed(
    lfs_folder, items, tmp_path, monkeypatch
):
    folder = write(lfs_folder(), a_toml=RULES)
    scan, seen = TextGroup.vote, []

    def spy(self, texts):
        seen.extend(texts.to_pylist())
        return scan(self, texts)

    monkeypatch.setattr(TextGroup, "vote", spy)

    def n_scanned(table) -> int:
        options = {"classes": CLASSES, "workers": 0, "shard_rows": 3}
        fresh = apply_lfs(load_folder(folder), table, **options)
        seen.clear()
        cached = apply_lfs(load_folder(folder), table, cache_dir=tmp_path / "c", **options)
        assert (cached.votes == fresh.votes).all() and cached.reports == fresh.reports
        return len(seen)

    assert n_scanned(items) == 2 * 8  # once for keywords, once for the expression
    assert n_scanned(items) == 0
    write(folder, a_toml=RULES.replace('"cash"]\nvote', '"pounds"]\nvote'))
    assert n_scanned(items) == 8
    items.loc[7, "text"] = "free 7 pounds"
    assert n_scanned(items) == 2 * 2  # the last shard holds two rows
    assert n_scanned(items.assign(item_id=list("abcdefgh"))) == 0
    for file in (tmp_path / "c").glob("*/shards.npz"):
        file.write_bytes(file.read_bytes()[:-10])
    assert n_scanned(items) == 2 * 8


def test_a_runaway_expression_is_stopped_and_the_others_keep_their_votes(
    lfs_folder, items, tmp_path
):
    runaway = "[[lf]]\nname='x'\nkind='regex'\ncolumn='text'\nvote='ham'\npattern='^(a+)+(?=c)$'\n"
    lfs = load_folder(write(lfs_folder(), a_toml=RULES, b_toml=runaway))
    items.loc[6, "text"] = "a" * 40
    options = {"classes": CLASSES, "time_limit_s": 1.0, "cache_dir": tmp_path / "c"}
    for _ in range(2):  # the second time what was lost is tried again
        report = apply_lfs(lfs, items, workers=1, **options).reports
        assert report[5].timed_out_rows == 1 and "ran longer than 1 s" in report[5].note
        assert [r.n_votes for r in report[:5]] == [4, 2, 2, 3, 3]


def test_files_side_by_side_hide_columns_and_are_read_a_shard_at_a_time(lfs_folder, tmp_path):
    n = 1000
    items = pd.DataFrame({"item_id": map(str, range(n)), "text": "free", "secret": 1, "other": 2.0})
    lengths = pd.DataFrame({"item_id": items["item_id"], "n": np.arange(n)})
    items.to_parquet(tmp_path / "items.parquet", row_group_size=70)
    lengths.to_parquet(tmp_path / "lengths.parquet", row_group_size=n)
    seen, shards, most = [], [], 0

    class Watched(ParquetItems):
        def shards(self, columns, rows):
            nonlocal most
            seen.append(sorted(columns))
            for shard in super().shards(columns, rows):
                shards.append(weakref.ref(shard))
                most = max(most, sum(known() is not None for known in shards))
                yield shard

    def table():
        paths = (tmp_path / "items.parquet", tmp_path / "lengths.parquet")
        return Watched(*paths, hidden=["secret"])

    lfs = load_folder(write(lfs_folder(), a_toml=RULES))[2:] + load_folder(lfs_folder(b=CODE))[-1:]
    lfs = [lf for lf in lfs if lf.name != "near"]
    votes = apply_lfs(lfs, table(), classes=CLASSES, workers=0, shard_rows=64).votes
    assert seen == [["n", "text"]] and most <= 2
    assert [(votes[:, j] == 0).sum() for j in range(3)] == [0, 8, 5]

    curious = lfs_folder(
        b="@labeling_function()\ndef curious(item):\n    return 'ham' if item.secret else None\n"
    )
    result = apply_lfs(load_folder(curious)[-1:], table(), classes=CLASSES, workers=0)
    assert result.reports[0].n_errors == n
    assert "no column 'secret'" in result.reports[0].first_traceback
    lengths[:-1].to_parquet(tmp_path / "lengths.parquet")
    with pytest.raises(DataError, match=r"must hold the same items, but hold \[1000, 999\] rows"):
        table()


def test_a_number_has_one_type_in_all_shards(lfs_folder, tmp_path):
    table = pd.DataFrame({"item_id": list("abcd"), "n": pd.array([1, 2, None, 4], "Int64")})
    table["flag"] = pd.array([True, False, True, None], "boolean")
    (tmp_path / "items").mkdir()
    table.to_parquet(tmp_path / "items" / "0.parquet", row_group_size=2)
    folder = lfs_folder(
        f="""
        @labeling_function()
        def is_float(item):
            return "spam" if isinstance(item.n, float) else "ham"

        @labeling_function(columns=["flag"])
        def is_boolean(flag):
            return ["spam" if flag.dtype == bool else "ham"] * len(flag)
        """
    )
    for rows in (1, 2, 4):
        result = apply_lfs(
            load_folder(folder), tmp_path / "items", classes=CLASSES, workers=0, shard_rows=rows
        )
        assert result.votes.tolist() == [[1, 0]] * 4


def test_features_and_probabilities_reach_the_templates_that_ask_for_them(items):
    items["p"] = [0.9, 0.1, 0.5, np.nan, 0, 1, 0.2, 0.3]
    features = np.tile([[1.0, 0.0], [0.0, 1.0]], (4, 1))
    lfs = [
        zero_shot({"ham": "x", "spam": "y"}, name="described"),
        model({"spam": "p"}, name="soft", soft=True),
    ]
    result = apply_lfs(
        lfs, items, classes=CLASSES, features=features, encode_text=lambda texts: np.eye(2),
        workers=2, shard_rows=3,
    )  # fmt: skip
    assert result.votes[:, 0].tolist() == [0, 1] * 4
    assert result.votes[:, 1].tolist() == [1, -1, -1, -1, -1, 1, -1, -1]
    soft = result.soft_votes["soft"]
    np.testing.assert_allclose(soft[[0, 1]], [[0.1, 0.9], [0.9, 0.1]], rtol=1e-6)
    assert np.isnan(soft[3]).all() and list(result.soft_votes) == ["soft"]


@pytest.mark.parametrize(
    ("column", "hint"),
    [
        ("n_digit", "did you mean 'n_digits'"),
        ("body", "their texts are called 'text'; they have .*n_digits"),
    ],
)
def test_a_wrong_column_is_told_beside_columns_that_nobody_reads(items, column, hint):
    lf = threshold(column, above=1, vote="spam", name="lone")
    (report,) = apply_lfs([lf], items.assign(n_digits=2), classes=CLASSES, workers=0).reports
    assert re.search(f"no column '{column}'; {hint}", report.note)


def test_wrong_columns_and_votes_are_reported_through_the_engine_too(items):
    lfs = [
        keywords("txt", ["a"], vote="spam", name="column"),
        keywords("n", ["a"], vote="spam", name="numbers"),
        regex("text", "free", vote="spma", name="vote"),
    ]
    notes = [r.note for r in apply_lfs(lfs, items, classes=CLASSES, workers=0).reports]
    assert "no column 'txt'; did you mean 'text'?" in notes[0]
    assert "'n' must hold text" in notes[1]
    assert "returned unknown class 'spma' 8 times (did you mean 'spam'?)" in notes[2]

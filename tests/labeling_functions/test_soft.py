"""LFs that give probabilities: as code and as templates, cached and in child processes."""

import subprocess

import numpy as np
import pytest

from labeling_functions import apply_lfs, load_folder, prototype, zero_shot
from labeling_functions.ballot import Ballot
from labeling_functions.soft import soften
from weaklight.contracts import ClassSet

CLASSES = ("trouser", "dress", "boot")
SETS = (ClassSet("clothes", (0, 1)),)
BALLOT = Ballot(CLASSES)
NAN = np.nan

CODE = """
@labeling_function(soft=True, at_least=0.6)
def table(item):
    return {"trouser": 0.7, "dress": 0.1} if item.gap > 0.3 else None

@labeling_function(soft=True, vote="boot")
def number(item):
    return {2.0: 0.9, 1.9: 0.1, 1.0: 2.0}.get(item.aspect)

@labeling_function(soft=True, vote="clothes")
def either(item):
    return 0.8 if item.note == "jeans" else "jeans"

@labeling_function(columns=["gap"], soft=True, vote="boot")
def column(gap):
    return gap.where(gap <= 1)

@labeling_function(columns=["gap"], soft=True)
def frame(gap):
    import pandas as pd
    return pd.DataFrame({"boot": 1 - gap, "dress": 0.0}, index=gap.index)[::-1]

@labeling_function(columns=["gap"], soft=True)
def nameless(gap):
    return gap
"""


def run(lfs, table, **options):
    return apply_lfs(lfs, table, classes=CLASSES, class_sets=SETS, **options)


def test_probabilities_become_distributions_and_votes():
    given = np.array(
        [
            [0.7, NAN, NAN], [NAN, NAN, NAN], [0.2, 0.2, 0.4], [0.4, 0.4, NAN], [1.2, NAN, NAN],
            [-0.1, NAN, 0.2], [0.7, 0.7, NAN], [0, 0, 0], [1.0, 0.0, 0.0],
        ]
    )  # fmt: skip
    out = soften(given, BALLOT, at_least=0.5)
    expected = [[0.7, 0.15, 0.15], [NAN] * 3, [0.25, 0.25, 0.5], [0.4, 0.4, 0.2]]
    np.testing.assert_allclose(out.soft[:4], expected, rtol=1e-6)
    assert np.isnan(out.soft[4:8]).all() and out.soft[8].tolist() == [1, 0, 0]
    assert out.votes.tolist() == [0, -1, -1, -1, -1, -1, -1, -1, 0]
    assert (out.trouble > 0).tolist() == [False] * 4 + [True] * 4 + [False]
    assert "sum to at most 1" in out.problems[0].text
    assert soften(given, BALLOT, at_least=0.8).votes.tolist()[:4] == [-1] * 4
    assert soften(given, BALLOT, at_least=0.1).votes.tolist()[:4] == [
        0,
        -1,
        2,
        -1,
    ]  # 0.4, 0.4: a tie


def test_only_what_is_named_gets_the_vote():
    with_set = Ballot(CLASSES, SETS)
    out = soften(np.array([[NAN, NAN, 0.2, NAN], [NAN, NAN, NAN, 0.6]]), with_set, at_least=0.1)
    np.testing.assert_allclose(out.soft, [[0.4, 0.4, 0.2], [0.3, 0.3, 0.4]], rtol=1e-6)
    assert out.votes.tolist() == [2, 3]


def test_functions_give_numbers_tables_and_frames(lfs_folder, garments):
    result = run(load_folder(lfs_folder(f=CODE)), garments, workers=0)
    names = [report.name for report in result.reports]
    votes = dict(zip(names, result.votes.T.tolist(), strict=True))
    soft = result.soft_votes
    assert list(soft) == names
    np.testing.assert_allclose(soft["table"][0], [0.7, 0.1, 0.2], rtol=1e-6)
    assert np.isnan(soft["table"][1]).all() and votes["table"] == [0, -1, -1, -1, 0, 0]
    np.testing.assert_allclose(soft["number"][:2, 2], [0.9, 0.1], rtol=1e-6)
    assert votes["number"] == [2, -1, -1, -1, -1, -1]
    np.testing.assert_allclose(soft["either"][0], [0.4, 0.4, 0.2], rtol=1e-6)
    assert votes["either"] == [3, -1, -1, -1, -1, 3]
    np.testing.assert_allclose(soft["column"][:, 2], garments["gap"], rtol=1e-6)
    np.testing.assert_allclose(soft["frame"][:, 2], 1 - garments["gap"], rtol=1e-6)
    assert (soft["frame"][:, 1] == 0).all() and votes["frame"] == [2, 2, 2, 2, -1, -1]
    notes = {report.name: report.note for report in result.reports}
    assert "no probabilities" in notes["number"] and result.reports[0].is_soft
    assert "'jeans' 4 times (a soft LF gives a number or a table" in notes["either"]
    assert "or one and vote=" in notes["nameless"]


def test_probabilities_of_an_lf_that_is_not_soft_are_no_vote(lfs_folder, garments):
    text = "@labeling_function({})\ndef {}(item): return {}\n"
    folder = lfs_folder(a=text.format("", "table", "{'boot': 0.8}"),
                        b=text.format("vote='boot'", "number", "0.8"))  # fmt: skip
    result = run(load_folder(folder), garments, workers=0)
    assert (result.votes == -1).all()
    assert all("probabilities need soft=True" in report.note for report in result.reports)


def test_they_come_back_from_child_processes_and_from_the_cache(
    lfs_folder, garments, tmp_path, monkeypatch
):
    lfs = load_folder(lfs_folder(f=CODE))
    here = run(lfs, garments, workers=0)
    first = run(lfs, garments, workers=1, shard_rows=4, cache_dir=tmp_path / "c")

    def refuse(*args, **kwargs):
        raise AssertionError("a child process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    again = run(lfs, garments[::-1], workers=1, cache_dir=tmp_path / "c")
    for name, expected in here.soft_votes.items():
        np.testing.assert_array_equal(first.soft_votes[name], expected)
        np.testing.assert_array_equal(again.soft_votes[name][::-1], expected)
    np.testing.assert_array_equal(first.votes, here.votes)
    np.testing.assert_array_equal(again.votes[::-1], here.votes)


@pytest.mark.parametrize("vote", ["boot", "clothes"])
def test_a_prototype_is_surer_the_further_an_item_lies_within_its_limits(vote):
    angles = np.array([0.0, 0.3, 0.6, np.pi / 2])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    lf = prototype(vote, positives=["a"], at_least=np.cos(0.6), soft=True)
    out = lf.run(list("abcd"), features, Ballot(CLASSES, SETS))
    sure = out.soft[:, 2] if vote == "boot" else out.soft[:, :2].sum(axis=1)
    expected = 1 / (1 + np.exp(-20 * (np.cos(angles) - np.cos(0.6))))
    np.testing.assert_allclose(sure[:3], expected[:3], rtol=1e-5)
    assert sure[0] > sure[1] > sure[2] == pytest.approx(0.5) and np.isnan(out.soft[3]).all()
    np.testing.assert_allclose(out.soft[:3].sum(axis=1), 1, rtol=1e-6)


def test_zero_shot_compares_the_described_classes():
    features = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 0.0]])
    lf = zero_shot({"boot": "boots", "dress": "dresses"}, soft=True)
    out = lf.run(list("abc"), features, Ballot(CLASSES), encode_text=lambda texts: np.eye(2))
    assert out.votes.tolist() == [2, 1, -1]
    odds = np.exp(20 * 0.2)
    np.testing.assert_allclose(out.soft[1], [0, odds / (1 + odds), 1 / (1 + odds)], rtol=1e-5)
    assert np.isnan(out.soft[2]).all()

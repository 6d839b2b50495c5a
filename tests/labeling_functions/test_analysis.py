"""The LF table and the items behind it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from labeling_functions import (
    analyse,
    drill,
    drill_pair,
    pair_counts,
    settle_most_conflicts,
)
from weaklight.contracts import ClassSet
from weaklight.errors import DataError

CLASSES = ("a", "b", "c")
SETS = (ClassSet("a or b", (0, 1)),)
NAMES = ["first", "second", "third", "set", "never", "copy"]
# fmt: off
VOTES = np.array(
    [   # first second third set never copy
        [0,  0, -1,  3, -1, -1],
        [0,  1, -1,  3, -1,  1],
        [1, -1,  2,  3, -1, -1],
        [-1, 2, -1, -1, -1,  2],
        [0,  1,  1, -1, -1,  1],
        [-1, -1, -1, 3, -1, -1],
    ],
    np.int16,
)
# fmt: on
GOLD = np.array([0, 1, 2, 2, -1, 0])


@pytest.fixture
def table() -> pd.DataFrame:
    posterior = np.array(
        [[0.8, 0.1, 0.1], [0.4, 0.5, 0.1], [0, 0.2, 0.8], [0, 0, 1], [0.5, 0.5, 0], [1, 0, 0]]
    )
    return analyse(VOTES, NAMES, classes=CLASSES, class_sets=SETS, gold=GOLD, posterior=posterior)


def test_counts_by_hand(table):
    assert table.index.tolist() == NAMES
    assert table["polarity"].tolist() == [
        ["a", "b"], ["a", "b", "c"], ["b", "c"], ["a or b"], [], ["b", "c"],
    ]  # fmt: skip
    assert table["n_votes"].tolist() == [4, 4, 2, 4, 0, 3]
    assert table["coverage"].tolist() == pytest.approx([4 / 6, 4 / 6, 2 / 6, 4 / 6, 0, 3 / 6])
    assert table["overlaps"].tolist() == pytest.approx([4 / 6, 4 / 6, 2 / 6, 3 / 6, 0, 3 / 6])
    # row 0: a, a and {a, b} agree; row 1: a against b, the set with both; row 2: b against c,
    # the set against c; row 4: a against b, b, b
    assert table["conflicts"].tolist() == pytest.approx([3 / 6, 2 / 6, 2 / 6, 1 / 6, 0, 2 / 6])


def test_accuracy_on_gold_by_hand(table):
    assert table["gold_n"].tolist() == [3, 3, 1, 4, 0, 2]
    assert table["correct"].tolist() == [1, 3, 1, 3, 0, 2]
    assert table["accuracy"].tolist() == pytest.approx([1 / 3, 1, 1, 3 / 4, np.nan, 1], nan_ok=True)
    # Wilson, 1 of 3, from R's prop.test without correction: 0.0615, 0.7923
    assert table.loc["first", ["low", "high"]].tolist() == pytest.approx([0.0615, 0.7923], abs=1e-4)
    assert table.loc["never", ["low", "high"]].isna().all()


def test_learned_accuracy_by_hand(table):
    assert table["learned_accuracy"].tolist() == pytest.approx(
        [
            (0.8 + 0.4 + 0.2 + 0.5) / 4,
            (0.8 + 0.5 + 1 + 0.5) / 4,
            (0.8 + 0.5) / 2,
            (0.9 + 0.9 + 0.2 + 1) / 4,
            np.nan,
            (0.5 + 1 + 0.5) / 3,
        ],
        nan_ok=True,
    )


def test_agreement_with_the_final_label_by_hand():
    labels = np.array([0, 1, -1, 2, 1, 0])
    table = analyse(VOTES, NAMES, classes=CLASSES, class_sets=SETS, labels=labels)
    # "first" votes a, a, b, a: right, wrong, no label, wrong; the set fits rows 0, 1 and 5
    assert table["agreement"].tolist() == pytest.approx(
        [1 / 3, 4 / 4, 1 / 1, 3 / 3, np.nan, 3 / 3], nan_ok=True
    )


def test_redundant_needs_agreement_and_the_same_items():
    rng = np.random.default_rng(0)
    base = rng.integers(-1, 3, 400).astype(np.int16)
    twin, other, part = base.copy(), base.copy(), base.copy()
    voted = np.flatnonzero(base >= 0)
    twin[voted[:3]] = (twin[voted[:3]] + 1) % 3  # 99 % agreement
    other[voted[:60]] = (other[voted[:60]] + 1) % 3  # 80 %
    part[voted[:60]] = -1  # all agree, Jaccard 0.8
    table = analyse(
        np.stack([base, other, part, twin], 1), ["base", "other", "part", "twin"], classes=CLASSES
    )
    assert table["redundant_with"].tolist() == ["twin", "", "", "base"]


def test_equals_snorkel_on_plain_classes():
    from snorkel.labeling import LFAnalysis

    rng = np.random.default_rng(1)
    votes = rng.integers(-1, 4, (300, 7)).astype(np.int16)
    votes[:, 6] = -1
    gold = rng.integers(0, 4, 300)
    ours = analyse(votes, [str(j) for j in range(7)], classes="abcd", gold=gold)
    theirs = LFAnalysis(votes.astype(int))
    assert np.allclose(ours["coverage"], theirs.lf_coverages())
    assert np.allclose(ours["overlaps"], theirs.lf_overlaps())
    assert np.allclose(ours["conflicts"], theirs.lf_conflicts())
    accuracy = theirs.lf_empirical_accuracies(gold)[:6]
    assert np.allclose(ours["accuracy"][:6], accuracy)
    assert [["abcd".index(c) for c in p] for p in ours["polarity"]] == theirs.lf_polarities()


def test_chunks_do_not_change_the_table(monkeypatch, table):
    monkeypatch.setattr("labeling_functions.analysis.ROWS_AT_ONCE", 2)
    monkeypatch.setattr("labeling_functions.pairs.ROWS_AT_ONCE", 2)
    again = analyse(VOTES, NAMES, classes=CLASSES, class_sets=SETS, gold=GOLD)
    columns = ["overlaps", "conflicts", "correct", "redundant_with"]
    assert again[columns].equals(table[columns])


def test_without_gold_or_items_or_lfs():
    table = analyse(VOTES, NAMES, classes=CLASSES, class_sets=SETS)
    assert table["accuracy"].isna().all() and (table["gold_n"] == 0).all()
    assert analyse(VOTES[:0], NAMES, classes=CLASSES)["coverage"].tolist() == [0] * 6
    assert len(analyse(VOTES[:, :0], [], classes=CLASSES)) == 0


def test_drill_by_hand():
    groups = drill(VOTES, GOLD, 0, classes=CLASSES, class_sets=SETS)
    assert {name: rows.tolist() for name, rows in groups.items()} == {
        "votes": [0, 1, 2, 4],
        "right": [0],
        "wrong": [1, 2],
        "overlaps": [0, 1, 2, 4],
        "conflicts": [1, 2, 4],
        "abstains": [3, 5],
    }
    groups = drill(VOTES, None, 3, classes=CLASSES, class_sets=SETS)
    assert groups["conflicts"].tolist() == [2] and groups["right"].tolist() == []
    plain = VOTES[:, :3]
    assert drill(plain, GOLD, 0)["wrong"].tolist() == [1, 2]


def test_pairs_equal_a_count_item_by_item():
    rng = np.random.default_rng(2)
    votes = rng.integers(-1, 4, (200, 5)).astype(np.int16)  # 3 is the set of classes 0 and 1
    means = {0: {0}, 1: {1}, 2: {2}, 3: {0, 1}}
    counts = pair_counts(votes, classes=CLASSES, class_sets=SETS)
    for j in range(5):
        for k in range(5):
            met = [(int(a), int(b)) for a, b in votes[:, [j, k]] if a >= 0 and b >= 0]
            assert counts.both[j, k] == len(met)
            assert counts.same[j, k] == sum(a == b for a, b in met)
            assert counts.conflicts[j, k] == sum(not means[a] & means[b] for a, b in met)
            between = drill_pair(votes, j, k, classes=CLASSES, class_sets=SETS)["conflicts"]
            assert len(between) == counts.conflicts[j, k]
    assert counts.either[0, 1] == ((votes[:, 0] >= 0) | (votes[:, 1] >= 0)).sum()
    assert drill_pair(VOTES, 0, 3, classes=CLASSES, class_sets=SETS)["conflicts"].tolist() == []
    assert drill_pair(VOTES, 1, 3, classes=CLASSES, class_sets=SETS)["conflicts"].tolist() == []
    assert drill_pair(VOTES, 0, 1, classes=CLASSES, class_sets=SETS)["conflicts"].tolist() == [1, 4]


def test_rows_of_many_columns_are_grouped_exactly():
    rng = np.random.default_rng(3)
    votes = rng.integers(-1, 3, (40, 90)).astype(np.int16)  # 4**90 does not fit into 64 bits
    votes[20:] = votes[:20]
    chosen = settle_most_conflicts(votes, 20)
    assert sorted(chosen) == list(range(20))


def test_the_items_that_settle_most_conflicts_by_hand():
    votes = np.array(
        [[0, 1, -1], [0, 1, -1], [0, 1, 2], [0, 1, -1], [0, 1, -1], [0, 0, 0], [-1] * 3]
    )
    # four items share one conflict of one pair (4); one item has three pairs (3)
    assert settle_most_conflicts(votes, 10).tolist() == [0, 2, 1, 3, 4]
    assert settle_most_conflicts(votes, 2).tolist() == [0, 2]
    assert settle_most_conflicts(votes[5:], 2).tolist() == []
    chosen = settle_most_conflicts(VOTES, 9, classes=CLASSES, class_sets=SETS)
    assert chosen.tolist() == [4, 1, 2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: analyse(VOTES, ["a"], classes=CLASSES, class_sets=SETS), "give one per LF"),
        (lambda: analyse(VOTES, NAMES, classes=CLASSES), "must lie between"),
        (lambda: analyse(VOTES % 3, NAMES, classes=CLASSES, gold=GOLD[:2]), "gold must hold 6"),
        (lambda: analyse(VOTES % 3, NAMES, classes=CLASSES, gold=GOLD + 1), "gold must hold"),
        (
            lambda: analyse(VOTES % 3, NAMES, classes=CLASSES, posterior=np.full((2, 3), 1 / 3)),
            "6 rows like votes",
        ),
        (lambda: drill(VOTES, GOLD, 0, class_sets=SETS), "pass classes="),
    ],
)
def test_wrong_input(call, message):
    with pytest.raises(DataError, match=message):
        call()

"""Findings about sets of LFs, on planted faults."""

from __future__ import annotations

import numpy as np
import pytest

from labeling_functions import find_problems
from labeling_functions.checks import dependence
from weaklight.contracts import ClassSet

CLASSES = ("a", "b")


def planted(n: int, accuracies: list[float], *, coverage: float = 0.5, seed: int = 0):
    """Return gold and LFs that err and abstain independently of one another, given the class."""
    rng = np.random.default_rng(seed)
    gold = rng.integers(0, 2, n)
    votes = np.full((n, len(accuracies)), -1, np.int16)
    for j, accuracy in enumerate(accuracies):
        voted = rng.random(n) < coverage
        votes[voted, j] = np.where(rng.random(n) < accuracy, gold, 1 - gold)[voted]
    return gold, votes


def kinds(votes, gold=None, **options):
    names = [f"lf{j}" for j in range(votes.shape[1])]
    found = find_problems(votes, names, classes=CLASSES, gold=gold, **options)
    return {(finding.kind, finding.lfs) for finding in found}


def test_good_independent_lfs_get_no_finding():
    gold, votes = planted(2000, [0.9, 0.8, 0.7, 0.6, 0.75])
    assert kinds(votes, gold) == set()


def test_an_lf_that_never_votes_is_named_with_what_to_do():
    _, votes = planted(100, [0.9])
    votes = np.column_stack([votes, np.full(100, -1, np.int16)])
    (finding,) = find_problems(votes, ["good", "mute"], classes=CLASSES)
    assert finding.kind == "never votes" and finding.lfs == ("mute",)
    assert "100 items" in finding.sentence and "delete it" in finding.sentence


def test_an_lf_that_votes_on_dev_alone_peeks():
    gold = np.where(np.arange(400) < 100, np.arange(400) % 2, -1)
    votes = np.full((400, 3), -1, np.int16)
    votes[:10, 0] = gold[:10]  # by chance one of 4 ** 10 times
    votes[:3, 1] = gold[:3]  # one of 64 times: nothing is said
    votes[:410:10, 2] = 0  # as often everywhere
    assert kinds(votes, gold) == {("dev alone", ("lf0",))}
    # votes on test items do not acquit it
    votes[390:, 0] = 0
    assert kinds(votes, gold) == set()
    unlabeled = (np.arange(400) >= 100) & (np.arange(400) < 390)
    assert kinds(votes, gold, is_unlabeled=unlabeled) == {("dev alone", ("lf0",))}


def test_two_right_of_five_is_not_below_chance_but_twenty_of_forty_of_a_common_class_is():
    gold = np.repeat([0, 1], 25)
    votes = np.full((50, 1), -1, np.int16)
    votes[[0, 1, 25, 26, 27]] = 0  # right on 2 of 5
    assert kinds(votes, gold) == set()
    gold = np.repeat([0, 1], [80, 20])
    votes = np.full((100, 1), -1, np.int16)
    votes[60:, 0] = 0  # right on 20 of 40, where blind votes would be on 80 %
    assert kinds(votes, gold) == {("below chance", ("lf0",))}
    assert kinds(votes) == set()  # nothing is said of accuracy without gold


def test_a_class_set_is_judged_by_its_members():
    gold = np.repeat([0, 1, 2], [40, 40, 20])
    votes = np.full((100, 1), 3, np.int16)
    votes[80:] = -1  # "a or b" wherever that is so
    found = find_problems(
        votes, ["ab"], classes=("a", "b", "c"), class_sets=(ClassSet("ab", (0, 1)),), gold=gold
    )
    assert found == []


def test_copies_and_subsets_are_told_apart():
    _, votes = planted(1000, [0.8, 0.8], coverage=0.4)
    copy, part = votes[:, 0].copy(), votes[:, 1].copy()
    copy[np.flatnonzero(copy >= 0)[:5]] = -1
    part[::2] = -1
    found = kinds(np.column_stack([votes, copy, part]))
    assert found == {("copy", ("lf0", "lf2")), ("subset", ("lf3", "lf1"))}


def test_lfs_with_a_common_source_of_errors_are_one_group():
    gold, votes = planted(2000, [0.8, 0.8, 0.8, 0.8, 0.8])
    rng = np.random.default_rng(1)
    source = votes[:, 0]
    for j in (1, 2):  # say what the first says, mostly
        follows = rng.random(2000) < 0.85
        votes[follows, j] = source[follows]
    assert kinds(votes, gold) == {("dependent", ("lf0", "lf1", "lf2"))}


def test_dependence_equals_shuffling_within_each_class():
    gold, votes = planted(60, [0.8, 0.7], coverage=0.7, seed=3)
    same, expected, z, _ = dependence(votes, gold)
    assert same[0, 1] == ((votes[:, 0] == votes[:, 1]) & (votes[:, 0] >= 0)).sum()
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(20_000):
        order = np.arange(60)
        for group in (0, 1):
            rows = np.flatnonzero(gold == group)
            order[rows] = rng.permutation(rows)
        shuffled = votes[order, 1]
        draws.append(((votes[:, 0] == shuffled) & (shuffled >= 0)).sum())
    assert expected[0, 1] == pytest.approx(np.mean(draws), abs=0.08)
    assert z[0, 1] == pytest.approx((same[0, 1] - np.mean(draws)) / np.std(draws), abs=0.05)


def test_independent_lfs_are_called_dependent_no_more_often_than_promised():
    alarms = 0
    for seed in range(200):
        gold, votes = planted(300, [0.9, 0.8, 0.7, 0.6], seed=seed)
        alarms += any(kind == "dependent" for kind, _ in kinds(votes, gold))
    assert alarms <= 6  # 1 % of 200 is 2; more than 6 has a chance below 1 in 200

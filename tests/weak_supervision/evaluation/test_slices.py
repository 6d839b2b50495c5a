import numpy as np
import pytest

from weak_supervision.evaluation import slice_accuracy
from weaklight.errors import DataError
from weaklight.intervals import Proportion, wilson_share


def test_counts_by_hand_and_says_too_few() -> None:
    gold = np.array([0] * 40 + [1] * 10 + [-1] * 5)
    labels = np.array([0] * 20 + [1] * 20 + [1] * 9 + [0] + [0] * 5)
    site = np.array(["a"] * 40 + ["b"] * 15, dtype=object)
    a, b = slice_accuracy(labels, gold, {"site": site})
    assert (a.value, a.accuracy) == ("a", Proportion(20, 40))
    assert (b.value, b.accuracy, b.verdict) == ("b", Proportion(9, 10), "too few")


def test_missing_numbers_and_rare_values_have_slices_of_their_own() -> None:
    n = 400
    gold = np.zeros(n, dtype=int)
    age = np.arange(n, dtype=float)
    age[:50] = np.nan
    who = np.array([f"p{i % 100}" for i in range(n)], dtype=object)
    found = slice_accuracy(gold, gold, {"age": age, "who": who})
    ages = [s for s in found if s.column == "age"]
    assert sorted(s.accuracy.n for s in ages) == [50, 87, 87, 88, 88]  # quarters of 350
    people = {s.value: s.accuracy.n for s in found if s.column == "who"}
    assert people.pop("other") == n - 12 * 4 and set(people.values()) == {4}


def test_a_bad_slice_is_found_and_chance_is_not() -> None:
    rng = np.random.default_rng(0)
    accused = 0
    for _ in range(200):  # nothing to find: all slices alike
        right = rng.random(800) < 0.8
        slices = slice_accuracy(
            np.where(right, 0, 1), np.zeros(800, int), {"s": rng.integers(0, 10, 800)}
        )
        accused += any(s.verdict in ("worse", "better") for s in slices)
    assert accused <= 20  # 5 % corrected for ten slices; uncorrected it is some 70 of 200
    part = rng.integers(0, 10, 2000)
    right = rng.random(2000) < np.where(part == 3, 0.55, 0.85)
    slices = slice_accuracy(np.where(right, 0, 1), np.zeros(2000, int), {"s": part})
    assert [s.value for s in slices if s.verdict == "worse"] == ["3"]


def test_slices_count_rows_by_the_inverse_of_their_chance() -> None:
    # site a: 10 right rows of weight 3, 30 wrong ones of weight 1; site b: 10 right ones
    gold = np.zeros(50, int)
    labels = np.repeat([0, 1, 0], [10, 30, 10])
    site = np.repeat(["a", "b"], [40, 10])
    chance = np.repeat([0.3, 0.9, 0.9], [10, 30, 10])
    a, b = slice_accuracy(labels, gold, {"site": site}, chance)
    assert (a.value, a.accuracy.value, a.accuracy.n) == ("a", pytest.approx(0.5), 40)
    # p (1 - p) / variance, where the variance is 0.5^2 (10 * 3^2 + 30 * 1^2) / 60^2
    assert a.accuracy.effective_n == pytest.approx(30)
    assert (b.accuracy.value, b.verdict) == (1.0, "too few")  # ten rows, whatever they stand for
    plain = slice_accuracy(labels, gold, {"site": site})
    assert plain[0].accuracy == Proportion(10, 40)


def test_few_rows_that_stand_for_many_accuse_no_slice() -> None:
    # site a: 50 light rows and 10 that stand for 20 each, right on (35 + 80) / 250; b: 180 of 200
    labels = np.repeat([0, 1, 0, 1, 0, 1], [35, 15, 4, 6, 180, 20])
    site = np.repeat(["a", "b"], [60, 200])
    chance = np.repeat([1.0, 0.05, 1.0], [50, 10, 200])
    a, _ = slice_accuracy(labels, np.zeros(260, int), {"site": site}, chance)
    assert a.accuracy.value == pytest.approx(0.46) and a.verdict == "as the whole"
    _, high = wilson_share(0.46, 60, 0.975)
    assert high < (115 + 180) / 450  # sixty rows of one weight would have accused it


def test_columns_must_fit() -> None:
    with pytest.raises(DataError, match="one value for each of 3 labels"):
        slice_accuracy([0, 0, 0], [0, 0, 0], {"site": ["a"]})

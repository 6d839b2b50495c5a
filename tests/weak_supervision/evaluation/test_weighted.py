import numpy as np
import pytest

from weak_supervision.evaluation import (
    accuracy,
    chance_over_draws,
    class_accuracy,
    compare_paired,
    compare_weighted,
    crossover_curve,
    quality,
    sensitivity,
    share,
)
from weaklight.errors import DataError
from weaklight.intervals import Proportion


def test_chances_over_draws_are_how_often_items_are_drawn() -> None:
    """Draws for test, dev and test again, from 40 items, 60 and 90."""
    pools, sizes, is_test = (40, 60, 90), (10, 15, 20), (True, False, True)
    rng, times = np.random.default_rng(0), np.zeros(90)
    for _ in range(4000):
        left = np.zeros(90, dtype=bool)
        frames, before = [], 0
        for pool, size, counts in zip(pools, sizes, is_test, strict=True):
            left[before:pool] = True
            before = pool
            frame = np.flatnonzero(left)
            frames.append(len(frame))
            drawn = rng.choice(frame, size, replace=False)
            left[drawn] = False
            times[drawn] += counts
    share = np.array(sizes) / frames
    chance = chance_over_draws(share, share * is_test, np.repeat([0, 1, 2], [40, 20, 30]))
    groups = [slice(0, 40), slice(40, 60), slice(60, 90)]
    found = [times[group].mean() / 4000 for group in groups]
    assert found == pytest.approx([chance[group].mean() for group in groups], abs=0.006)
    assert np.ptp([chance[group].mean() for group in groups]) > 0.1


def test_equal_chances_give_wilson() -> None:
    found = accuracy([0] * 45 + [1] * 5, [0] * 50, [0.1] * 50)
    plain = Proportion(45, 50)
    assert found.value == pytest.approx(0.9)
    assert found.interval == pytest.approx(plain.interval)
    assert found.effective_n == pytest.approx(50)


def test_rare_rows_count_for_little() -> None:
    # by hand: weights 2 and 20; wrong 40 * 2 = 80, right 40 * 20 = 800
    found = accuracy([1] * 40 + [0] * 40, [0] * 80, [0.5] * 40 + [0.05] * 40)
    assert found.value == pytest.approx(800 / 880)


def test_all_right_leaves_kish_to_bound_the_rows() -> None:
    found = accuracy([0] * 4, [0] * 4, [1.0, 1.0, 0.1, 0.1])
    assert found.effective_n == pytest.approx(22**2 / (2 * 1 + 2 * 100))
    assert found.value == 1.0 and found.interval[0] < 0.6


def test_all_right_is_certain_to_the_last_digit() -> None:
    """Weights that do not sum to exactly 1 leave no trace: one is one, and rows are Kish's."""
    chance = np.random.default_rng(0).uniform(0.001, 1, 999)
    weight = 1 / chance
    for is_true, value in ((np.ones(999), 1.0), (np.zeros(999), 0.0)):
        found = share(is_true, chance)
        assert found.value == value
        assert found.effective_n == pytest.approx(weight.sum() ** 2 / (weight**2).sum())


def test_an_error_among_rows_that_count_little_makes_nothing_surer() -> None:
    chance = np.repeat([0.5, 0.05], 40)
    right = np.ones(80, dtype=bool)
    flawless = share(right, chance)
    right[0] = False
    flawed = share(right, chance)
    assert flawed.value < flawless.value
    assert flawed.interval[0] < flawless.interval[0]


def test_intervals_cover_where_rows_that_count_much_err_seldom() -> None:
    """Forty common rows that err once in twenty often show no error, forty rare ones show many."""
    rng = np.random.default_rng(3)
    is_rare = np.arange(20_000) < 200
    right = rng.random(20_000) < np.where(is_rare, 0.6, 0.95)
    chance = np.where(is_rare, 40 / 200, 40 / 19_800)
    covered = 0
    for _ in range(600):
        drawn = np.flatnonzero(rng.random(20_000) < chance)
        low, high = share(right[drawn], chance[drawn]).interval
        covered += low <= right.mean() <= high
    assert covered >= 0.95 * 600


def test_rows_of_a_part_alone() -> None:
    # by hand: of rows 0, 1 and 3 with weights 2, 4 and 10, the last two are true
    found = share([False, True, True, True], [0.5, 0.25, 0.9, 0.1], np.array([0, 1, 3]))
    assert found.value == pytest.approx(14 / 16) and found.n == 3


def test_every_measure_of_accuracy_counts_alike() -> None:
    labels, gold, chance = [0, 1, 1, 0], [0, 0, 1, -1], [0.5, 0.25, 0.1, 0.0]  # weights 2, 4, 10
    assert accuracy(labels, gold, chance).value == pytest.approx(12 / 16)
    assert [c.value for c in class_accuracy(labels, gold, 2, chance)] == pytest.approx([2 / 6, 1])
    found = quality(labels, gold, [True, False, True, True], chance)
    assert (found.coverage.value, found.covered.value) == pytest.approx((12 / 16, 1))
    changed = {"swapped": np.array([1, 0, 1, 0])}
    moved = sensitivity(np.array(labels), changed, np.array(gold), chance)
    assert moved.accuracies == pytest.approx((14 / 16,))
    (point,) = crossover_curve(
        lambda rows: labels[:3],
        gold[:3],
        n_gold=1,
        sizes=(),
        draws=1,
        probability=chance[:3],
        seed=0,
    )
    assert point.mean == pytest.approx(12 / 16)


def test_intervals_cover_the_pool_at_their_rate() -> None:
    rng = np.random.default_rng(1)
    gold = rng.choice(3, size=20_000, p=[0.8, 0.17, 0.03])
    right = rng.random(len(gold)) < np.array([0.9, 0.7, 0.4])[gold]
    labels = np.where(right, gold, (gold + 1) % 3)
    truth = right.mean()
    chance = np.array([0.005, 0.03, 0.15])[gold]
    weighted = unweighted = 0
    for _ in range(400):
        drawn = np.flatnonzero(rng.random(len(gold)) < chance)
        found = accuracy(labels[drawn], gold[drawn], chance[drawn])
        low, high = found.interval
        weighted += low <= truth <= high
        low, high = Proportion(int(right[drawn].sum()), len(drawn)).interval
        unweighted += low <= truth <= high
    assert weighted >= 0.92 * 400
    assert unweighted < 0.2 * 400  # what weighting is for


def test_impossible_chances_are_refused() -> None:
    with pytest.raises(DataError, match="must lie above 0"):
        accuracy([0, 0], [0, 0], [0.5, 0.0])
    with pytest.raises(DataError, match="one probability for each of 2"):
        accuracy([0, 0], [0, 0], [0.5])
    assert accuracy([0], [-1], [0.5]).value is None


def test_differences_by_hand_and_equal_chances_as_the_plain_comparison() -> None:
    first = np.r_[np.ones(60), np.zeros(40)].astype(bool)
    second = np.r_[np.ones(30), np.zeros(50), np.ones(20)].astype(bool)
    even = compare_weighted(first, second, np.full(100, 0.2))
    plain = compare_paired(first, second)
    assert even.difference == pytest.approx(plain.difference) == pytest.approx(0.1)
    assert (even.low, even.high) == pytest.approx((plain.low, plain.high), abs=0.01)
    # the 30 that only the first has right stand for 2 rows each, the others for 20
    chance = np.where(first & ~second, 0.5, 0.05)
    found = compare_weighted(first, second, chance)
    assert found.difference == pytest.approx((30 * 2 - 20 * 20) / (30 * 2 + 70 * 20))
    assert found.verdict == "worse" and (found.only_first, found.only_second) == (30, 20)


def test_intervals_of_differences_cover_the_pool_at_their_rate() -> None:
    rng = np.random.default_rng(2)
    kind = rng.choice(3, size=20_000, p=[0.8, 0.17, 0.03])
    first, second = (
        rng.random(len(kind)) < np.array(rates)[kind] for rates in ([0.9, 0.7, 0.4], [0.85, 0.8, 1])
    )
    truth = first.mean() - second.mean()
    chance = np.array([0.01, 0.03, 0.15])[kind]
    covered = 0
    for _ in range(300):
        drawn = np.flatnonzero(rng.random(len(kind)) < chance)
        found = compare_weighted(first[drawn], second[drawn], chance[drawn])
        covered += found.low <= truth <= found.high
    assert covered >= 0.92 * 300
    same = compare_weighted([True] * 50, [True] * 50, [0.1] * 50)
    assert same.low < 0 < same.high and same.p_value == 1  # no claim of certainty

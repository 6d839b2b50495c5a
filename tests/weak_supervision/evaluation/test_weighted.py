import numpy as np
import pytest

from weak_supervision.evaluation import weighted_accuracy
from weaklight.errors import DataError
from weaklight.intervals import Proportion


def test_equal_chances_give_wilson() -> None:
    found = weighted_accuracy([0] * 45 + [1] * 5, [0] * 50, [0.1] * 50)
    plain = Proportion(45, 50)
    assert found.value == pytest.approx(0.9)
    assert (found.low, found.high) == pytest.approx(plain.interval)
    assert found.effective_n == pytest.approx(50)


def test_rare_rows_count_for_little() -> None:
    # by hand: weights 2 and 20; wrong 40 * 2 = 80, right 40 * 20 = 800
    found = weighted_accuracy([1] * 40 + [0] * 40, [0] * 80, [0.5] * 40 + [0.05] * 40)
    assert found.value == pytest.approx(800 / 880)


def test_all_right_leaves_kish_to_bound_the_rows() -> None:
    found = weighted_accuracy([0] * 4, [0] * 4, [1.0, 1.0, 0.1, 0.1])
    assert found.effective_n == pytest.approx(22**2 / (2 * 1 + 2 * 100))
    assert found.value == 1.0 and found.low < 0.6


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
        found = weighted_accuracy(labels[drawn], gold[drawn], chance[drawn])
        weighted += found.low <= truth <= found.high
        low, high = Proportion(int(right[drawn].sum()), len(drawn)).interval
        unweighted += low <= truth <= high
    assert weighted >= 0.92 * 400
    assert unweighted < 0.2 * 400  # what weighting is for


def test_impossible_chances_are_refused() -> None:
    with pytest.raises(DataError, match="must lie above 0"):
        weighted_accuracy([0, 0], [0, 0], [0.5, 0.0])
    with pytest.raises(DataError, match="one probability for each of 2"):
        weighted_accuracy([0, 0], [0, 0], [0.5])
    assert weighted_accuracy([0], [-1], [0.5]).value is None

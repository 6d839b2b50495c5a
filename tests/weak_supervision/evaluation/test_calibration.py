import numpy as np
import pytest
from scipy.stats import binom

from weak_supervision.evaluation import calibration
from weaklight.errors import DataError
from weaklight.intervals import Proportion


def planted(n: int, k: int, seed: int, power: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Gold drawn from the probabilities; the stated ones are those raised to ``power``."""
    generator = np.random.default_rng(seed)
    true = generator.dirichlet(np.full(k, 0.5), size=n)
    gold = (generator.random((n, 1)) > true.cumsum(axis=1)).sum(axis=1).clip(0, k - 1)
    stated = true**power + 1e-9
    return stated / stated.sum(axis=1, keepdims=True), gold


def test_hand_computed() -> None:
    # two bins of two rows: confidences .6 .6 | .9 .9, one of two right in each
    probabilities = np.array([[0.6, 0.4], [0.4, 0.6], [0.9, 0.1], [0.1, 0.9]])
    result = calibration(probabilities, [0, 0, 0, 0], n_bins=2, seed=0)
    assert result.n == 4
    assert [b.accuracy for b in result.bins] == [Proportion(1, 2), Proportion(1, 2)]
    assert [round(b.confidence, 6) for b in result.bins] == [0.6, 0.9]
    assert result.ece == pytest.approx(0.5 * 0.1 + 0.5 * 0.4)
    assert result.brier == pytest.approx((2 * 0.16 + 2 * 0.36 + 2 * 0.01 + 2 * 0.81) / 4)
    expected = -(np.log(0.6) + np.log(0.4) + np.log(0.9) + np.log(0.1)) / 4
    assert result.log_loss == pytest.approx(expected)


def test_weights_by_hand() -> None:
    # weights 1, 3 | 2, 2, which sum to 8; confidences .6 .6 | .9 .9; right: first and third row
    probabilities = np.array([[0.6, 0.4], [0.4, 0.6], [0.9, 0.1], [0.1, 0.9]])
    chance = [0.6, 0.2, 0.3, 0.3]
    result = calibration(probabilities, [0, 0, 0, 0], probability=chance, n_bins=2, seed=0)
    assert [b.accuracy.value for b in result.bins] == pytest.approx([1 / 4, 1 / 2])
    assert [b.accuracy.n for b in result.bins] == [2, 2]
    assert result.accuracy.value == pytest.approx(3 / 8)
    assert result.ece == pytest.approx((4 * 0.35 + 4 * 0.4) / 8)
    assert result.brier == pytest.approx(2 * (0.16 + 3 * 0.36 + 2 * 0.01 + 2 * 0.81) / 8)
    expected = -(np.log(0.6) + 3 * np.log(0.4) + 2 * np.log(0.9) + 2 * np.log(0.1)) / 8
    assert result.log_loss == pytest.approx(expected)
    assert result.mean_confidence == pytest.approx(0.75)


def test_equal_chances_change_nothing() -> None:
    probabilities, gold = planted(200, 3, seed=0)
    plain = calibration(probabilities, gold, seed=0)
    even = calibration(probabilities, gold, probability=np.full(200, 0.3), seed=0)
    assert (even.ece, even.brier) == pytest.approx((plain.ece, plain.brier))
    assert even.null_high == pytest.approx(plain.null_high, rel=0.03)


@pytest.mark.parametrize("by_class", [True, False])
def test_a_calibrated_model_is_not_accused_whatever_the_chances(by_class: bool) -> None:
    """Drawn 8 : 2 : 1 by class (taking hits as stated accuses a third) or by label."""
    accused = {1: 0, 2: 0}
    for power in accused:
        for seed in range(100):
            probabilities, gold = planted(1200, 3, seed, power)
            key = gold if by_class else probabilities.argmax(axis=1)
            chance = np.array([0.8, 0.2, 0.1])[key]
            drawn = np.random.default_rng(seed + 999).random(1200) < chance
            found = calibration(
                probabilities[drawn], gold[drawn], probability=chance[drawn], seed=seed
            )
            accused[power] += not found.is_within_band
    assert accused[1] <= 12  # 5 expected, three sigma
    assert accused[2] >= 70


def test_equal_confidences_share_a_bin_and_row_order_does_not_matter() -> None:
    generator = np.random.default_rng(0)
    top = generator.choice([0.5, 0.75, 1.0], size=90)
    probabilities = np.stack([top, 1 - top], axis=1)
    gold = generator.integers(0, 2, size=90)
    first = calibration(probabilities, gold, n_bins=9, seed=0)
    order = generator.permutation(90)
    assert len(first.bins) == 3
    assert calibration(probabilities[order], gold[order], n_bins=9, seed=0) == first


def test_the_null_is_what_calibrated_models_show() -> None:
    """Its mean and 95th percentile are those of ECEs measured on 200 fresh sets of gold."""
    generator = np.random.default_rng(0)
    probabilities, gold = planted(300, 4, seed=1)
    null = calibration(probabilities, gold, n_bins=15, seed=0)
    fresh = [
        calibration(
            probabilities,
            (generator.random((300, 1)) > probabilities.cumsum(axis=1)).sum(axis=1).clip(0, 3),
            n_bins=15,
            seed=0,
        ).ece
        for _ in range(200)
    ]
    assert null.null_mean == pytest.approx(np.mean(fresh), abs=0.005)
    assert null.null_high == pytest.approx(np.quantile(fresh, 0.95), abs=0.012)


def test_the_band_of_a_bin_holds_what_chance_allows() -> None:
    sure = np.column_stack([np.full(100, 0.8), np.full(100, 0.2)])
    (found,) = calibration(sure, np.arange(100) % 2, n_bins=1, seed=0).bins
    expected = binom.ppf([0.025, 0.975], 100, 0.8) / 100
    assert (found.low, found.high) == pytest.approx(expected, abs=0.011)


def test_a_certain_mistake_has_a_price() -> None:
    certain = np.array([[1.0, 0.0]])
    assert calibration(certain, [1], seed=0).log_loss == pytest.approx(12 * np.log(10))


def test_the_null_shrinks_with_the_root_of_n() -> None:
    few, many = (calibration(*planted(n, 4, seed=1), n_bins=15, seed=0) for n in (300, 2700))
    assert few.null_mean / many.null_mean == pytest.approx(3, rel=0.15)


def test_the_band_is_left_in_five_of_a_hundred_calibrated_models() -> None:
    outside = [not calibration(*planted(200, 3, seed=s), seed=s).is_within_band for s in range(200)]
    assert np.mean(outside) == pytest.approx(0.05, abs=0.047)  # three sigma


def test_over_and_underconfidence_are_named() -> None:
    assert calibration(*planted(1500, 3, 0, power=3), seed=0).verdict.startswith("overconfident")
    assert calibration(*planted(1500, 3, 0, power=0.3), seed=0).verdict.startswith("underconf")
    assert calibration(*planted(1500, 3, 0), seed=0).verdict.startswith("no sign")


def test_a_bin_never_holds_under_twenty_rows_by_default() -> None:
    result = calibration(*planted(90, 3, 0), seed=0)
    assert len(result.bins) == 4
    assert min(b.accuracy.n for b in result.bins) >= 20


def test_one_class_and_rows_without_gold() -> None:
    result = calibration(np.ones((30, 1)), [0] * 29 + [-1], seed=0)
    assert (result.n, result.ece, result.brier, result.log_loss) == (29, 0.0, 0.0, 0.0)


def test_no_gold_is_an_error() -> None:
    with pytest.raises(DataError, match="needs rows with gold"):
        calibration(np.full((3, 2), 0.5), [-1, -1, -1], seed=0)
    with pytest.raises(DataError, match="one gold label per row"):
        calibration(np.full((3, 2), 0.5), [0, 1], seed=0)

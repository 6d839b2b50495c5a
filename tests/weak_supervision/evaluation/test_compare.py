import numpy as np
import pytest
from scipy.stats import binomtest

from weak_supervision.evaluation import compare_paired
from weaklight.errors import DataError


def test_hand_computed() -> None:
    first = [True, True, True, False, False]
    second = [True, False, False, True, False]
    result = compare_paired(first, second, seed=0)
    assert (result.n, result.only_first, result.only_second) == (5, 2, 1)
    assert result.difference == pytest.approx(0.2)
    assert result.p_value == pytest.approx(1.0)  # P(at least 2 of 3, either side) = 1
    assert result.verdict == "no clear difference"


@pytest.mark.parametrize(("b", "c"), [(0, 0), (7, 0), (30, 12), (400, 300)])
def test_mcnemar_is_the_exact_binomial_test(b: int, c: int) -> None:
    first = [True] * b + [False] * c + [True] * 5
    second = [False] * b + [True] * c + [True] * 5
    expected = binomtest(b, b + c).pvalue if b + c else 1.0
    assert compare_paired(first, second).p_value == pytest.approx(expected)


def test_swapping_the_two_swaps_the_sign() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.random(300) < 0.8, generator.random(300) < 0.6
    one, other = compare_paired(first, second), compare_paired(second, first)
    assert one.difference == -other.difference
    assert one.verdict == "better"
    assert other.verdict == "worse"
    assert one == compare_paired(first, second)


def test_no_disagreement_does_not_claim_certainty() -> None:
    result = compare_paired([True] * 10, [True] * 10)
    assert result.low < 0 < result.high
    assert result.p_value == 1.0


def test_the_interval_covers_at_nominal_rate() -> None:
    generator = np.random.default_rng(5)
    inside = []
    for trial in range(200):
        both = generator.random(150) < 0.5
        first = both | (generator.random(150) < 0.4)
        second = both | (generator.random(150) < 0.2)
        result = compare_paired(first, second, seed=trial)
        inside.append(result.low <= 0.1 <= result.high)  # 0.5 * (0.4 - 0.2)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.047)  # three sigma


def test_a_row_that_one_alone_has_right_the_other_has_not() -> None:
    first = [True] * 600 + [False] * 400
    second = [False] * 600 + [True] * 200 + [False] * 200
    found = compare_paired(first, second)
    error = ((0.6 + 0.2 - 0.4**2) / 1000) ** 0.5  # of two independent samples: 0.4 in place of 0.64
    assert (found.low, found.high) == pytest.approx(
        (0.4 - 1.96 * error, 0.4 + 1.96 * error), abs=3e-3
    )


def test_unaligned_rows_are_an_error() -> None:
    with pytest.raises(DataError, match="same rows"):
        compare_paired([True], [True, False])
    with pytest.raises(DataError, match="at least one row"):
        compare_paired([], [])

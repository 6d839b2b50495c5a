import numpy as np
import pytest

from weak_supervision.evaluation import confusion_matrix
from weaklight.errors import DataError
from weaklight.intervals import Proportion

GOLD = [0, 0, 0, 1, 1, 2, -1]
LABELS = [0, 1, 1, 1, -1, 0, 2]


def test_hand_computed() -> None:
    matrix = confusion_matrix(GOLD, LABELS, 3)
    np.testing.assert_array_equal(matrix.counts, [[1, 2, 0], [0, 1, 0], [1, 0, 0]])
    np.testing.assert_array_equal(matrix.abstained, [0, 1, 0])
    assert matrix.recall == (Proportion(1, 3), Proportion(1, 2), Proportion(0, 1))
    assert matrix.precision == (Proportion(1, 2), Proportion(1, 3), Proportion(0, 0))
    np.testing.assert_array_equal(matrix.shares, matrix.counts / 6)
    assert matrix.worst() == [(0, 1), (2, 0)]
    assert matrix.worst(1) == [(0, 1)]


def test_rows_count_by_the_inverse_of_their_chance() -> None:
    # weights 1, 1, 1, 2, 4, 10 of 19; the last row has no gold, so its chance does not matter
    matrix = confusion_matrix(GOLD, LABELS, 3, [1, 1, 1, 0.5, 0.25, 0.1, np.nan])
    np.testing.assert_array_equal(matrix.counts, confusion_matrix(GOLD, LABELS, 3).counts)
    expected = np.array([[1, 2, 0], [0, 2, 0], [10, 0, 0]]) / 19
    np.testing.assert_allclose(matrix.shares, expected)
    assert [r.value for r in matrix.recall] == pytest.approx([1 / 3, 2 / 6, 0])
    assert [p.value for p in matrix.precision] == [pytest.approx(1 / 11), pytest.approx(0.5), None]
    assert matrix.worst() == [(2, 0), (0, 1)]  # the other way round where rows count alike


def test_permuting_classes_permutes_the_matrix() -> None:
    generator = np.random.default_rng(0)
    gold, labels = generator.integers(0, 4, 200), generator.integers(-1, 4, 200)
    order = np.array([2, 0, 3, 1])
    renamed = np.append(order, -1)  # the last entry keeps -1 as it is
    matrix = confusion_matrix(gold, labels, 4)
    permuted = confusion_matrix(order[gold], renamed[labels], 4)
    np.testing.assert_array_equal(permuted.counts[np.ix_(order, order)], matrix.counts)
    np.testing.assert_array_equal(permuted.abstained[order], matrix.abstained)


def test_empty_and_out_of_range() -> None:
    assert confusion_matrix([], [], 2).counts.sum() == 0
    assert confusion_matrix([-1], [0], 2).worst() == []
    with pytest.raises(DataError, match="below 2"):
        confusion_matrix([0], [2], 2)

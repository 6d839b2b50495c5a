import numpy as np
import pytest

from weak_supervision.label_models.ballots import collect, distinct_rows
from weaklight.contracts import ClassSet


@pytest.mark.parametrize(("m", "n_symbols"), [(1, 2), (7, 3), (60, 2), (140, 10), (9, 5000)])
def test_distinct_rows_are_those_that_numpy_finds(m, n_symbols):
    rng = np.random.default_rng(m)
    patterns = rng.integers(-1, n_symbols, (40, m)).astype(np.int16)
    patterns[1] = patterns[0]
    patterns[1, -1] = (patterns[0, -1] + 2) % n_symbols - 1  # as alike as two rows can be
    votes = patterns[rng.integers(0, 40, 500)]
    first, inverse = distinct_rows(votes, n_symbols)
    np.testing.assert_array_equal(votes[first][inverse], votes)
    assert len(first) == len(np.unique(votes, axis=0))
    # the first occurrence, and an order that the rows alone decide
    assert all((votes[: first[i]] != votes[first[i]]).any(axis=1).all() for i in range(len(first)))
    order = rng.permutation(500)
    again, _ = distinct_rows(votes[order], n_symbols)
    np.testing.assert_array_equal(votes[order][again], votes[first])


def test_tokens_by_hand():
    votes = np.array([[0, 2], [-1, 1], [0, 2]], dtype=np.int16)
    ballots = collect(votes, n_classes=2, class_sets=(ClassSet("any", (0, 1)),))
    assert ballots.rows.tolist() == [[-1, 1], [0, 2]] and ballots.counts.tolist() == [1, 2]
    assert ballots.tokens().toarray().tolist() == [[0, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, 1]]
    loud = ballots.tokens(hears_silence=True).toarray()
    assert loud.tolist() == [[0, 0, 0, 1, 0, 1, 0, 0], [1, 0, 0, 0, 0, 0, 1, 0]]


def test_rows_with_other_gold_stay_apart_and_a_classifier_keeps_all_apart():
    votes = np.array([[0], [0], [0]], dtype=np.int16)
    ballots = collect(votes, n_classes=2, gold=np.array([-1, 1, -1]))
    assert sorted(zip(ballots.gold.tolist(), ballots.counts.tolist(), strict=True)) == [
        (-1, 2),
        (1, 1),
    ]
    votes[1] = -1
    classifier = np.array([[0.25, 0.75], [0.5, 0.5], [1, 0]])
    ballots = collect(votes, n_classes=2, classifier=classifier)
    assert ballots.covered.all() and ballots.said().tolist() == [[1], [0], [1]]
    np.testing.assert_allclose(ballots.shares(np.array([0.5, 0.5]))[0], [0.625, 0.375])
    np.testing.assert_allclose(ballots.right(np.array([[1.0, 0], [0, 1], [0, 1]])), [0.5])

import numpy as np

from weak_supervision import dependence as module
from weak_supervision.dependence import count_votes, dependence, discount


def test_excess_agreement_by_hand(monkeypatch):
    """Two classes, known for certain; both functions are right on 3 of 4 items of each."""
    monkeypatch.setattr(module, "LEAN", 0.0)
    monkeypatch.setattr(module, "SHRINK", 0.0)
    truth = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    one = np.array([0, 0, 0, 1, 1, 1, 1, 0])
    same_errors = one.copy()
    other_errors = np.array([1, 0, 0, 0, 0, 1, 1, 1])
    half_alike = np.array([0, 0, 0, 1, 0, 1, 1, 1])
    votes = np.column_stack([one, same_errors, other_errors, half_alike]).astype(np.int16)
    found = dependence(count_votes(votes, 2), np.eye(2)[truth], 2)
    # independent ones would say the same on 8 (9/16 + 1/16) = 5 items and differ on 3
    expected = np.clip([(8 - 5) / 3, (4 - 5) / 3, (6 - 5) / 3], 0, 1)
    np.testing.assert_allclose(found[0, 1:], expected)
    np.testing.assert_array_equal(found, found.T)
    assert (np.diag(found) == 0).all()


def test_functions_that_only_say_one_thing_or_never_meet_depend_on_none():
    votes = np.full((40, 4), -1, dtype=np.int16)
    votes[:30, :2] = 1
    votes[:20, 2], votes[20:, 3] = 0, 0
    found = dependence(count_votes(votes, 2), np.full((40, 2), 0.5), 2)
    np.testing.assert_array_equal(found, 0.0)


def test_votes_share_their_weight_by_hand(monkeypatch):
    monkeypatch.setattr(module, "BLOCK_ROWS", 2)
    votes = np.array([[0, 0, 0], [0, 0, 1], [-1, 1, 1], [-1, -1, -1]], dtype=np.int16)
    dependent = np.array([[0.0, 1.0, 0.5], [1.0, 0.0, 0.0], [0.5, 0.0, 0.0]])
    weighted = discount(count_votes(votes, 2), dependent, 2).toarray()
    expected = np.zeros((4, 6))
    expected[0, [0, 2, 4]] = 1 / 2.5, 1 / 2, 1 / 1.5
    expected[1, [0, 2, 5]] = 1 / 2, 1 / 2, 1
    expected[2, [3, 5]] = 1, 1
    np.testing.assert_allclose(weighted, expected, rtol=1e-6)

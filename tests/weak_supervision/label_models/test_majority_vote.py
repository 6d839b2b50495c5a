import numpy as np

from weak_supervision.label_models import MajorityVote, covered, hard_labels
from weaklight.contracts import ClassSet


def test_majority_vote_by_hand():
    votes = np.array(
        [[0, 0, 0, 0, 0, 1], [2, -1, -1, -1, -1, -1], [0, 1, -1, -1, -1, -1], [-1] * 6]
    )
    posterior = MajorityVote().fit(votes, n_classes=3).predict_proba(votes)
    expected = [[5 / 6, 1 / 6, 0], [0, 0, 1], [0.5, 0.5, 0], [1 / 3] * 3]
    np.testing.assert_allclose(posterior, expected, rtol=1e-6)


def test_a_class_set_shares_one_voice_among_its_members():
    votes = np.array([[3, 1], [3, -1]])
    model = MajorityVote().fit(votes, n_classes=3, class_sets=(ClassSet("a or b", (0, 1)),))
    np.testing.assert_allclose(model.predict_proba(votes), [[0.25, 0.75, 0], [0.5, 0.5, 0]])


def test_an_uncovered_row_gets_the_class_balance():
    votes = np.array([[-1, -1], [0, 1]])
    model = MajorityVote().fit(votes, n_classes=2, class_balance=[3, 1])
    np.testing.assert_allclose(model.predict_proba(votes)[0], [0.75, 0.25])
    assert covered(votes).tolist() == [False, True]


def test_ties_follow_snorkels_rule():
    from snorkel.utils import probs_to_preds

    posterior = np.random.default_rng(0).integers(1, 3, (200, 4)).astype(float)
    posterior /= posterior.sum(axis=1, keepdims=True)
    assert hard_labels(posterior).tolist() == probs_to_preds(posterior).tolist()


def test_hard_labels_leave_uncovered_rows_open():
    assert hard_labels(np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([False, True])).tolist() == [
        -1,
        1,
    ]

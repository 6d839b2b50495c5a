import numpy as np
import pytest

from tests.weak_supervision.planted import planted
from weak_supervision.label_models import MajorityVote, WeightedVote, hard_labels
from weaklight.errors import DataError


def test_given_weights_by_hand():
    votes = np.array([[0, 1, 1], [0, 1, -1]])
    model = WeightedVote(lf_weights=[3, 1, 1]).fit(votes, n_classes=2)
    np.testing.assert_allclose(model.predict_proba(votes), [[0.6, 0.4], [0.75, 0.25]])
    model = WeightedVote(lf_weights=[1, 1, 1], weigh_classes=True)
    model.fit(votes, n_classes=2, class_balance=[0.8, 0.2])
    np.testing.assert_allclose(model.predict_proba(votes)[1], [0.8, 0.2], rtol=1e-6)


def test_gold_sets_the_weights_and_unjudged_lfs_weigh_like_the_average():
    votes = np.array([[0, 1, -1]] * 8 + [[1, 1, -1]] * 2 + [[-1, -1, 0]])
    gold = np.array([0] * 8 + [1] * 2 + [-1])
    model = WeightedVote().fit(votes, n_classes=2, gold=gold)
    typical = 12 / 20
    accuracy = (np.array([10, 2, 0]) + 2 * typical) / (np.array([10, 10, 0]) + 2)
    np.testing.assert_allclose(model.weights_, np.maximum(np.log(accuracy / (1 - accuracy)), 0))


def test_weights_help_where_lfs_differ():
    votes, truth, _ = planted(accuracies=(0.95, 0.9, 0.4, 0.4, 0.4), coverage=1.0)
    few = np.where(np.arange(len(truth)) < 40, truth, -1)
    counted = hard_labels(MajorityVote().fit(votes, n_classes=3).predict_proba(votes))
    agreed = hard_labels(WeightedVote().fit(votes, n_classes=3).predict_proba(votes))
    judged = hard_labels(WeightedVote().fit(votes, n_classes=3, gold=few).predict_proba(votes))
    right = [(labels == truth).mean() for labels in (counted, agreed, judged)]
    assert right[1] > right[0] + 0.03 and right[2] > right[0] + 0.03


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [1.0, np.nan]])
def test_wrong_weights_are_refused(weights):
    with pytest.raises(DataError, match="lf_weights must hold 2 numbers"):
        WeightedVote(lf_weights=weights).fit(np.array([[0, 1]]), n_classes=2)

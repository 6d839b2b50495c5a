import numpy as np
import pytest

from tests.weak_supervision.planted import planted
from tests.weak_supervision.real_data import labelme
from weak_supervision.label_models import MajorityVote, hard_labels
from weak_supervision.neighbors import build_graph
from weak_supervision.vote_extension import extend_votes
from weaklight.contracts import ClassSet
from weaklight.errors import DataError


def majority(votes, n_classes):
    return hard_labels(MajorityVote().fit(votes, n_classes=n_classes).predict_proba(votes))


def test_votes_reach_as_far_as_they_hold():
    """Items on a circle, their class by the side they lie on; an LF votes deep in one side."""
    rng = np.random.default_rng(0)
    turn = np.sort(rng.uniform(-np.pi, np.pi, 4000))
    x = np.column_stack([np.cos(turn), np.sin(turn)])
    truth = (turn > 0).astype(int)
    votes = np.full((4000, 3), -1)
    votes[:, 0] = np.where(rng.random(4000) < 0.3, truth, -1)
    votes[:, 1] = np.where(rng.random(4000) < 0.3, truth, -1)
    sparse = (np.abs(turn - 1.2) < 0.5) & (rng.random(4000) < 0.2)
    votes[sparse, 2] = 1
    extended = extend_votes(votes, build_graph(x, k=30), n_classes=2)
    gained = (extended.votes[:, 2] != -1) & (votes[:, 2] == -1)
    assert gained.sum() == extended.n_extended[2] > 300
    assert (extended.votes[gained, 2] == truth[gained]).all()
    kept = votes != -1
    np.testing.assert_array_equal(extended.votes[kept], votes[kept])


def test_features_that_know_nothing_extend_nothing_much():
    votes, _, _ = planted(n=2000, accuracies=(0.95, 0.95, 0.95, 0.95), coverage=0.4)
    noise = np.random.default_rng(0).normal(size=(2000, 8))
    extended = extend_votes(votes, build_graph(noise), n_classes=3)
    assert (extended.least_similarity == 1.0).all() and not extended.n_extended.any()


def test_extension_widens_coverage_and_keeps_accuracy_with_many_classes():
    votes, truth, x = planted(n=2000, n_classes=4, d=32, accuracies=(0.9,) * 6, coverage=0.15)
    extended = extend_votes(votes, build_graph(x), n_classes=4)
    before, after = (votes >= 0).any(axis=1).mean(), (extended.votes >= 0).any(axis=1).mean()
    assert after > before + 0.2
    assert (majority(extended.votes, 4) == truth).mean() > (
        majority(votes, 4) == truth
    ).mean() + 0.1


def test_too_few_witnesses_leave_an_lf_alone():
    votes, _, x = planted(n=300, d=8, accuracies=(0.9,), coverage=0.5)
    extended = extend_votes(votes, build_graph(x), n_classes=3)  # no other LF to check with
    np.testing.assert_array_equal(extended.votes, votes)
    assert extended.least_similarity.tolist() == [1.0]


def test_class_sets_and_items_without_neighbors():
    votes, truth, x = planted(n=600, d=8, coverage=0.3)
    votes = np.column_stack([votes, np.where(truth < 2, 3, -1)])
    x[:10] = np.nan
    extended = extend_votes(
        votes, build_graph(x), n_classes=3, class_sets=(ClassSet("a or b", (0, 1)),)
    )
    np.testing.assert_array_equal(extended.votes[:10], votes[:10])
    with pytest.raises(DataError, match="same items"):
        extend_votes(votes[:5, :5], build_graph(x), n_classes=3)


def test_labelmes_annotators_reach_further():
    votes, features, gold = labelme()
    extended = extend_votes(votes, build_graph(features), n_classes=8)
    assert (majority(extended.votes, 8) == gold).mean() > (majority(votes, 8) == gold).mean()

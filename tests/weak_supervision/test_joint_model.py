import warnings

import numpy as np
import pytest

from tests.weak_supervision.planted import planted
from tests.weak_supervision.real_data import labelme
from weak_supervision import joint_model
from weak_supervision.joint_model import JointModel
from weak_supervision.label_models import MajorityVote, hard_labels
from weaklight.contracts import ClassSet, check_posterior
from weaklight.errors import DataError


def right(posterior, truth):
    return (posterior.argmax(axis=1) == truth).mean()


def majority(votes, n_classes):
    return MajorityVote().fit(votes, n_classes=n_classes).predict_proba(votes)


def test_votes_and_features_together_beat_either():
    votes, truth, x = planted(n=1500, d=8, accuracies=(0.8, 0.7, 0.6, 0.55), coverage=0.5)
    model = JointModel().fit(votes, x, n_classes=3)
    check_posterior(model.posterior_, 3)
    assert right(model.posterior_, truth) > right(majority(votes, 3), truth) + 0.1
    assert right(model.posterior_, truth) > right(model.from_features_, truth) + 0.01
    fresh = planted(n=1500, d=8, accuracies=(0.8, 0.7, 0.6, 0.55), coverage=0.5)
    again = model.predict_proba(fresh[0], fresh[2])
    assert abs(right(again, truth) - right(model.posterior_, truth)) < 0.02


def test_functions_that_know_one_class_each_and_one_of_them_badly():
    """As on YouTube: "spam" is nearly always right, "ham" little better than a guess."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 2000)
    votes = np.full((2000, 4), -1)
    for lf, (says, when_right, when_wrong) in enumerate(
        [(1, 0.4, 0.02), (1, 0.3, 0.02), (0, 0.6, 0.4), (0, 0.5, 0.35)]
    ):
        rate = np.where(truth == says, when_right, when_wrong)
        votes[rng.random(2000) < rate, lf] = says
    x = (rng.normal(size=(2, 16))[truth] + rng.normal(size=(2000, 16)) * 1.5).astype(np.float32)
    model = JointModel().fit(votes, x, n_classes=2)
    assert right(model.posterior_, truth) > right(majority(votes, 2), truth) + 0.1
    spam, ham = np.array([[1, -1, -1, -1]]), np.array([[-1, -1, 0, -1]])
    nothing = np.full((1, 16), np.nan)
    p_spam, p_ham = (model.predict_proba(vote, nothing)[0].max() for vote in (spam, ham))
    assert p_spam > 0.8 and p_ham < 0.7  # spam is right on 0.95: softened, as the features err


def test_features_that_know_nothing_leave_the_votes_alone():
    votes, truth, _ = planted(n=1500, coverage=0.9)
    noise = np.random.default_rng(3).normal(size=(1500, 16))
    model = JointModel().fit(votes, noise, n_classes=3)
    assert right(model.posterior_, truth) > right(majority(votes, 3), truth) - 0.01
    np.testing.assert_allclose(model.from_features_.mean(axis=0), 1 / 3, atol=0.05)
    assert model.from_features_.max() < 0.6


def test_votes_that_all_name_one_class_are_no_witness_of_how_sure_features_are():
    _, _, x = planted(n=400, d=8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = JointModel().fit(np.zeros((400, 2), dtype=np.int16), x, n_classes=2)
    check_posterior(model.posterior_, 2)
    assert (model.posterior_.argmax(axis=1) == 0).all()


def test_people_are_never_moved_and_class_sets_count():
    votes, truth, x = planted(n=400, d=8)
    votes = np.column_stack([votes, np.where(truth < 2, 3, -1)])
    human = np.full(400, -1)
    human[:20] = (truth[:20] + 1) % 3
    sets = (ClassSet("a or b", (0, 1)),)
    model = JointModel().fit(votes, x, n_classes=3, class_sets=sets, human=human)
    assert (model.posterior_[:20].argmax(axis=1) == human[:20]).all()
    only_set = np.array([[-1] * 5 + [3]])
    assert model.predict_proba(only_set, np.full((1, 8), np.nan))[0, 2] < 0.1


def test_the_rest_is_predicted_where_there_are_too_many_rows_to_fit(monkeypatch):
    votes, truth, x = planted(n=1500, d=8)
    whole = JointModel().fit(votes, x, n_classes=3)
    monkeypatch.setattr(joint_model, "MAX_FITTED_ROWS", 500)
    drawn = JointModel().fit(votes, x, n_classes=3)
    check_posterior(drawn.posterior_, 3)
    assert abs(right(drawn.posterior_, truth) - right(whole.posterior_, truth)) < 0.02
    assert (drawn.posterior_ != whole.posterior_).any()


def test_class_numbers_do_not_matter():
    votes, _, x = planted(n=400, d=8)
    order = np.array([2, 0, 1])
    renamed = np.where(votes >= 0, np.argsort(order)[votes], -1)
    straight = JointModel().fit(votes, x, n_classes=3).posterior_
    np.testing.assert_allclose(
        JointModel().fit(renamed, x, n_classes=3).posterior_, straight[:, order], atol=1e-2
    )


def test_too_little_to_learn_from_leaves_the_majority_vote():
    votes, _, x = planted(n=400, d=8)
    x[10:] = np.nan
    model = JointModel().fit(votes, x, n_classes=3)
    assert not model.is_taught_ and "the votes stand alone" in model.note_
    np.testing.assert_array_equal(model.posterior_, majority(votes, 3))
    assert model.predict_proba(votes, x).shape == (400, 3)


def test_wrong_input_is_refused():
    with pytest.raises(DataError, match="must have the same rows"):
        JointModel().fit(np.zeros((4, 1), int), np.ones((3, 2)), n_classes=2)


def test_labelme_gains_more_than_ten_points():
    votes, features, gold = labelme()
    model = JointModel().fit(votes, features, n_classes=8)
    assert (hard_labels(model.posterior_) == gold).mean() > 0.87  # majority vote: 0.755


def test_copies_of_functions_change_nothing():
    """Three functions or six copies of each: the features show who repeats whom."""
    votes, truth, x = planted(n=3000, d=4, accuracies=(0.7, 0.65, 0.6), coverage=0.8)
    once = JointModel().fit(votes, x, n_classes=3)
    copied = JointModel().fit(np.repeat(votes, 6, axis=1), x, n_classes=3)
    np.testing.assert_allclose(copied.posterior_, once.posterior_, atol=0.02)
    new = copied.predict_proba(np.repeat(votes[:50], 6, axis=1), x[:50])
    np.testing.assert_allclose(new, once.predict_proba(votes[:50], x[:50]), atol=0.02)
    assert copied.posterior_.max(axis=1).mean() < right(copied.posterior_, truth) + 0.05


def test_a_clique_with_one_bad_source_is_outvoted():
    """Five functions repeat one source that is right on 0.45; three independent ones are better."""
    rng = np.random.default_rng(0)
    votes, truth, x = planted(n=2000, d=8, accuracies=(0.7, 0.7, 0.7), coverage=0.4)
    source = np.where(rng.random(2000) < 0.45, truth, (truth + rng.integers(1, 3, 2000)) % 3)
    repeats = np.where(rng.random((2000, 5)) < 0.5, source[:, None], -1)
    everybody = np.column_stack([votes, repeats])
    model = JointModel().fit(everybody, x, n_classes=3)
    assert right(majority(everybody, 3), truth) < 0.6
    assert right(model.posterior_, truth) > 0.85
    assert model.dependence_[3:, 3:][~np.eye(5, dtype=bool)].min() > 0.8
    assert model.dependence_[:3].max() < 0.2


def test_a_balance_that_is_given_is_kept_to_and_helps():
    """Functions that speak up for a rare class too often."""
    rng = np.random.default_rng(1)
    truth = (rng.random(3000) < 0.1).astype(int)
    votes = np.full((3000, 3), -1)
    for lf in range(3):
        votes[:, lf] = np.where(rng.random(3000) < np.where(truth, 0.8, 0.25), 1, 0)
    x = (truth[:, None] * 0.8 + rng.normal(size=(3000, 4))).astype(np.float32)
    free = JointModel().fit(votes, x, n_classes=2)
    told = JointModel().fit(votes, x, n_classes=2, class_balance=(0.9, 0.1))
    np.testing.assert_allclose(told.posterior_.mean(axis=0), [0.9, 0.1], atol=1e-3)
    np.testing.assert_allclose(told.predict_proba(votes, x).mean(axis=0), [0.9, 0.1], atol=0.02)
    assert right(told.posterior_, truth) > right(free.posterior_, truth)
    with pytest.raises(DataError, match="2 shares"):
        JointModel().fit(votes, x, n_classes=2, class_balance=(0.2, 0.3, 0.5))

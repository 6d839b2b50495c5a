import numpy as np
import pytest

from tests.weak_supervision.planted import planted
from weak_supervision.choice import choose
from weak_supervision.label_models import MajorityVote
from weak_supervision.labeller import Labeller

SOME = {"accuracies": (0.85, 0.75, 0.7, 0.65, 0.6, 0.55), "coverage": 0.5}


def right(posterior, truth):
    return (posterior.argmax(axis=1) == truth).mean()


@pytest.fixture(scope="module")
def fitted():
    """Fitted on 800 items whose features are useful but no better than the votes; 700 are new."""
    votes, truth, x = planted(n=1500, d=8, **SOME)
    x += np.random.default_rng(1).normal(scale=1.0, size=x.shape).astype(np.float32)
    choice = choose(votes[:800], n_classes=3, features=x[:800])
    labeller = Labeller(choice).fit(votes[:800], x[:800], n_classes=3)
    return labeller, votes[800:], truth[800:], x[800:]


def test_new_items_get_votes_and_features(fitted):
    labeller, votes, truth, x = fitted
    assert labeller.choice.chosen == "joint"
    shipped = labeller.predict_proba(votes, x)
    assert labeller.note_ == ""
    majority = MajorityVote().fit(votes, n_classes=3).predict_proba(votes)
    by_features = labeller.classifier_.predict_proba(x)
    assert right(shipped, truth) > right(majority, truth) + 0.05
    assert right(shipped, truth) > right(by_features, truth) + 0.02
    silent = labeller.predict_proba(np.full_like(votes, -1), x)
    np.testing.assert_array_equal(silent, by_features)


def test_votes_out_of_order_are_noticed_and_left_out(fitted):
    """The labelling functions' columns of WRENCH's SMS test set belong to other messages."""
    labeller, votes, truth, x = fitted
    shuffled = np.random.default_rng(0).permutation(votes)
    shipped = labeller.predict_proba(shuffled, x)
    assert "the features alone answer" in labeller.note_
    np.testing.assert_array_equal(shipped, labeller.classifier_.predict_proba(x))
    assert right(shipped, truth) > right(labeller.by_choice(shuffled, x), truth) + 0.1


@pytest.mark.parametrize("seed", range(5))
def test_votes_in_order_are_not_doubted_by_chance(fitted, seed):
    labeller, votes, _, x = fitted
    drawn = np.random.default_rng(seed).choice(len(votes), 60, replace=False)
    labeller.predict_proba(votes[drawn], x[drawn])
    assert labeller.note_ == ""


@pytest.mark.parametrize("use", ["off", "on"])
def test_other_choices_label_new_items_too(use):
    votes, truth, x = planted(n=900, d=8, **SOME)
    choice = choose(
        votes[:500], n_classes=3, features=x[:500], model="majority_vote", use_features=use
    )
    labeller = Labeller(choice).fit(votes[:500], x[:500], n_classes=3)
    shipped = labeller.predict_proba(votes[500:], x[500:])
    majority = MajorityVote().fit(votes, n_classes=3).predict_proba(votes[500:])
    voted = (votes[500:] >= 0).any(axis=1)
    if use == "off":
        np.testing.assert_array_equal(shipped[voted], majority[voted])
    assert right(shipped[~voted], truth[500:][~voted]) > 0.7
    assert right(shipped, truth[500:]) >= right(majority, truth[500:])


def test_without_features_the_votes_stand_alone():
    votes, _, _ = planted(n=300, **SOME)
    choice = choose(votes[:200], n_classes=3)
    labeller = Labeller(choice).fit(votes[:200], None, n_classes=3)
    assert labeller.classifier_ is None
    assert labeller.predict_proba(votes[200:], None).shape == (100, 3)

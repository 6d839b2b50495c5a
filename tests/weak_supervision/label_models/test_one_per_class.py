import numpy as np
import pytest

from weak_supervision.label_models import DawidSkene, MajorityVote, OneCoin, OnePerClass
from weaklight.errors import DataError


def several_classes(n=3000):
    rng = np.random.default_rng(0)
    truth = (rng.random((n, 3)) < [0.5, 0.3, 0.2]).astype(int)  # no, one or several classes
    accuracies = np.array([0.95, 0.7, 0.7, 0.6])[:, None]
    said = np.where(rng.random((n, 4, 3)) < accuracies, truth[:, None], 1 - truth[:, None])
    return np.where(rng.random((n, 4, 3)) < 0.8, said, -1), truth


def test_every_class_is_learned_by_itself():
    votes, truth = several_classes()
    counted = OnePerClass(MajorityVote).fit(votes).predict_proba(votes)
    model = OnePerClass(OneCoin).fit(votes)
    posterior = model.predict_proba(votes)
    assert posterior.shape == truth.shape and posterior.dtype == np.float32
    assert ((posterior > 0.5) == truth).mean() > ((counted > 0.5) == truth).mean() + 0.03
    np.testing.assert_allclose(
        [m.class_prior_[1] for m in model.models_], [0.5, 0.3, 0.2], atol=0.03
    )


def test_shares_and_gold_reach_the_models():
    votes, truth = several_classes(300)
    gold = np.where(np.arange(300)[:, None] < 30, truth, -1)
    model = OnePerClass(DawidSkene).fit(votes, shares=[0.5, 0.3, 0.2], gold=gold)
    np.testing.assert_allclose([m.class_prior_[1] for m in model.models_], [0.5, 0.3, 0.2])
    assert all(m.note_ == "" for m in model.models_)


def test_wrong_shapes_are_refused():
    votes, truth = several_classes(10)
    with pytest.raises(DataError, match="three dimensions"):
        OnePerClass(MajorityVote).fit(votes[:, :, 0])
    with pytest.raises(DataError, match="shares must hold one number for each of 3"):
        OnePerClass(MajorityVote).fit(votes, shares=[0.5])
    with pytest.raises(DataError, match=r"gold must have shape \(10, 3\)"):
        OnePerClass(MajorityVote).fit(votes, gold=truth[:, :2])
    with pytest.raises(DataError, match="must speak of 3 classes"):
        OnePerClass(MajorityVote).fit(votes).predict_proba(votes[:, :, :2])

import numpy as np
import pytest

from tests.weak_supervision.planted import planted
from weak_supervision.label_models import MajorityVote, OneCoin, Triplets, hard_labels
from weaklight.contracts import ClassSet


@pytest.mark.parametrize("n_classes", [2, 3, 8])
def test_planted_accuracies_are_recovered(n_classes):
    accuracies = (0.9, 0.8, 0.7, 0.6, 0.5)
    votes, _, _ = planted(n=30_000, n_classes=n_classes, accuracies=accuracies)
    model = Triplets().fit(votes, n_classes=n_classes)
    np.testing.assert_allclose(model.accuracies_, accuracies, atol=0.03)


def test_an_lf_worse_than_chance_is_found_out():
    votes, truth, _ = planted(n=5000, n_classes=2, accuracies=(0.9, 0.8, 0.8, 0.15))
    model = Triplets().fit(votes, n_classes=2)
    np.testing.assert_allclose(model.accuracies_, [0.9, 0.8, 0.8, 0.15], atol=0.03)
    counted = hard_labels(MajorityVote().fit(votes, n_classes=2).predict_proba(votes))
    right = hard_labels(model.predict_proba(votes)) == truth
    assert right.mean() > (counted == truth).mean() + 0.05


def test_lfs_that_only_ever_say_one_thing_are_told_apart():
    """Agreement among voters, as in FlyingSquid, would say nothing: two of a kind always agree."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 20_000)
    hit, false_alarm = (0.6, 0.5, 0.5, 0.6), (0.05, 0.3, 0.1, 0.3)
    votes = np.full((20_000, 4), -1)
    for lf, said in enumerate((0, 0, 1, 1)):
        speaks = rng.random(20_000) < np.where(truth == said, hit[lf], false_alarm[lf])
        votes[speaks, lf] = said
    model = Triplets().fit(votes, n_classes=2)
    precision = np.array(hit) / (np.array(hit) + false_alarm)
    alone = np.where(np.eye(4, dtype=bool), [0, 0, 1, 1], -1)
    learned = model.predict_proba(alone)[range(4), [0, 0, 1, 1]]
    np.testing.assert_allclose(learned, precision, atol=0.03)


def test_sets_teach_like_votes():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 20_000)
    votes, _, _ = planted(n=20_000, n_classes=4, accuracies=(0.8, 0.7), coverage=1.0)
    votes = (votes + (truth - planted(n=20_000, n_classes=4)[1])[:, None]) % 4
    side = np.where(rng.random(20_000) < 0.9, truth // 2, 1 - truth // 2)
    sets = (ClassSet("low", (0, 1)), ClassSet("high", (2, 3)))
    third = np.where(rng.random(20_000) < 0.6, truth, rng.integers(0, 4, 20_000))
    with_set = np.column_stack([votes, third, 4 + side])
    model = Triplets().fit(with_set, n_classes=4, class_sets=sets)
    np.testing.assert_allclose(model.accuracies_, [0.8, 0.7, 0.7, 0.9], atol=0.03)


def test_a_clique_of_copies_is_outvoted():
    accuracies = (0.9, 0.85, 0.8, 0.75, 0.7, 0.55)
    votes, _, _ = planted(n=20_000, accuracies=accuracies, coverage=1.0)
    copied = np.column_stack([votes, votes[:, 5]])
    learned = Triplets().fit(copied, n_classes=3).accuracies_
    fooled = OneCoin().fit(copied, n_classes=3).accuracies_
    assert abs(learned[0] - 0.9) < 0.05 and abs(learned[5] - 0.55) < abs(fooled[5] - 0.55) + 0.02


def test_few_votes_a_class_fall_back_on_the_lf():
    accuracies = np.random.default_rng(0).uniform(0.4, 0.95, 50)
    votes, truth, _ = planted(n=1000, n_classes=8, accuracies=accuracies, coverage=0.05)
    right = {
        shrinkage: (
            hard_labels(Triplets(shrinkage=shrinkage).fit(votes, n_classes=8).predict_proba(votes))
            == truth
        ).mean()
        for shrinkage in (0.01, 20.0)
    }
    counted = hard_labels(MajorityVote().fit(votes, n_classes=8).predict_proba(votes))
    assert right[20.0] > right[0.01] + 0.05 and right[20.0] > (counted == truth).mean()


def test_two_lfs_are_too_few_and_it_says_so():
    votes, _, _ = planted(n=50)
    model = Triplets().fit(votes[:, :2], n_classes=3)
    assert "triplets need 3 LFs" in model.note_ and "majority vote stands in" in model.note_

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from weak_supervision.bags import (
    BAG_CLASSIFIERS,
    bag_votes,
    cross_fit_instances,
    posterior_votes,
    thresholds,
)
from weak_supervision.bags.auto import CANDIDATES
from weaklight.errors import DataError


@pytest.fixture(scope="module")
def planted():
    rng = np.random.default_rng(0)
    bag_index = np.repeat(np.arange(120), 7)
    positive = rng.random(840) < 0.1
    direction = rng.normal(size=24)
    features = rng.normal(size=(840, 24)) + positive[:, None] * 6 * direction / np.linalg.norm(
        direction
    )
    bag_labels = np.zeros(120, dtype=int)
    np.maximum.at(bag_labels, bag_index, positive)
    return features, bag_index, bag_labels, positive


def test_scores_of_unseen_bags_find_the_positives(planted):
    features, bag_index, bag_labels, positive = planted
    scores, bag_proba = cross_fit_instances(features, bag_index, bag_labels, seed=0)
    assert roc_auc_score(positive, scores) > 0.9
    assert roc_auc_score(bag_labels, bag_proba) > 0.9
    votes = bag_votes(scores, bag_index, bag_labels, positive_vote=5, negative_vote=6)
    in_positive = bag_labels[bag_index] == 1
    assert (votes[~in_positive] == 6).all()
    voted = in_positive & (votes >= 0)
    assert ((votes == 5) == positive)[voted].mean() > 0.95
    assert voted.sum() > 0.8 * in_positive.sum()


@pytest.mark.parametrize("method", BAG_CLASSIFIERS)
def test_every_method_that_settings_name_takes_the_seeds_of_folds(planted, method):
    features, bag_index, bag_labels, _ = planted
    few = bag_index < 24
    _, bag_proba = cross_fit_instances(
        features[few], bag_index[few], bag_labels[:24], folds=2, method=method
    )
    assert np.isfinite(bag_proba).all() and bag_proba.std() > 0


@pytest.mark.parametrize("method", ["auto", "embedding"])
def test_progress_is_told_of_every_training(planted, method):
    features, bag_index, bag_labels, _ = planted
    few = bag_index < 24
    told = []
    cross_fit_instances(
        features[few], bag_index[few], bag_labels[:24], folds=2, method=method,
        progress=lambda *said: told.append(said),
    )  # fmt: skip
    trainings = 2 * (5 * len(CANDIDATES) + 1) if method == "auto" else 2
    assert [(done, total) for done, total, _ in told] == [(i, trainings) for i in range(trainings)]
    last = told[-1][2]
    assert "fold 2 of 2" in last and any(name in last for name in CANDIDATES)


def test_a_bags_own_label_never_reaches_its_scores(planted):
    features, bag_index, bag_labels, _ = planted
    noise = np.random.default_rng(1).normal(size=features.shape)  # nothing to learn but by heart
    _, bag_proba = cross_fit_instances(noise, bag_index, bag_labels, seed=0)
    assert 0.35 < roc_auc_score(bag_labels, bag_proba) < 0.65


def test_loose_items_unknown_bags_and_missing_features(planted):
    features, bag_index, bag_labels, positive = planted
    features, bag_index, bag_labels = features.copy(), bag_index.copy(), bag_labels.copy()
    bag_index[:7] = -1
    features[7] = np.nan
    features[14:21] = np.inf
    bag_labels[100:] = -1
    scores, bag_proba = cross_fit_instances(features, bag_index, bag_labels, folds=3)
    assert np.isnan(scores[:8]).all() and np.isnan(scores[14:21]).all()
    assert np.isfinite(np.delete(scores, [*range(8), *range(14, 21)])).all()
    assert np.isnan(bag_proba[[0, 2]]).all() and np.isfinite(bag_proba[[1, *range(3, 120)]]).all()
    unknown = bag_index >= 100
    assert roc_auc_score(positive[unknown], scores[unknown]) > 0.9
    assert scores[unknown].max() <= 1 and bag_proba[100:].max() <= 1  # the mean of all folds
    votes = bag_votes(scores, bag_index, bag_labels, positive_vote=1, negative_vote=0)
    assert (votes[:7] == -1).all()
    assert {0, 1} <= set(votes[unknown])  # nothing is certain of a bag without a label


def test_thresholds_by_hand():
    # 19 negatives score 0.01..0.19; witnesses 19 times 0.81..0.99, beside low companions
    bag_labels = np.array([0, *[1] * 19])
    bag_index = np.concatenate([np.zeros(19, int), np.repeat(np.arange(1, 20), 2)])
    witnesses = np.arange(81, 100) / 100
    scores = np.concatenate(
        [np.arange(1, 20) / 100, np.ravel(np.column_stack([witnesses, witnesses * 0]))]
    )
    assert thresholds(scores, bag_index, bag_labels, error=0.05) == (0.19, 0.81)
    assert thresholds(scores, bag_index, bag_labels, error=0.01) == (-np.inf, np.inf)


def test_between_the_thresholds_an_instance_abstains():
    bag_labels = np.array([0, *[1] * 19])
    bag_index = np.concatenate([np.zeros(19, int), np.arange(1, 20), [1, 2, 3]])
    scores = np.concatenate([np.full(19, 0.2), np.full(19, 0.8), [0.1, 0.5, np.nan]])
    votes = bag_votes(scores, bag_index, bag_labels, positive_vote=1, negative_vote=0)
    assert votes[:19].tolist() == [0] * 19
    assert votes[-3:].tolist() == [0, -1, -1]


def test_too_few_bags_of_a_kind_are_refused(planted):
    features, bag_index, bag_labels, _ = planted
    with pytest.raises(DataError, match="at least 5 bags of each label"):
        cross_fit_instances(features, bag_index, np.ones_like(bag_labels))
    with pytest.raises(DataError, match="bag_index must name one of 3 bags"):
        cross_fit_instances(features, bag_index, bag_labels[:3])


def test_bags_that_are_items_vote_where_they_are_clear_and_as_they_are_known() -> None:
    labels = np.append(np.repeat([0, 1], 100), [-1] * 4)
    proba = np.concatenate([np.linspace(0, 0.4, 100), np.linspace(0.6, 1, 100)])
    proba = np.append(proba, [0.1, 0.5, 0.9, np.nan])
    known = np.zeros(len(labels), dtype=bool)
    known[[0, 199]] = True
    labels[199] = 0  # known, whatever the model says
    votes = posterior_votes(proba, labels, known, positive_vote=7, negative_vote=8)
    assert votes[0] == 8 and votes[199] == 8
    assert votes[200:].tolist() == [8, -1, 7, -1]
    # at most 5 % of the positives lie below what votes positive, and likewise
    assert (votes[100:199] == 7).mean() > 0.94 and (votes[:100] == 8).mean() > 0.94
    assert (votes[100:199] == 8).sum() == (votes[:100] == 7).sum() == 0

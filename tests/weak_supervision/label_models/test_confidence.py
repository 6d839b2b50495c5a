"""LFs that give probabilities, split into levels of confidence."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.base import clone

from tests.weak_supervision.planted import planted
from weak_supervision.label_models import MODELS, ConfidenceLevels, MajorityVote, hard_labels
from weaklight.contracts import ClassSet
from weaklight.errors import DataError


def planted_soft(n=3000, n_classes=3, temperature=1.0, seed=0):
    """Return votes, soft votes and truth: two soft LFs whose confidence tells right from wrong."""
    votes, truth, _ = planted(n=n, n_classes=n_classes, accuracies=[0.65] * 4, coverage=0.5)
    rng = np.random.default_rng(seed)
    soft = {}
    for column in (4, 5):
        strength = rng.exponential(2.0, n)  # an item that is hard to tell has little
        logits = rng.standard_normal((n, n_classes)) * np.sqrt(strength)[:, None]
        logits[np.arange(n), truth] += strength
        soft[column] = softmax(logits / temperature, axis=1)
    hardened = [soft[column].argmax(axis=1) for column in soft]
    return np.column_stack([votes, *hardened]).astype(np.int16), soft, truth


def test_levels_by_hand():
    votes = np.array([[0, 0], [-1, 1], [1, 0], [1, -1], [0, 1]], dtype=np.int16)
    sure = np.array([0.9, 0.6, 0.7, np.nan, 0.8])
    soft = {1: np.where(votes[:, [1]] == [0, 1], sure[:, None], 1 - sure[:, None])}
    levels = ConfidenceLevels(n_levels=2, min_votes=2).fit(votes, soft)
    np.testing.assert_allclose(levels.edges_[1], [0.75])
    assert levels.source_.tolist() == [0, 1, 1]
    expected = [[0, -1, 0], [-1, 1, -1], [1, 0, -1], [1, -1, -1], [0, -1, 1]]
    assert levels.transform(votes, soft).tolist() == expected
    whole = clone(levels).set_params(min_votes=3).fit(votes, soft)
    assert whole.transform(votes, soft).tolist() == votes.tolist()
    flat = {1: np.where(votes[:, [1]] == [0, 1], 0.8, 0.2)}  # always as sure: one level
    assert levels.fit(votes, flat).transform(votes, flat).tolist() == votes.tolist()


def test_a_vote_for_a_class_set_is_as_sure_as_its_members_together():
    votes = np.array([[3], [3], [2], [3]], dtype=np.int16)
    soft = {0: np.array([[0.45, 0.45, 0.1], [0.3, 0.3, 0.4], [0.1, 0.1, 0.8], [0.35, 0.35, 0.3]])}
    levels = ConfidenceLevels(n_levels=2, min_votes=2)
    levels.fit(votes, soft, class_sets=(ClassSet("low", (0, 1)),))
    assert levels.transform(votes, soft).tolist() == [[-1, 3], [3, -1], [-1, 2], [3, -1]]


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
@pytest.mark.parametrize(
    "name", ["weighted_vote", "snorkel", "dawid_skene", "one_coin", "triplets"]
)
def test_levels_beat_hardened_votes_calibrated_or_not(name, temperature):
    votes, soft, truth = planted_soft(temperature=temperature)

    def accuracy(model, votes):
        return (hard_labels(model.fit(votes, n_classes=3).predict_proba(votes)) == truth).mean()

    split = ConfidenceLevels().fit(votes, soft).transform(votes, soft)
    assert accuracy(MODELS[name](), split) > accuracy(MODELS[name](), votes) + 0.02
    assert accuracy(MajorityVote(), split) == accuracy(MajorityVote(), votes)


def test_new_items_fall_into_the_levels_that_were_found():
    votes, soft, _ = planted_soft()
    levels = ConfidenceLevels().fit(votes[:2000], {j: p[:2000] for j, p in soft.items()})
    split = levels.transform(votes[2000:], {j: p[2000:] for j, p in soft.items()})
    assert split.shape == (1000, 4 + 2 * 4)
    assert ((split >= 0).sum(axis=1) == (votes[2000:] >= 0).sum(axis=1)).all()
    surest = split[:, 7] >= 0
    assert soft[4][2000:].max(axis=1)[surest].min() > levels.edges_[4][-1]


def test_wrong_input_is_refused():
    votes, soft, _ = planted_soft(n=200)
    levels = ConfidenceLevels().fit(votes, soft)
    with pytest.raises(DataError, match="found for 6 LFs, soft ones in columns"):
        levels.transform(votes, {4: soft[4]})
    with pytest.raises(DataError, match=r"column 4 must have shape \(200, classes\)"):
        levels.fit(votes, {4: soft[4][:9]})
    soft[4][7] = np.nan
    with pytest.raises(DataError, match="column 4 gives none in row 7"):
        levels.fit(votes, soft)

import numpy as np
import pytest

from tests.weak_supervision.planted import planted
from weak_supervision.classifiers import LinearHead
from weak_supervision.folds import deal_folds
from weak_supervision.noise import find_issues, out_of_fold_proba
from weaklight.errors import DataError


@pytest.fixture(scope="module")
def noisy():
    _, truth, features = planted(n=1500, n_classes=4, d=16)
    labels = truth.copy()
    labels[:300] = (labels[:300] + 1) % 4
    return features, labels, truth


def test_planted_wrong_labels_are_found(noisy):
    features, labels, truth = noisy
    proba = out_of_fold_proba(features, np.eye(4)[labels])
    issues = find_issues(labels, proba)
    assert issues.columns.tolist() == ["row", "label", "suggested", "score"]
    assert (issues["row"] < 300).mean() > 0.85 and len(issues) > 250
    assert (issues["suggested"] == truth[issues["row"]]).mean() > 0.85
    assert issues["score"].is_monotonic_increasing and issues["score"].between(0, 1).all()
    assert (issues["label"] == labels[issues["row"]]).all()


def test_a_posterior_never_doubts_its_own_labels(noisy):
    """Why pred_probs must come from elsewhere."""
    features, labels, _ = noisy
    posterior = out_of_fold_proba(features, np.eye(4)[labels])
    assert len(find_issues(posterior.argmax(axis=1), posterior)) == 0


def test_uncovered_rows_are_never_doubted(noisy):
    features, labels, _ = noisy
    proba = out_of_fold_proba(features, np.eye(4)[labels])
    some = np.where(np.arange(1500) % 2 == 0, labels, -1)
    assert (find_issues(some, proba)["row"] % 2 == 0).all()


def test_a_class_that_nobody_carries_is_no_problem(noisy):
    features, labels, _ = noisy
    targets = np.eye(5)[labels]
    assert len(find_issues(labels, out_of_fold_proba(features, targets))) > 250


@pytest.mark.parametrize("labels", [np.full(5, -1), np.zeros(5, int)], ids=["none", "one class"])
def test_nothing_to_compare_gives_an_empty_table(labels):
    issues = find_issues(labels, np.full((5, 2), 0.5))
    assert len(issues) == 0 and issues["row"].dtype == np.int64


@pytest.mark.filterwarnings("error")
def test_classes_of_few_rows_are_no_cause_for_a_warning():
    labels, proba = np.arange(12) % 4, np.full((12, 4), 0.25)
    assert len(find_issues(labels, proba)) == 0


def test_no_row_is_judged_by_a_model_that_saw_it():
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(120, 60)), rng.integers(0, 2, 120)
    proba = out_of_fold_proba(features, np.eye(2)[labels], new_head=lambda: LinearHead(l2=0.01))
    assert (proba.argmax(axis=1) == labels).mean() < 0.65  # in sample it would be 1


def test_rows_without_weight_or_features_are_predicted_but_not_learnt(noisy):
    features, labels, truth = noisy
    features = features.copy()
    features[1400:] = np.nan
    weights = (np.arange(1500) >= 300).astype(float)
    proba = out_of_fold_proba(features, np.eye(4)[labels], weights)
    assert (proba[:300].argmax(axis=1) == truth[:300]).mean() > 0.9
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-5)
    wrong = np.arange(1500) < 900
    spoilt = np.where(wrong, (truth + 1) % 4, truth)
    light = out_of_fold_proba(features, np.eye(4)[spoilt], np.where(wrong, 0.01, 1.0))
    assert (light[:1400].argmax(axis=1) == truth[:1400]).mean() > 0.9


def test_wrong_input_is_refused(noisy):
    features, labels, _ = noisy
    with pytest.raises(DataError, match="0 rows with weight"):
        out_of_fold_proba(features, np.eye(4)[labels], np.zeros(1500))
    with pytest.raises(DataError, match="must match"):
        find_issues(labels[:-1], np.full((1500, 4), 0.25))


def test_folds_share_every_stratum_out():
    fold = deal_folds(np.repeat([0, 1, 2], [10, 20, 5]), folds=5, seed=1)
    assert np.bincount(fold[:10]).tolist() == [2] * 5
    assert np.bincount(fold[10:30]).tolist() == [4] * 5
    assert np.bincount(fold[30:]).tolist() == [1] * 5
    assert (deal_folds(np.zeros(50), seed=1) != deal_folds(np.zeros(50), seed=2)).any()

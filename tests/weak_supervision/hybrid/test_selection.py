import numpy as np
import pytest

from tests.weak_supervision.planted import planted
from weak_supervision.hybrid import adaptive_thresholds, pseudo_labels, select_by_cut_statistic
from weak_supervision.label_models import MajorityVote, hard_labels
from weak_supervision.neighbors import build_graph
from weaklight.errors import DataError


def test_neighbors_know_better_than_the_posterior() -> None:
    votes, truth, features = planted(n=3000, d=16, accuracies=(0.7, 0.6, 0.6, 0.5), seed=3)
    posterior = MajorityVote().fit(votes, n_classes=3).predict_proba(votes)
    labels = hard_labels(posterior, (votes >= 0).any(axis=1))
    found = select_by_cut_statistic(labels, build_graph(features), share=0.4)
    inside = found.labels >= 0
    surest = np.argsort(-posterior.max(axis=1), kind="stable")[: inside.sum()]
    assert (found.labels == truth)[inside].mean() > (labels == truth)[surest].mean() + 0.05
    assert (found.frame().loc[~inside, "confidence"] == 0).all()


def test_rare_classes_keep_their_share() -> None:
    rng = np.random.default_rng(0)
    labels = np.r_[np.zeros(900, int), np.ones(60, int), np.full(40, -1)]
    features = np.eye(2)[np.maximum(labels, 0)] + 0.4 * rng.normal(size=(1000, 2))
    found = select_by_cut_statistic(labels, build_graph(features), share=0.4)
    assert np.bincount(found.labels[found.labels >= 0]).tolist() == [360, 24]
    with pytest.raises(DataError, match="share must lie above 0"):
        select_by_cut_statistic(labels, build_graph(features), share=0)


def test_a_share_is_rounded_up_and_confidence_is_the_rank_within_the_class() -> None:
    # five of one class in a row, each beside its like, the last one among strangers
    place = np.deg2rad([0, 1, 2, 3, 91, 90, 92])
    labels = np.array([0, 0, 0, 0, 0, 1, 1])
    graph = build_graph(np.column_stack([np.cos(place), np.sin(place)]), k=2)
    found = select_by_cut_statistic(labels, graph, share=0.3)
    assert (found.labels == 0).sum() == 2 and (found.labels == 1).sum() == 1
    every = select_by_cut_statistic(labels, graph, share=1.0)
    assert every.confidence[:5].max() == 1 and every.confidence.argmin() == 4
    assert every.confidence[4] == pytest.approx(1 / 5)


def test_a_shy_class_has_a_lower_threshold() -> None:
    proba = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.45, 0.55]])
    # mean confidence 0.7375; mass 0.5625 and 0.4375
    threshold = adaptive_thresholds(proba)
    assert threshold == pytest.approx([0.7375, 0.7375 * 0.4375 / 0.5625])
    assert pseudo_labels(proba).labels.tolist() == [0, -1, 1, -1]
    assert pseudo_labels(proba, np.array([0.5, 0.5])).labels.tolist() == [0, 0, 1, 1]
    alike = np.full((4, 2), [0.75, 0.25])  # as sure as the mean, which is sure enough
    assert pseudo_labels(alike).labels.tolist() == [0, 0, 0, 0]

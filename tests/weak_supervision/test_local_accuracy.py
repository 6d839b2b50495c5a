import numpy as np
import pytest

from tests.weak_supervision.planted import planted
from weak_supervision.label_models import DawidSkene, MajorityVote
from weak_supervision.local_accuracy import local_accuracies, weigh_votes_locally
from weak_supervision.neighbors import NeighborGraph, build_graph
from weaklight.contracts import ClassSet, check_posterior
from weaklight.errors import DataError


def right(posterior, truth):
    return (posterior.argmax(axis=1) == truth).mean()


@pytest.fixture(scope="module")
def two_regions():
    """Two clusters of items; LFs 0-2 are good in the first, 3-5 in the second."""
    rng = np.random.default_rng(0)
    region, truth = rng.integers(0, 2, 2000), rng.integers(0, 3, 2000)
    x = np.eye(2)[region] * 4 + rng.normal(size=(2000, 2)) * 0.5
    good = np.where(region[:, None] == (np.arange(6) >= 3), 0.9, 0.4)
    wrong = (truth[:, None] + rng.integers(1, 3, (2000, 6))) % 3
    votes = np.where(rng.random((2000, 6)) < good, truth[:, None], wrong).astype(np.int16)
    votes[rng.random((2000, 6)) < 0.3] = -1
    return votes, truth, region, build_graph(x)


def test_accuracies_are_found_where_they_hold(two_regions):
    votes, truth, region, graph = two_regions
    local = local_accuracies(votes, np.eye(3)[truth], graph)
    np.testing.assert_allclose(local[region == 0].mean(axis=0), [0.83] * 3 + [0.47] * 3, atol=0.04)
    np.testing.assert_allclose(local[region == 1].mean(axis=0), [0.47] * 3 + [0.83] * 3, atol=0.04)


def test_weighing_by_place_beats_one_weight_an_lf(two_regions):
    votes, truth, _, graph = two_regions
    posterior = weigh_votes_locally(votes, graph, n_classes=3)
    check_posterior(posterior, 3)
    everywhere = DawidSkene().fit(votes, n_classes=3).predict_proba(votes)
    assert right(posterior, truth) > right(everywhere, truth) + 0.05


def test_accuracy_near_an_item_by_hand():
    # item 0 has neighbors 1 and 2 at similarity 1; the LF is right at 1 and wrong at 2
    graph = NeighborGraph(
        np.array([0, 2, 2, 2]), np.array([1, 2], dtype=np.int32), np.ones(2, dtype=np.float32)
    )
    votes = np.array([[-1], [0], [0]], dtype=np.int16)
    local = local_accuracies(votes, np.array([[0.5, 0.5], [1, 0], [0, 1]]), graph, strength=2.0)
    average = (1 + 1) / (2 + 2)
    np.testing.assert_allclose(local[0, 0], (1 + 2 * average) / (2 + 2))
    np.testing.assert_allclose(local[1, 0], average)  # its only neighbor is silent


def test_features_that_know_nothing_do_no_harm():
    votes, truth, _ = planted(n=1500, coverage=0.8)
    noise = build_graph(np.random.default_rng(0).normal(size=(1500, 8)))
    posterior = weigh_votes_locally(votes, noise, n_classes=3)
    majority = MajorityVote().fit(votes, n_classes=3).predict_proba(votes)
    assert right(posterior, truth) > right(majority, truth) - 0.01


def test_class_sets_and_silence():
    votes, truth, x = planted(n=500, d=8)
    sets = (ClassSet("a or b", (0, 1)),)
    votes = np.column_stack([votes, np.where(truth < 2, 3, -1)])
    votes[:10] = -1
    posterior = weigh_votes_locally(votes, build_graph(x), n_classes=3, class_sets=sets)
    check_posterior(posterior, 3)
    assert np.ptp(posterior[:10], axis=0).max() < 1e-6
    assert right(posterior[10:], truth[10:]) > 0.8
    with pytest.raises(DataError, match="same items"):
        weigh_votes_locally(votes[:5, :5], build_graph(x), n_classes=3)

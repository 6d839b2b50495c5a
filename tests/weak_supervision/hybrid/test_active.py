import numpy as np
import pytest

from weak_supervision.hybrid import labelling_order
from weak_supervision.neighbors import NeighborGraph, build_graph
from weaklight.errors import ConfigError


def no_edges(n: int) -> NeighborGraph:
    return NeighborGraph(np.zeros(n + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))


def test_each_criterion_by_hand() -> None:
    posterior = np.array([[0.9, 0.1], [0.5, 0.5], [0.7, 0.3], [1.0, 0.0]])
    votes = np.array([[0, 1, -1], [0, 0, 0], [0, 1, -1], [0, 0, 1]], dtype=np.int16)
    graph = no_edges(4)

    def order(criterion: str, n: int = 4) -> list[int]:
        return labelling_order(posterior, votes, graph, n=n, criterion=criterion).tolist()

    assert order("uncertainty") == [1, 2, 0, 3]
    assert order("disagreement", 3) == [0, 2, 3]  # halves before thirds, ties by row
    assert order("conflict", 2) == [0, 2]  # two items carry these votes
    one_of_a_kind_first = labelling_order(posterior, votes[::-1], graph, n=1, criterion="conflict")
    assert one_of_a_kind_first.tolist() == [1]  # two speak for more than one
    settled = np.array([False, True, False, False])
    left = labelling_order(posterior, votes, graph, n=9, criterion="uncertainty", settled=settled)
    assert left.tolist() == [2, 0, 3]
    with pytest.raises(ConfigError, match="criterion must be one of"):
        order("beauty")
    votes = np.full((4, 2), -1, dtype=np.int16)  # nobody disagrees where nobody votes
    assert order("disagreement") == order("conflict") == [0, 1, 2, 3]


def test_mixed_asks_for_what_is_unsure_and_stands_for_many() -> None:
    sure, unsure, alone = np.repeat([0, 1, 2], [60, 30, 1]) == np.arange(3)[:, None]
    features = 5 * np.eye(3)[np.where(sure, 0, np.where(unsure, 1, 2))]
    features += 0.3 * np.random.default_rng(0).normal(size=features.shape)
    graph = build_graph(features, k=91)
    p = np.where(sure, 0.99, np.where(unsure, 0.6, 0.5))
    posterior, votes = np.column_stack([p, 1 - p]), np.full((91, 1), -1, np.int16)
    for criterion, expected in (("coverage", sure), ("uncertainty", alone), ("mixed", unsure)):
        (first,) = labelling_order(posterior, votes, graph, n=1, criterion=criterion)
        assert expected[first], criterion


def test_only_items_that_were_labelled_cover_their_neighbors() -> None:
    """Two groups as unsure as each other; in the larger one, half are kept for measuring."""
    rng = np.random.default_rng(0)
    group = np.repeat([0, 1], [60, 40])
    graph = build_graph(5 * np.eye(2)[group] + 0.3 * rng.normal(size=(100, 2)), k=100)
    posterior, votes = np.full((100, 2), 0.5), np.full((100, 1), -1, np.int16)
    kept_apart = np.arange(100) < 30

    def first(settled: np.ndarray) -> int:
        picks = labelling_order(
            posterior, votes, graph, n=100, settled=settled, candidates=~kept_apart
        )
        assert sorted(picks) == np.flatnonzero(~kept_apart & ~settled).tolist()
        return int(group[picks[0]])

    assert first(settled=np.zeros(100, np.bool_)) == 0  # the group that it stands for is larger
    assert first(settled=kept_apart) == 1
    assert first(settled=np.arange(100) == 31) == 1


def test_coverage_visits_every_cluster_before_any_twice() -> None:
    rng = np.random.default_rng(0)
    sizes = [60, 30, 10]
    cluster = np.repeat(np.arange(3), sizes)
    features = 5 * np.eye(3)[cluster] + 0.3 * rng.normal(size=(100, 3))
    graph = build_graph(features, k=8)
    posterior, votes = np.full((100, 2), 0.5), np.full((100, 1), -1, np.int16)
    picks = labelling_order(posterior, votes, graph, n=100, criterion="coverage")
    assert sorted(picks.tolist()) == list(range(100))
    seen_after = [len(set(cluster[picks[:i]])) for i in (1, 20)]
    assert seen_after == [1, 3]
    near = set(graph.neighbors(int(picks[0]))[0].tolist())
    assert int(picks[1]) not in near

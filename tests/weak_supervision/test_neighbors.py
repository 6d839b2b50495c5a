import numpy as np
import pytest

from tests.weak_supervision.planted import planted
from tests.weak_supervision.real_data import labelme
from weak_supervision import neighbor_search, neighbors
from weak_supervision.label_models import MajorityVote, covered, hard_labels
from weak_supervision.neighbors import (
    NeighborGraph,
    append_items,
    build_graph,
    cut_statistic,
    reached,
    spread,
)
from weaklight.errors import ArtifactError, DataError

TURN = np.deg2rad([0.0, 10.0, 30.0, 90.0])
FAN = np.column_stack([np.cos(TURN), np.sin(TURN)])  # four directions in the plane


def test_nearest_first_by_hand():
    graph = build_graph(FAN, k=2)
    assert graph.indices.reshape(4, 2).tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]
    index, similarity = graph.neighbors(0)
    assert index.tolist() == [1, 2]
    np.testing.assert_allclose(similarity, np.cos(TURN[1:3]), atol=1e-6)


def test_length_does_not_matter():
    graph = build_graph(FAN * np.array([[1.0], [5.0], [0.1], [300.0]]), k=2)
    np.testing.assert_array_equal(graph.indices, build_graph(FAN, k=2).indices)


@pytest.mark.parametrize("chunk_cells", [1, 700, 16_000_000])
def test_equals_brute_force_whatever_the_chunks(monkeypatch, chunk_cells):
    monkeypatch.setattr(neighbor_search, "CHUNK_CELLS", chunk_cells)
    x = np.random.default_rng(0).normal(size=(150, 12))
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    cosines = (unit @ unit.T).round(6)
    np.fill_diagonal(cosines, -np.inf)
    expected = np.argsort(-cosines, axis=1, kind="stable")[:, :7]
    np.testing.assert_array_equal(build_graph(x, k=7).indices.reshape(150, 7), expected)


@pytest.mark.parametrize(("n_old", "n_new"), [(150, 30), (150, 1), (5, 60), (1, 3), (0, 4), (9, 0)])
def test_appended_equals_rebuilt(n_old, n_new):
    x = np.random.default_rng(0).integers(-2, 3, size=(n_old + n_new, 4)).astype(float)  # many ties
    present = np.arange(len(x)) % 7 != 3
    old = build_graph(x[:n_old], present[:n_old], k=6)
    appended, rebuilt = append_items(old, x, present, k=6), build_graph(x, present, k=6)
    for part in ("indptr", "indices", "data"):
        np.testing.assert_array_equal(getattr(appended, part), getattr(rebuilt, part))


def test_appending_to_other_items_is_refused():
    with pytest.raises(DataError, match="build the graph anew"):
        append_items(build_graph(FAN), FAN[:3])


def test_the_index_finds_nearly_all_neighbors(monkeypatch):
    pytest.importorskip("faiss", reason='needs pip install "weaklight[ann]"')
    _, _, x = planted(n=3000, d=24)
    exact = build_graph(x, k=10).indices.reshape(3000, 10)
    monkeypatch.setattr(neighbors, "MAX_EXACT_ROWS", 1000)
    found = build_graph(x, k=10).indices.reshape(3000, 10)
    shared = np.mean([len(set(a) & set(b)) for a, b in zip(exact, found, strict=True)]) / 10
    assert shared > 0.8
    assert not (found == np.arange(3000)[:, None]).any()


def test_ties_go_by_row_order_even_when_there_are_many():
    graph = build_graph(np.ones((60, 3)), k=3)
    assert graph.indices.reshape(60, 3)[[0, 1, 2, 59]].tolist() == [
        [1, 2, 3],
        [0, 2, 3],
        [0, 1, 3],
        [0, 1, 2],
    ]


def test_rows_without_direction_are_nobodys_neighbor():
    x = np.vstack([FAN, [[np.nan, 1.0], [0.0, 0.0], [np.inf, 0.0], [1.0, 1.0]]])
    present = np.array([True] * 7 + [False])
    graph = build_graph(x, present, k=15)
    assert np.diff(graph.indptr).tolist() == [3, 3, 3, 3, 0, 0, 0, 0]
    assert graph.indices.max() == 3


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_items_for_a_neighbor(n):
    graph = build_graph(np.ones((n, 2)))
    assert graph.n_items == n and len(graph.indices) == 0
    assert spread(np.ones((n, 1)), np.ones(n, bool), graph).shape == (n, 1)


def test_wrong_shapes_are_refused():
    with pytest.raises(DataError, match=r"features must be \(n, d\)"):
        build_graph(np.ones(3))
    with pytest.raises(DataError, match="present must have shape"):
        build_graph(np.ones((3, 2)), np.ones(2, bool))
    with pytest.raises(DataError, match="same items"):
        spread(np.ones((3, 1)), np.ones(3, bool), build_graph(FAN))


def test_save_and_load_return_the_same_graph(tmp_path):
    graph = build_graph(FAN, k=2)
    graph.save(tmp_path / "graph")
    again = NeighborGraph.load(tmp_path / "graph")
    for part in ("indptr", "indices", "data"):
        before, after = getattr(graph, part), getattr(again, part)
        assert before.dtype == after.dtype and before.tobytes() == after.tobytes()
    np.save(tmp_path / "graph" / "data.npy", graph.data[:-1])
    with pytest.raises(ArtifactError, match="same edges"):
        NeighborGraph.load(tmp_path / "graph")
    (tmp_path / "graph" / "indptr.npy").write_bytes(b"")
    with pytest.raises(ArtifactError, match="reading failed"):
        NeighborGraph.load(tmp_path / "graph")


@pytest.mark.parametrize("clamped", [False, True])
@pytest.mark.parametrize("n_covered", [40, 25])
def test_spread_converges_to_zhous_closed_form(n_covered, clamped):
    x = np.random.default_rng(0).normal(size=(40, 5))
    posterior = np.random.default_rng(1).dirichlet(np.ones(3), 40)
    graph, is_covered = build_graph(x, k=5), np.arange(40) < n_covered
    w = graph.symmetric().toarray()
    s = w / np.sqrt(np.outer(w.sum(1), w.sum(1)))
    clamp = np.where(np.arange(40) < 10, 1.0, 0.4)
    own = np.where(is_covered, clamp if clamped else 0.4, 0.0)[:, None]  # I - A
    closed = np.linalg.solve(np.eye(40) - (1 - own) * s, own * posterior)
    closed /= closed.sum(axis=1, keepdims=True)
    out = spread(
        posterior, is_covered, graph, alpha=0.6, clamp=clamp if clamped else None, iterations=400
    )
    np.testing.assert_allclose(out, closed, atol=1e-5)


def test_uncovered_rows_are_filled_and_lonely_ones_keep_what_they_had():
    x = np.vstack([FAN[:3], [[np.nan, np.nan]]])
    posterior = np.array([[1.0, 0.0], [0.3, 0.7], [0.3, 0.7], [0.5, 0.5]])
    is_covered = np.array([True, False, False, False])
    out = spread(posterior, is_covered, build_graph(x, k=2))
    np.testing.assert_allclose(out, [[1, 0], [1, 0], [1, 0], [0.5, 0.5]], atol=1e-6)
    assert reached(is_covered, build_graph(x, k=2)).tolist() == [True, True, True, False]


def test_a_clamp_of_one_never_moves():
    posterior = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    clamp = np.array([1.0, 0.1, 0.1, 0.1])
    out = spread(posterior, np.ones(4, bool), build_graph(FAN, k=3), clamp=clamp)
    np.testing.assert_allclose(out[0], [1, 0], atol=1e-6)
    assert spread(posterior, np.ones(4, bool), build_graph(FAN, k=3))[0, 0] < 0.9


def test_class_numbers_do_not_matter():
    _, _, x = planted(n=200, d=8)
    posterior = np.random.default_rng(0).dirichlet(np.ones(3), 200)
    graph, known = build_graph(x), np.arange(200) % 3 > 0
    straight = spread(posterior, known, graph)
    np.testing.assert_allclose(
        spread(posterior[:, [2, 0, 1]], known, graph), straight[:, [2, 0, 1]], atol=1e-6
    )


def test_cut_statistic_by_hand():
    # two neighbors each, all at similarity 1, so every weight is 1
    graph = NeighborGraph(
        indptr=np.arange(0, 9, 2),
        indices=np.array([1, 2, 0, 2, 0, 1, 0, 1], dtype=np.int32),
        data=np.ones(8, dtype=np.float32),
    )
    z = cut_statistic(np.array([0, 0, 1, -1]), graph)
    # item 0: 1 of 2 neighbors differs; expected 2 * 1/3, deviation sqrt(2 * 2/9)
    np.testing.assert_allclose(z[0], (1 - 2 / 3) / np.sqrt(4 / 9))
    # item 2: both differ; expected 2 * 2/3
    np.testing.assert_allclose(z[2], (2 - 4 / 3) / np.sqrt(4 / 9))
    assert np.isnan(z[3])


def test_near_neighbors_weigh_more_in_the_cut_and_unlabelled_ones_nothing():
    # item 0 has neighbors at distance 0, 1 and 0.5, so at weights 1, 1/2 and 2/3; the last one has
    # no label. Half of the labels are its own.
    graph = NeighborGraph(
        indptr=np.array([0, 3, 3, 3, 3, 3]),
        indices=np.array([1, 2, 3], dtype=np.int32),
        data=np.array([1.0, 0.0, 0.5], dtype=np.float32),
    )
    z = cut_statistic(np.array([0, 0, 1, -1, 1]), graph)
    np.testing.assert_allclose(z[0], (1 / 2 - 3 / 4) / np.sqrt((1 + 1 / 4) / 4))


def test_cut_statistic_finds_planted_wrong_labels():
    _, truth, x = planted(n=1500, d=16)
    labels = truth.copy()
    labels[:300] = (labels[:300] + 1) % 3
    worst = np.argsort(cut_statistic(labels, build_graph(x)))[-300:]
    assert (worst < 300).mean() > 0.9
    assert np.nanmax(np.abs(cut_statistic(np.zeros(1500, int), build_graph(x)))) == 0


def test_features_repair_labelmes_votes():
    """Design page: LabelMe 0.77 -> 0.86."""
    votes, features, gold = labelme()
    posterior = MajorityVote().fit(votes, n_classes=8).predict_proba(votes)
    out = spread(posterior, covered(votes), build_graph(features))
    assert (hard_labels(out) == gold).mean() > 0.84

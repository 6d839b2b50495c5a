import numpy as np

from weak_supervision.evidence import (
    agreement_above_chance,
    bootstrap_means,
    group_lfs,
    mean_over_groups,
    neighbor_agreement,
    one_hot,
    unanimous,
)
from weak_supervision.neighbors import build_graph


def test_twins_stay_in_one_group():
    rng = np.random.default_rng(0)
    votes = rng.integers(-1, 3, (400, 6)).astype(np.int16)
    votes[:, 4] = votes[:, 1]
    votes[:20, 4] = -1
    votes[:, 5] = -1
    groups = [group.tolist() for group in group_lfs(votes, max_groups=4)]
    assert sorted(lf for group in groups for lf in group) == [0, 1, 2, 3, 4]
    assert [1, 4] in groups


def test_groups_hold_about_as_many_votes_each():
    rng = np.random.default_rng(0)
    votes = np.where(rng.random((500, 30)) < 0.1, rng.integers(0, 3, (500, 30)), -1)
    sizes = [(votes[:, group] >= 0).sum() for group in group_lfs(votes.astype(np.int16))]
    assert len(sizes) == 5 and max(sizes) < 1.2 * min(sizes)


def test_functions_for_one_class_are_left_out_apart():
    votes = np.full((600, 6), -1, dtype=np.int16)
    for lf in range(6):
        votes[100 * lf : 100 * (lf + 1) - lf, lf] = lf % 3
    groups = group_lfs(votes, max_groups=2)
    assert [sorted(group % 3) for group in groups] == [[0, 1, 2], [0, 1, 2]]


def test_no_groups_from_silence():
    assert group_lfs(np.full((4, 3), -1, dtype=np.int16)) == []
    assert [g.tolist() for g in group_lfs(np.zeros((4, 1), dtype=np.int16))] == [[0]]


def test_agreement_above_chance_by_hand():
    proba = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.5, 0.5]])
    said = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    # predictions name class 0 in 2.5 of 4 rows
    expected = [1 - 2.5 / 4, 0 - 1.5 / 4, 1 - 1.5 / 4, np.nan]
    np.testing.assert_allclose(agreement_above_chance(proba, said), expected)


def test_always_saying_the_same_earns_nothing():
    said = one_hot(np.random.default_rng(0).random((50, 3)))
    constant = np.tile([0.8, 0.1, 0.1], (50, 1))
    np.testing.assert_allclose(agreement_above_chance(constant, said), 0.0, atol=1e-12)


def test_no_answer_earns_nothing_and_is_no_part_of_chance():
    proba = np.array([[1.0, 0.0], [0.0, 1.0], [0.9, 0.1]])
    said = np.tile([1.0, 0.0], (3, 1))
    known = np.array([True, True, False])
    np.testing.assert_allclose(agreement_above_chance(proba, said, known), [0.5, -0.5, 0.0])


def test_bootstrap_means_bound_as_often_as_they_should():
    rng = np.random.default_rng(0)
    misses = sum(
        np.quantile(bootstrap_means(rng.choice([-1.0, 0.0, 1.0], 200), seed=seed), 0.1) > 0
        for seed in range(300)
    )
    assert 0.06 < misses / 300 < 0.15  # 10 % expected


def test_bootstrap_means_of_nothing_are_nothing():
    assert np.isnan(bootstrap_means(np.array([np.nan]))).all()


def test_mean_over_groups_skips_what_is_unknown():
    parts = [np.array([1.0, np.nan, np.nan]), np.array([0.0, 1.0, np.nan])]
    np.testing.assert_array_equal(mean_over_groups(parts, 3), [0.5, 1.0, np.nan])
    assert np.isnan(mean_over_groups([], 2)).all()


def test_unanimous_takes_two_and_no_set():
    votes = np.array([[1, 1, -1], [1, -1, -1], [0, 1, -1], [3, 3, -1], [-1] * 3], dtype=np.int16)
    assert unanimous(votes, 3).tolist() == [1, -1, -1, -1, -1]


def test_neighbor_agreement_counts_labelled_pairs():
    graph = build_graph(np.array([[1.0, 0], [1, 0.1], [0, 1], [0.1, 1]]), k=1)
    assert neighbor_agreement(np.array([0, 0, 1, 0]), graph) == 0.5
    assert neighbor_agreement(np.array([0, 0, 1, -1]), graph) == 1.0
    assert neighbor_agreement(np.full(4, -1), graph) is None

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weak_supervision.evaluation import accuracy, class_accuracy, quality
from weak_supervision.label_models import hard_labels
from weaklight.errors import DataError
from weaklight.intervals import Proportion


def test_hand_computed_quality() -> None:
    labels = [0, 1, 1, 0, 2, 2]
    gold = [0, 1, 0, -1, 2, 1]  # the fourth row has no gold
    is_covered = [True, True, False, True, True, False]
    result = quality(labels, gold, is_covered)
    assert result.overall == Proportion(3, 5)
    assert result.coverage == Proportion(3, 5)
    assert result.covered == Proportion(3, 3)
    assert class_accuracy(labels, gold, 4) == (
        Proportion(1, 2),
        Proportion(1, 2),
        Proportion(1, 1),
        Proportion(0, 0),
    )


def test_an_abstaining_label_is_wrong_and_no_rows_give_no_number() -> None:
    assert accuracy([-1, 0], [0, 0]) == Proportion(1, 2)
    assert accuracy([], []).value is None
    assert accuracy([1], [-1]).value is None


def test_shapes_must_agree() -> None:
    with pytest.raises(DataError, match="one length"):
        accuracy([0, 1], [0])
    with pytest.raises(DataError, match="one key per row"):
        hard_labels(np.full((2, 2), 0.5), keys=["only one"])


def test_ties_follow_snorkel() -> None:
    utils = pytest.importorskip("snorkel.utils")
    generator = np.random.default_rng(0)
    posterior = generator.integers(0, 3, size=(300, 4)) + 1e-9
    posterior = posterior / posterior.sum(axis=1, keepdims=True)
    expected = utils.probs_to_preds(posterior, tie_break_policy="random")
    np.testing.assert_array_equal(hard_labels(posterior, keys=range(300)), expected)


def test_a_tie_depends_on_the_item_and_not_on_the_row() -> None:
    keys = [f"item-{i}" for i in range(500)]
    flat = np.full((500, 5), 0.2, dtype=np.float32)
    labels = hard_labels(flat, keys=keys)
    order = np.random.default_rng(1).permutation(500)
    np.testing.assert_array_equal(hard_labels(flat, keys=[keys[i] for i in order]), labels[order])
    assert np.bincount(labels, minlength=5).min() > 60  # near 100 each


@settings(max_examples=15, deadline=None)
@given(p=st.floats(0.02, 0.98), n=st.integers(20, 2000), seed=st.integers(0, 2**32 - 1))
def test_intervals_cover_at_nominal_rate(p: float, n: int, seed: int) -> None:
    """Over 2,000 repetitions the interval of an accuracy holds the truth in 95 % of them.

    Wilson's coverage is 95 % on average and never under about 89 % at these n and p, as counts are
    whole numbers; Wald's, which we never use, falls under 70 %.
    """
    generator = np.random.default_rng(seed)
    hits = generator.binomial(n, p, size=2000)
    inside = [low <= p <= high for low, high in (Proportion(int(h), n).interval for h in hits)]
    assert 0.87 <= np.mean(inside) <= 1.0


def test_mean_coverage_is_nominal() -> None:
    generator = np.random.default_rng(3)
    inside = []
    for p in generator.uniform(0.05, 0.95, size=40):
        gold = generator.integers(0, 3, size=(100, 200))
        right = generator.random(gold.shape) < p
        labels = np.where(right, gold, (gold + 1) % 3)
        for row, truth in zip(labels, gold, strict=True):
            low, high = accuracy(row, truth).interval
            inside.append(low <= p <= high)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.012)  # 4,000 trials: three sigma

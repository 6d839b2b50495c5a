import numpy as np
import pytest

from weak_supervision.hybrid import admit_conformally, gold_rows_needed
from weaklight.errors import DataError


def test_p_values_and_the_cut_by_hand() -> None:
    # 9 gold rows, one wrong at confidence 0.7: rows above 0.7 have p = 1/10, below 2/10
    gold_proba = np.column_stack([np.r_[np.full(8, 0.9), 0.7], np.r_[np.full(8, 0.1), 0.3]])
    gold = np.r_[np.zeros(8, int), 1]
    proba = np.array([[0.95, 0.05], [0.8, 0.2], [0.6, 0.4]])
    found = admit_conformally(proba, gold_proba, gold, alpha=0.6)
    assert found.confidence == pytest.approx([0.9, 0.9, 0.8])  # all three pass 0.6 * k / 3
    assert found.labels.tolist() == [0, 0, 0]
    as_sure = admit_conformally(gold_proba[-1:], gold_proba, gold, alpha=0.6)
    assert as_sure.confidence == pytest.approx([0.8])  # a wrong row that is as sure counts


def test_too_few_gold_rows_are_refused_with_the_reason() -> None:
    proba = np.full((5, 2), [0.9, 0.1])
    found = admit_conformally(proba, proba, np.zeros(5, int), alpha=0.1)
    assert found.n_admitted == 0 and gold_rows_needed(0.1) == 50
    assert f"5 gold rows are too few for an error of 0.1, {gold_rows_needed(0.1)}" in (
        found.stop_reason
    )
    with pytest.raises(DataError, match="between 0 and 1"):
        gold_rows_needed(2)
    with pytest.raises(DataError, match="one class for each of 5"):
        admit_conformally(proba, proba, np.zeros(3, int))


def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Overconfident probabilities of two classes and the truth: right less often than claimed."""
    claimed = rng.uniform(0.5, 1.0, n)
    right = rng.random(n) < 0.35 + 0.6 * claimed
    first = rng.random(n) < 0.5
    proba = np.where(first[:, None], np.column_stack([claimed, 1 - claimed]), 0)
    proba += np.where(first[:, None], 0, np.column_stack([1 - claimed, claimed]))
    return proba, np.where(right, proba.argmax(1), 1 - proba.argmax(1))


@pytest.mark.parametrize(("n_gold", "alpha"), [(60, 0.1), (300, 0.1), (300, 0.05)])
def test_the_error_stays_under_its_level_over_200_seeds(n_gold: int, alpha: float) -> None:
    errors, n_admitted = [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        gold_proba, gold = draw(rng, n_gold)
        proba, truth = draw(rng, 500)
        found = admit_conformally(proba, gold_proba, gold, alpha=alpha)
        inside = found.labels >= 0
        n_admitted.append(inside.sum())
        errors.append((found.labels != truth)[inside].mean() if inside.any() else 0.0)
    noise = np.std(errors) / np.sqrt(200)
    assert np.mean(errors) <= alpha + 2 * noise
    if alpha == 0.1 and n_gold == 300:
        assert np.mean(n_admitted) > 50  # a rule that admits nothing would pass as well

import numpy as np
import pytest

from weak_supervision.noise import estimate_noise, noise_by_gold
from weak_supervision.noise.transition import noise_of_clear_cases
from weaklight.errors import DataError

TRANSITION = np.array([[0.7, 0.2, 0.1], [0.0, 0.8, 0.2], [0.3, 0.1, 0.6]])


def planted(n: int = 6000, spread: float = 0.2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.choice(3, size=n, p=[0.5, 0.3, 0.2])
    labels = np.array([rng.choice(3, p=TRANSITION[c]) for c in truth])
    return 3 * np.eye(3)[truth] + spread * rng.normal(size=(n, 3)), labels, truth


def test_clear_cases_give_the_matrix_away() -> None:
    features, labels, truth = planted(n=20_000)
    found = estimate_noise(features, labels, 3)
    assert np.abs(found.transition - TRANSITION).max() < 3 * np.sqrt(
        0.25 / 400
    )  # 400 cases or more
    assert found.prior == pytest.approx([0.5, 0.3, 0.2], abs=0.03)
    assert found.rate == pytest.approx((labels != truth).mean(), abs=0.03)


def test_middling_features_do_not_pass_for_noise() -> None:
    features, labels, truth = planted(spread=1.5)
    nearest = ((features[:, None] - 3 * np.eye(3)) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == truth).mean() < 0.87  # even the best classifier errs on an eighth
    assert estimate_noise(features, labels, 3).rate == pytest.approx(
        (labels != truth).mean(), abs=0.05
    )


def test_scores_by_hand() -> None:
    scores = np.repeat(np.array([[2.0, 0.0], [0.0, 1.0]]), 20, axis=0)
    labels = np.repeat([0, 1, 1], [15, 5, 20])
    found = noise_of_clear_cases(scores, labels)
    assert found.transition == pytest.approx(np.array([[0.75, 0.25], [0.0, 1.0]]))
    assert found.prior == pytest.approx([0.5, 0.5]) and found.rate == pytest.approx(0.125)


def test_gold_counts() -> None:
    _, labels, truth = planted()
    assert noise_by_gold(labels, truth, 3).transition == pytest.approx(TRANSITION, abs=0.03)
    unseen = noise_by_gold(np.array([0, -1]), np.array([0, 1]), 2)
    assert unseen.transition.tolist() == [[1, 0], [0, 1]]  # nothing known: taken as right


def test_too_few_rows() -> None:
    with pytest.raises(DataError, match="cannot be told from 12 labelled rows"):
        estimate_noise(np.ones((12, 2)), np.zeros(12, int), 3)

from __future__ import annotations

import numpy as np
import pytest

from ssl_models.evaluation import FewLabels, Task, few_labels, score_features
from weaklight.errors import ConfigError, DataError
from weaklight.intervals import Proportion


def task(distance: float = 3.0, n: int = 400) -> Task[np.ndarray]:
    """Three classes of 200, 120 and 80 rows, each shifted along an axis of its own."""
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [n // 2, n * 3 // 10, n // 5])
    train, test = (
        generator.normal(size=(n, 12)) + distance * np.eye(3, 12)[labels] for _ in range(2)
    )
    return Task(train, labels, test, labels, 3)


def test_mean_and_spread_by_hand() -> None:
    row = FewLabels(0.1, 4, (Proportion(6, 10), Proportion(8, 10)))
    assert row.mean == pytest.approx(0.7) and row.spread == pytest.approx(0.02**0.5)
    assert FewLabels(0.1, 4, (Proportion(6, 10),)).spread is None


def test_draws_are_stratified_deterministic_and_more_labels_help() -> None:
    one, ten = few_labels(task(), seeds=(0, 1, 2))
    assert (one.share, one.n_train) == (0.01, 2 + 1 + 1)  # 1.2 and 0.8 rows round to one
    assert (ten.share, ten.n_train) == (0.1, 20 + 12 + 8)
    assert [a.n for a in ten.accuracies] == [400] * 3
    assert ten.mean > one.mean + 0.05 and ten.spread < one.spread
    assert few_labels(task(), seeds=(0, 1, 2)) == (one, ten)
    assert len(set(one.accuracies)) > 1  # each seed draws other rows


def test_scores_of_planted_features() -> None:
    good, useless = (score_features(task(distance)) for distance in (6.0, 0.0))
    assert good.knn.successes >= 396 and good.linear.successes >= 396
    assert useless.linear.successes < 260 and useless.knn.successes < 260
    assert good.dim == 12 and good.n_train == good.linear.n == 400
    assert set(good.as_dict()["knn"]) == {"value", "low", "high", "n"}


def test_standardising_keeps_a_loud_useless_feature_from_deciding() -> None:
    quiet = task(6.0)
    noise = np.random.default_rng(1).normal(size=(2, 400, 1)) * 1000
    loud = quiet.with_rows(np.hstack([quiet.train, noise[0]]), np.hstack([quiet.test, noise[1]]))
    assert score_features(loud).knn.successes >= 390


def test_wrong_input_is_named() -> None:
    with pytest.raises(ConfigError, match="at least one seed"):
        few_labels(task(), seeds=())
    with pytest.raises(DataError, match="share"):
        few_labels(task(), shares=(10,))

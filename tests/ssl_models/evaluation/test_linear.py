from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from ssl_models.evaluation import linear_probe
from ssl_models.evaluation.labelled import stratified_rows
from ssl_models.evaluation.logistic import fit_logistic
from weaklight.errors import ConfigError, DataError

Rows = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def digits() -> Rows:
    features, labels = load_digits(return_X_y=True)
    return features.astype(np.float32), labels


def blobs(n: int, seed: int, d: int = 20, distance: float = 6.0) -> Rows:
    """Three classes, each shifted along an axis of its own."""
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    features = generator.normal(size=(n, d)) + distance * np.eye(3, d)[labels]
    return features.astype(np.float32), labels


@pytest.mark.parametrize("n", [50, 1000])
def test_every_fit_is_that_of_scikit_learn(digits: Rows, n: int) -> None:
    features, labels = digits
    grid = [1.0, 10.0, 100.0, 1000.0]
    fits = fit_logistic(features[:n], labels[:n], 10, grid)
    ours = fits.predict_proba(features[1000:])
    x = ((features - fits.mean.numpy()) / fits.scale.numpy()).astype(np.float64)
    for l2, proba in zip(grid, ours, strict=True):
        peer = LogisticRegression(C=1 / l2, tol=1e-8, max_iter=10_000).fit(x[:n], labels[:n])
        # Flatter optima are known less exactly.
        np.testing.assert_allclose(proba, peer.predict_proba(x[1000:]), atol=max(1e-4, 1e-2 / l2))


def test_with_two_classes_the_penalty_is_shared_by_two_rows(digits: Rows) -> None:
    features, labels = digits[0][:400], digits[1][:400] % 2
    fits = fit_logistic(features, labels, 2, [100.0])
    x = ((features - fits.mean.numpy()) / fits.scale.numpy()).astype(np.float64)
    peer = LogisticRegression(C=1 / 50, tol=1e-8, max_iter=10_000).fit(x, labels)
    np.testing.assert_allclose(fits.predict_proba(features)[0], peer.predict_proba(x), atol=1e-3)


def test_separable_truth_is_found() -> None:
    train, test = blobs(90, 0), blobs(300, 1)
    probe = linear_probe(*train, test[0], 3)
    assert (probe.proba.argmax(1) == test[1]).mean() > 0.98
    assert probe.proba.dtype == np.float32 and probe.n_train == 90
    np.testing.assert_allclose(probe.proba.sum(1), 1, atol=1e-5)


def test_the_choice_is_the_best_on_validation() -> None:
    """A third of the labels are wrong: a weak regularisation learns them by heart."""
    (features, labels), test = blobs(90, 0, d=60, distance=3.0), blobs(600, 1, d=60, distance=3.0)
    valid = blobs(600, 2, d=60, distance=3.0)
    noisy = np.where(np.arange(90) // 3 % 3 == 0, (labels + 1) % 3, labels)
    probe = linear_probe(features, noisy, test[0], 3, l2=(0.1, 1000.0), valid=valid)
    weak, strong = probe.validation
    assert probe.l2 == 1000.0 and weak.n == 600 and strong.successes > weak.successes
    alone = linear_probe(features, noisy, test[0], 3, l2=(1000.0,))
    np.testing.assert_array_equal(probe.proba, alone.proba)  # validation rows are not fitted


def test_test_rows_do_not_touch_each_other_or_the_choice() -> None:
    train, test = blobs(60, 0, distance=1.5), blobs(40, 1)
    poisoned = test[0].copy()
    poisoned[1:] = 1e6
    first, second = (linear_probe(*train, rows, 3) for rows in (test[0], poisoned))
    assert first.l2 == second.l2 and first.validation == second.validation
    np.testing.assert_allclose(first.proba[0], second.proba[0], atol=1e-6)


def test_contract() -> None:
    features, labels = blobs(40, 0, distance=1.5)
    queries = blobs(9, 1)[0]
    probe = linear_probe(features, labels, queries, 3, seed=4)
    again = linear_probe(features, labels, queries, 3, seed=4)
    assert again.proba.tobytes() == probe.proba.tobytes() and again.l2 == probe.l2
    flipped = linear_probe(features, 2 - labels, queries, 3, valid=(features, 2 - labels))
    straight = linear_probe(features, labels, queries, 3, valid=(features, labels))
    np.testing.assert_allclose(flipped.proba, straight.proba[:, ::-1], atol=1e-4)
    assert linear_probe(features, labels, queries[:0], 3).proba.shape == (0, 3)


def test_classes_without_rows_and_rows_without_validation() -> None:
    features = np.array([[0.0, 1.0], [1.0, 1.0]])  # the second feature never varies
    probe = linear_probe(features, np.array([0, 3]), features, 5, l2=(1.0, 2.0, 3.0))
    assert probe.l2 == 2.0 and probe.validation[0].n == 0
    assert probe.proba.argmax(1).tolist() == [0, 3] and not probe.proba[:, [1, 2, 4]].any()
    one_class = linear_probe(features, np.array([1, 1]), features, 2)
    np.testing.assert_array_equal(one_class.proba, [[0, 1], [0, 1]])


def test_stratified_rows_by_hand() -> None:
    labels = np.repeat([0, 1, 2], [20, 10, 1])
    for leave_one, counts in ((False, [4, 2, 1]), (True, [4, 2, 0])):
        rows = stratified_rows(labels, 0.2, np.random.default_rng(0), leave_one=leave_one)
        assert np.bincount(labels[rows], minlength=3).tolist() == counts
        assert (np.diff(rows) > 0).all()


def test_wrong_input_is_named() -> None:
    x, y = np.eye(3), np.arange(3)
    with pytest.raises(DataError, match="finite"):
        linear_probe(x * np.nan, y, x, 3)
    with pytest.raises(DataError, match="share d"):
        linear_probe(x, y, x[:, :2], 3)
    with pytest.raises(DataError, match="abstains"):
        linear_probe(x, y - 1, x, 3)
    with pytest.raises(DataError, match="one label a row"):
        linear_probe(x, y[:2], x, 3)
    with pytest.raises(DataError, match="share"):
        linear_probe(x, y, x, 3, valid_share=0.0)
    with pytest.raises(ConfigError, match="positive"):
        linear_probe(x, y, x, 3, l2=(0.0,))

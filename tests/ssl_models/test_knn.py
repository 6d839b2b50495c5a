from __future__ import annotations

import math

import numpy as np
import pytest

from ssl_models import retrieval
from ssl_models.knn import knn_predict_proba
from weaklight.errors import DataError


def test_two_neighbours_by_hand() -> None:
    """Similarities 1 and 0.6: weights in proportion exp(1 / 0.5) to exp(0.6 / 0.5)."""
    reference = np.array([[1.0, 0.0], [0.6, 0.8]])
    out = knn_predict_proba(reference, np.array([0, 1]), np.array([[5.0, 0.0]]), 2, 2, 0.5)
    expected = math.exp(2.0) / (math.exp(2.0) + math.exp(1.2))
    np.testing.assert_allclose(out, [[expected, 1 - expected]], rtol=1e-6)


def test_one_neighbour_is_the_nearest() -> None:
    rng = np.random.default_rng(0)
    reference, query = rng.normal(size=(50, 8)), rng.normal(size=(20, 8))
    labels = rng.integers(0, 3, 50)
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (reference, query)]
    nearest = labels[(unit[1] @ unit[0].T).argmax(1)]
    out = knn_predict_proba(reference, labels, query, 3, k=1)
    np.testing.assert_array_equal(out.argmax(1), nearest)


def test_more_neighbours_than_references_and_small_temperature() -> None:
    out = knn_predict_proba(np.eye(3), np.arange(3), np.eye(3) * 1e4, 3, k=200, temperature=1e-3)
    np.testing.assert_allclose(out, np.eye(3), atol=1e-6)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    arguments = rng.normal(size=(40, 4)), rng.integers(0, 5, 40), rng.normal(size=(37, 4)), 5, 7
    whole = knn_predict_proba(*arguments)
    monkeypatch.setattr(retrieval, "CHUNK_VALUES", 80)  # two queries a chunk
    np.testing.assert_allclose(knn_predict_proba(*arguments), whole, atol=1e-6)


def test_contract() -> None:
    rng = np.random.default_rng(0)
    reference, labels = rng.normal(size=(60, 6)), rng.integers(0, 4, 60)
    query = rng.normal(size=(9, 6))
    out = knn_predict_proba(reference, labels, query, 4)
    assert out.dtype == np.float32 and out.shape == (9, 4)
    np.testing.assert_allclose(out.sum(1), 1, atol=1e-6)
    flipped = knn_predict_proba(reference, 3 - labels, query, 4)
    np.testing.assert_allclose(flipped, out[:, ::-1], atol=1e-6)
    np.testing.assert_allclose(
        knn_predict_proba(reference * 7, labels, query[::-1], 4), out[::-1], atol=1e-5
    )
    assert knn_predict_proba(reference, labels, query[:0], 4).shape == (0, 4)


@pytest.mark.parametrize(
    ("labels", "query", "message"),
    [
        ([0, -1], [[1.0, 0.0]], "abstains"),
        ([0], [[1.0, 0.0]], "one label per reference"),
        ([0, 1], [[1.0]], "share d"),
        ([0, 1], [[np.nan, 0.0]], "finite"),
    ],
)
def test_wrong_input_is_named(labels: list[int], query: list[list[float]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        knn_predict_proba(np.eye(2), np.array(labels), np.array(query), 2)

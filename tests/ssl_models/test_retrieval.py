from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from ssl_models import retrieval
from ssl_models.retrieval import nearest_rows
from weaklight.errors import DataError


def test_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    reference, query = rng.normal(size=(60, 8)), rng.normal(size=(9, 8))
    distance, rows = (
        NearestNeighbors(n_neighbors=5, metric="cosine").fit(reference).kneighbors(query)
    )
    found = nearest_rows(reference, query, k=5)
    np.testing.assert_array_equal(found.rows, rows)
    np.testing.assert_allclose(found.similarity, 1 - distance, atol=1e-5)


def test_ties_go_to_the_first_row_and_nobody_finds_itself() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(4, 33)).repeat(50, axis=0)  # fifty copies of each of four
    queries = np.array([0, 60, 199])
    found = nearest_rows(features, features[queries], k=3, leave_out=queries)
    assert found.rows.tolist() == [[1, 2, 3], [50, 51, 52], [150, 151, 152]]
    np.testing.assert_array_equal(found.similarity, np.ones((3, 3), np.float32))


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.random.default_rng(0).normal(size=(40, 4))
    queries = np.arange(0, 40, 3)
    whole = nearest_rows(features, features[queries], k=39, leave_out=queries)
    assert (np.sort(np.c_[whole.rows, queries], axis=1) == np.arange(40)).all()
    monkeypatch.setattr(retrieval, "CHUNK_VALUES", 80)  # two queries a chunk
    again = nearest_rows(features, features[queries], k=39, leave_out=queries)
    np.testing.assert_array_equal(again.rows, whole.rows)
    assert nearest_rows(features, features[:0], k=1).rows.shape == (0, 1)


def test_wrong_input_is_named() -> None:
    features = np.eye(3)
    for message, arguments in {
        "k lie in 1..3": (features, features, 4),
        "share d": (features, features[:, :2], 1),
        "finite": (features, np.full((1, 3), np.nan), 1),
    }.items():
        with pytest.raises(DataError, match=message):
            nearest_rows(*arguments[:2], k=arguments[2])
    with pytest.raises(DataError, match=r"1\.\.2"):
        nearest_rows(features, features, k=3, leave_out=range(3))
    with pytest.raises(DataError, match="one row a query"):
        nearest_rows(features, features, k=1, leave_out=[0])

from __future__ import annotations

import numpy as np
import pytest

from ssl_models.pictures import match_patches
from weaklight.errors import DataError


def shifted(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Two windows of one field of tokens, the second further down and to the right."""
    rng = np.random.default_rng(0)
    field = rng.normal(size=(12, 12, 16))
    return field[:8, :8], field[rows : 8 + rows, columns : 8 + columns]


def test_the_shift_is_recovered() -> None:
    first, second = shifted(2, 3)
    noisy = second + np.random.default_rng(1).normal(0, 0.05, second.shape)
    found = match_patches(first, noisy, patch=4)
    sure = found.similarity > 0.9
    # the windows share 6 rows and 5 columns; what left the first cannot be found
    assert sure.sum() == 30
    np.testing.assert_array_equal(
        (found.first - found.second)[sure], np.tile([3 * 4.0, 2 * 4.0], (30, 1))
    )
    assert (np.diff(found.similarity) <= 0).all()


def test_an_image_matches_itself_in_place() -> None:
    first, _ = shifted(0, 0)
    found = match_patches(first, 3 * first, patch=2)  # length does not count
    np.testing.assert_array_equal(found.first, found.second)
    np.testing.assert_allclose(found.similarity, 1, atol=1e-6)
    assert {tuple(p) for p in found.first} == {
        (2 * x + 1.0, 2 * y + 1.0) for x in range(8) for y in range(8)
    }


def test_only_mutual_neighbours_by_hand() -> None:
    """Directions 0, 20 and 80 degrees against 9 and 85.

    Both 0 and 20 have 9 as their nearest, which prefers 0: 20 is left without a partner.
    """
    degrees = np.deg2rad([0.0, 20.0, 80.0]), np.deg2rad([9.0, 85.0])
    first, second = (np.stack([np.cos(d), np.sin(d)], -1)[None] for d in degrees)
    found = match_patches(first, second, patch=10)
    assert found.first.tolist() == [[25, 5], [5, 5]]  # 5 degrees apart, then 9
    assert found.second.tolist() == [[15, 5], [5, 5]]
    np.testing.assert_allclose(found.similarity, np.cos(np.deg2rad([5, 9])), atol=1e-6)


def test_equal_patches_pair_the_first_with_the_first() -> None:
    found = match_patches(np.ones((2, 2, 3)), np.ones((2, 2, 3)), patch=1)
    assert found.first.tolist() == found.second.tolist() == [[0.5, 0.5]]


def test_foreground_alone_takes_part() -> None:
    first, second = shifted(2, 3)
    here, there = np.zeros((8, 8), bool), np.ones((8, 8), bool)
    here[4, 5] = True
    found = match_patches(first, second, patch=1, foreground=(here, there))
    assert found.first.tolist() == [[5.5, 4.5]] and found.second.tolist() == [[2.5, 2.5]]
    nothing = match_patches(first, second, patch=1, foreground=(here & False, there))
    assert nothing.first.shape == (0, 2) and nothing.similarity.shape == (0,)


def test_errors_say_what_was_expected() -> None:
    first, second = shifted(0, 0)
    with pytest.raises(DataError, match="of one encoder"):
        match_patches(first, second[..., :4], patch=4)
    with pytest.raises(DataError, match="a foreground"):
        match_patches(first, second, patch=4, foreground=(np.ones((2, 2), bool),) * 2)

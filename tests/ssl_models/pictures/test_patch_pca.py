from __future__ import annotations

import numpy as np
import pytest

from ssl_models.pictures import patch_pca
from weaklight.errors import DataError

OBJECT = np.zeros((3, 6, 5), bool)  # in the middle, elsewhere in each image
OBJECT[0, 2:4, 1:4] = OBJECT[1, 1:4, 2:4] = OBJECT[2, 2:5, 1:3] = True


def planted(sign: float = 1.0) -> np.ndarray:
    """Object and background far apart along one direction; two parts of the object along another.

    The first component's sign follows ``sign``, so one of the two must be turned round.
    """
    rng = np.random.default_rng(0)
    tokens = rng.normal(0, 0.05, (3, 6, 5, 8))
    tokens[..., 0] += np.where(OBJECT, 5.0, -5.0) * sign
    rows = np.arange(6)[None, :, None]
    upper = OBJECT & (rows < 3)
    tokens[..., 3] += np.where(upper, 1.0, -1.0) * OBJECT
    return tokens


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_planted_object_is_the_foreground_whatever_the_sign(sign: float) -> None:
    found = patch_pca(planted(sign))
    np.testing.assert_array_equal(found.foreground, OBJECT)
    assert (found.colours[~OBJECT] == 0).all()


def test_equal_parts_have_equal_colours_in_all_images() -> None:
    found = patch_pca(planted())
    red = found.colours[..., 0]
    upper = OBJECT & (np.arange(6)[None, :, None] < 3)
    # weight +1 on direction 3 is the largest, so the upper part is the bright one
    assert red[upper].min() > 0.9 and red[OBJECT & ~upper].max() < 0.1
    for channel in found.colours[OBJECT].T:
        assert (channel.min(), channel.max()) == (0, 1)


def test_one_image_few_dimensions_and_no_spread() -> None:
    found = patch_pca(planted()[:1, :, :, [0, 3]])
    np.testing.assert_array_equal(found.foreground, OBJECT[:1])
    assert (found.colours[..., 2] == 0).all()  # two dimensions have no third component
    still = patch_pca(np.ones((2, 4, 4, 6)))
    assert not still.foreground.any() and not still.colours.any()


def test_errors_say_what_to_do() -> None:
    for tokens in (np.ones((4, 4, 6)), np.full((1, 4, 4, 6), np.nan), np.ones((0, 4, 4, 6))):
        with pytest.raises(DataError, match="patch_tokens"):
            patch_pca(tokens)

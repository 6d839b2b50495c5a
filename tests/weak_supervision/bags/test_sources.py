import numpy as np
import pytest

from weak_supervision.bags import (
    heat_map,
    image_patches,
    paragraph_spans,
    paragraphs,
    patch_grid,
    windows,
)
from weaklight.errors import DataError


def test_patches_cover_every_pixel_and_keep_their_place() -> None:
    image = np.arange(5 * 7, dtype=np.uint8).reshape(5, 7, 1)
    corners = patch_grid(5, 7, 3, 3)
    assert corners.tolist() == [[0, 0], [0, 3], [0, 4], [2, 0], [2, 3], [2, 4]]
    patches = image_patches(image, 3)
    assert patches.shape == (6, 3, 3, 1)
    assert (patches[5] == image[2:5, 4:7]).all()
    assert set(patches.ravel()) == set(image.ravel())
    with pytest.raises(DataError, match="must fit into the image"):
        image_patches(image, 6)


def test_paragraphs_and_windows() -> None:
    assert paragraphs("a\nb\n\n \n\nc") == ["a\nb", "c"]
    assert paragraphs("\n\n".join("x" * 9), at_most=3) == ["x"] * 3
    text = "\n\n Dear Ada,\n \nfree money!\n"
    assert [text[a:b] for a, b in paragraph_spans(text)] == ["Dear Ada,", "free money!"]
    assert windows(np.arange(7), 3, 2).tolist() == [[0, 1, 2], [2, 3, 4], [4, 5, 6]]
    assert windows(np.arange(6), 3, 2).tolist() == [[0, 1, 2], [2, 3, 4], [3, 4, 5]]
    assert windows(np.array([4, 5]), 4, 1).tolist() == [[4, 5, 5, 5]]
    with pytest.raises(DataError, match="windows need a series"):
        windows(np.array([]), 4, 1)


def test_heat_is_the_mean_of_the_patches_over_a_pixel() -> None:
    corners = patch_grid(2, 4, 2, 1)
    heat = heat_map(np.array([1.0, 2.0, 6.0]), corners, (2, 2), (2, 4))
    assert heat.tolist() == [[1.0, 1.5, 4.0, 6.0]] * 2
    assert heat_map(np.ones(1), np.array([[1, 1]]), (1, 1), (2, 2)).tolist() == [[0, 0], [0, 1]]

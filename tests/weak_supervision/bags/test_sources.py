import numpy as np
import pytest

from weak_supervision.bags import image_patches, paragraphs, patch_grid, windows
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
    assert windows(np.arange(7), 3, 2).tolist() == [[0, 1, 2], [2, 3, 4], [4, 5, 6]]
    assert windows(np.arange(6), 3, 2).tolist() == [[0, 1, 2], [2, 3, 4], [3, 4, 5]]
    assert windows(np.array([4, 5]), 4, 1).tolist() == [[4, 5, 5, 5]]
    with pytest.raises(DataError, match="windows need a series"):
        windows(np.array([]), 4, 1)

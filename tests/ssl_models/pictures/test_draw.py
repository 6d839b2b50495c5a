from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from ssl_models.pictures import contact_sheet, heat_overlay, matched_pair, png
from ssl_models.pictures.draw import BETWEEN, DIMMED, GAP, HEAT
from ssl_models.pictures.matching import Matches
from weaklight.errors import DataError


def photo(height: int = 12, width: int = 10, channels: int = 3) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (height, width, channels)).astype(np.uint8)


def decoded(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def test_png_keeps_every_pixel_and_a_palette_makes_it_smaller() -> None:
    picture = photo(64, 64)
    np.testing.assert_array_equal(decoded(png(picture)), picture)
    gray = picture[..., :1]
    np.testing.assert_array_equal(decoded(png(gray, colours=2)), gray.repeat(3, axis=2))
    assert png(picture) == png(picture.copy())
    small = png(picture, colours=16)
    assert decoded(small).shape == (64, 64, 3) and len(small) < len(png(picture)) / 3


def test_heat_runs_from_the_first_colour_to_the_last() -> None:
    heat = np.array([[0.2, 0.4, 0.8]])
    veil = heat_overlay(np.zeros((1, 3, 1), np.uint8), heat, strength=1.0)
    np.testing.assert_array_equal(veil[0, [0, 2]], HEAT[[0, 3]])
    np.testing.assert_array_equal(veil[0, 1], HEAT[1])  # a third of the way: the second of four
    image = photo(1, 3)
    np.testing.assert_array_equal(heat_overlay(image, heat, strength=0.0), image)
    even = heat_overlay(image, np.full((1, 3), 7.0), strength=0.5)  # no division by zero
    np.testing.assert_array_equal(even, np.round(0.5 * HEAT[0] + 0.5 * image).astype(np.uint8))


def test_what_the_mask_leaves_out_is_dimmed() -> None:
    image, mask = np.full((2, 2, 1), 200, np.uint8), np.eye(2, dtype=bool)
    drawn = heat_overlay(image, np.zeros((2, 2)), mask, strength=0.0)
    assert drawn[mask].tolist() == [[200] * 3] * 2
    assert drawn[~mask].tolist() == [[round(200 * DIMMED)] * 3] * 2


def test_contact_sheet_lays_out_rows() -> None:
    pictures = [np.full((3, 5, 3), level, np.uint8) for level in (10, 20, 30)]
    sheet = contact_sheet(pictures, columns=2)
    assert sheet.shape == (2 * 3 + GAP, 2 * 5 + GAP, 3)
    assert sheet[0, 0, 0] == 10 and sheet[0, 5 + GAP, 0] == 20 and sheet[3 + GAP, 0, 0] == 30
    assert (sheet[:3, 5 : 5 + GAP] == BETWEEN).all()
    assert (sheet[3 + GAP :, 5 + GAP :] == BETWEEN).all()
    assert contact_sheet(pictures[:1], columns=4).shape == (3, 5, 3)


def test_lines_join_the_matched_points() -> None:
    black = np.zeros((12, 10, 1), np.uint8)
    points = np.array([[5.0, 6.0], [1.0, 1.0]], np.float32)
    matches = Matches(points, points[:, ::-1], np.array([0.9, 0.8], np.float32))
    drawn = matched_pair(black, black, matches, scale=4, most=1)
    assert drawn.shape == (48, 2 * 40 + GAP, 3)
    left, right = (4 * 6, 4 * 5), (4 * 5, 40 + GAP + 4 * 6)  # (row, column) of the two ends
    assert drawn[left].max() > 150 and drawn[right].max() > 150
    assert drawn[4, 4].max() == 0  # the second pair is not among the `most`
    empty = Matches(points[:0], points[:0], np.empty(0, np.float32))
    assert (matched_pair(black, black, empty)[:, :40] == 0).all()


def test_errors_say_what_was_expected() -> None:
    with pytest.raises(DataError, match="to_pixels"):
        heat_overlay(photo(), np.zeros((3, 3)))
    with pytest.raises(DataError, match="C = 1 or 3"):
        heat_overlay(photo(channels=2), np.zeros((12, 10)))
    with pytest.raises(DataError, match="all of one shape"):
        contact_sheet([photo(), photo(5)], columns=2)

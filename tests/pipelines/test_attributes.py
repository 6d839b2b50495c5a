"""Attributes on drawn shapes, whose values can be worked out by hand.

Shapes are drawn on a canvas of 64 x 64 with a bounding box of 32 x 32 or a multiple, so that each
cell of the common grid is exactly one pixel.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from pipelines.attributes import ATTRIBUTES, measure
from weaklight.errors import DataError


def canvas(*boxes: tuple[int, int, int, int], shade: int = 200) -> NDArray[np.uint8]:
    """Draw boxes (top, bottom, left, right), relative to a frame that starts at (16, 16)."""
    picture = np.zeros((64, 64), dtype=np.uint8)
    for top, bottom, left, right in boxes:
        picture[16 + top : 16 + bottom, 16 + left : 16 + right] = shade
    return picture


def of(picture: NDArray[np.uint8]) -> pd.Series:
    pixels = picture[None, :, :, None] if picture.ndim == 2 else picture[None]
    return measure(pixels).iloc[0]


TROUSERS = canvas((0, 16, 0, 32), (16, 32, 0, 12), (16, 32, 20, 32))
PULLOVER = canvas((0, 4, 8, 24), (4, 8, 0, 32), (8, 32, 8, 24), (8, 32, 0, 4), (8, 32, 28, 32))
T_SHIRT = canvas((0, 12, 0, 32), (12, 32, 8, 24))
TOTE = canvas((0, 4, 8, 24), (4, 16, 8, 12), (4, 16, 20, 24), (16, 32, 0, 32))
BOOT = canvas((0, 24, 16, 32), (24, 32, 0, 32))
SLIPPER = canvas((0, 4, 8, 24), (4, 24, 8, 12), (24, 32, 0, 32))


def test_a_plain_box() -> None:
    box = of(canvas((0, 16, 0, 32), shade=51))
    expected = {
        "aspect": 0.5,
        "fill": 1,
        "symmetry": 1,
        "handle": 0,
        "openness": 0,
        "pieces_across": 1,
        "leg_gap": 0,
        "sleeve_width": 0,
        "neck_depth": 0,
        "hem_width": 1,
        "body_width": 2,  # as wide as the item, which is half as high
        "slope": 0,
        "ankle_height": 1,
        "sole_height": 0.5,
        "arch_gap": 0,
        "brightness": 0.2,
        "texture": 0,
        "front_line": 0,
        "opening": 0,
    }
    assert box[list(expected)].to_dict() == pytest.approx(expected)


def test_two_legs() -> None:
    trousers = of(TROUSERS)
    assert trousers.leg_gap == 1  # open over the whole lower half
    assert trousers.body_width == 0
    assert trousers.fill == pytest.approx(1 - 16 * 8 / 32**2)
    assert trousers.arch_gap == pytest.approx(8 / 32)
    assert trousers.pieces_across == 1.5
    short_gap = of(canvas((0, 24, 0, 32), (24, 32, 0, 12), (24, 32, 20, 32)))
    assert short_gap.leg_gap == 0.5


def test_sleeves() -> None:
    pullover, t_shirt = of(PULLOVER), of(T_SHIRT)
    assert pullover.sleeve_width == pytest.approx(8 / 32)
    assert pullover.body_width == pytest.approx(16 / 32)
    assert pullover.hem_width == 1
    assert pullover.sleeve_reach == 1
    assert pullover.sleeve_line > 0.9 > t_shirt.sleeve_line
    assert t_shirt.sleeve_width == 0
    assert t_shirt.hem_width == 0.5
    assert t_shirt.shoulder_width == 1
    assert t_shirt.sleeve_reach == pytest.approx(12 / 32)


def test_a_handle_is_open_but_enclosed() -> None:
    tote = of(TOTE)
    assert tote.handle == pytest.approx(12 * 8 / (16 * 32))
    assert tote.lower_fill == 1
    assert tote.sole_height == pytest.approx(0.5)  # the solid body, half as high as it is wide
    assert of(TROUSERS).handle == 0  # open below


def test_a_neckline_dips() -> None:
    vest = of(canvas((0, 8, 0, 10), (0, 8, 22, 32), (8, 32, 0, 32)))
    assert vest.neck_depth == pytest.approx(8 / 32)
    assert vest.opening > 0.5


def test_a_shoe_from_the_side() -> None:
    boot = of(BOOT)
    assert boot.slope == pytest.approx(0.75)
    assert boot.toe_height == pytest.approx(0.25)
    assert boot.ankle_height == 1
    assert boot.shaft_width == 0.5
    heeled = of(canvas((0, 24, 16, 32), (24, 26, 0, 32), (26, 32, 0, 12), (26, 32, 24, 32)))
    assert heeled.arch_gap == pytest.approx(12 / 32)
    slipper = of(SLIPPER)
    assert slipper.sole_height == pytest.approx(8 / 32)
    assert slipper.openness > 0.2 > boot.openness == 0


def test_a_shoe_may_point_either_way() -> None:
    pd.testing.assert_series_equal(of(BOOT), of(BOOT[:, ::-1]))


def test_lines_on_the_cloth() -> None:
    plain = canvas((0, 32, 0, 32))
    zip_line = plain.copy()
    zip_line[16:48, 31:33] = 40
    stripes = plain.copy()
    stripes[16:48, 16:48:4] = 60
    assert of(plain).front_line == 0
    assert of(zip_line).front_line > 0.5
    assert of(stripes).texture > 0.2
    assert of(stripes).vertical_lines == pytest.approx(1)
    assert of(np.rot90(stripes).copy()).vertical_lines == pytest.approx(0)
    assert of(stripes).roughness == 0 < of(np.rot90(stripes).copy()).roughness


def test_size_place_and_ground_do_not_matter() -> None:
    shape = of(PULLOVER)
    doubled = PULLOVER.repeat(2, axis=0).repeat(2, axis=1)
    moved = np.roll(PULLOVER, (9, -7), axis=(0, 1))
    on_white = (255 - PULLOVER).astype(np.uint8)
    in_colour = np.stack([PULLOVER // 4, PULLOVER, PULLOVER // 2], axis=-1)
    for other in (doubled, moved, on_white, in_colour):
        pd.testing.assert_series_equal(of(other), shape)


def test_a_row_depends_on_its_own_picture_alone() -> None:
    rng = np.random.default_rng(0)
    pixels = np.stack([TROUSERS, np.zeros_like(BOOT), PULLOVER, T_SHIRT, TOTE, BOOT, SLIPPER])
    noise = rng.integers(0, 256, size=(5, 64, 64)).astype(np.uint8)
    pixels = np.concatenate([pixels, noise])[..., None]
    together = measure(pixels)
    order = rng.permutation(len(pixels))
    assert measure(pixels[order]).equals(together.iloc[order].reset_index(drop=True))
    for i in range(len(pixels)):
        assert measure(pixels[i : i + 1]).equals(together.iloc[[i]].reset_index(drop=True))
    assert together.drop(index=1).notna().all(axis=None)


def test_more_pictures_than_a_chunk() -> None:
    few = np.stack([TROUSERS, BOOT, TOTE])[..., None]
    many = measure(np.tile(few, (400, 1, 1, 1)))
    assert many.equals(pd.concat([measure(few)] * 400, ignore_index=True))


@pytest.mark.parametrize("shade", [0, 255, 77])
def test_nothing_to_see_is_nan(shade: int) -> None:
    row = of(np.full((28, 28), shade, dtype=np.uint8))
    assert row.isna().all()


@pytest.mark.parametrize("shape", [(28, 28), (1, 1), (7, 90), (96, 40)])
def test_any_size(shape: tuple[int, int]) -> None:
    picture = np.zeros((*shape, 3), dtype=np.uint8)
    picture[0, 0] = 255  # one pixel stands out, unless it is all there is
    row = of(picture)
    assert row.isna().all() if shape == (1, 1) else row.notna().all()


def test_columns_are_those_documented() -> None:
    table = measure(np.zeros((0, 28, 28, 1), dtype=np.uint8))
    assert list(table.columns) == list(ATTRIBUTES)
    assert len(table) == 0
    assert (table.dtypes == np.float64).all()
    assert all(text.endswith(".") and text[0].isupper() for text in ATTRIBUTES.values())


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((2, 28, 28), dtype=np.uint8),
        np.zeros((2, 28, 28, 4), dtype=np.uint8),
        np.zeros((2, 28, 28, 1), dtype=np.float32),
    ],
)
def test_wrong_pixels_are_refused(pixels: NDArray[np.generic]) -> None:
    with pytest.raises(DataError, match="decode the images first"):
        measure(pixels)

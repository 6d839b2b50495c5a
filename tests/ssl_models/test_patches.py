from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ssl_models import AugmentConfig
from ssl_models.augment import Augment
from ssl_models.patches import colours, cut, geometry, integers, pixelate, standardise
from weaklight.errors import DataError


def test_cut_takes_the_pixels_of_each_place() -> None:
    images = torch.arange(2 * 3 * 6 * 7).view(2, 3, 6, 7)
    tops, lefts = torch.tensor([[0, 2], [3, 1]]), torch.tensor([[4, 0], [1, 2]])
    patches = cut(images, tops, lefts, 3)
    assert patches.shape == (2, 2, 3, 3, 3)
    assert torch.equal(patches[0, 0], images[0, :, 0:3, 4:7])
    assert torch.equal(patches[0, 1], images[0, :, 2:5, 0:3])
    assert torch.equal(patches[1, 0], images[1, :, 3:6, 1:4])
    with pytest.raises(DataError, match="must fit images of 6 x 7"):
        cut(images, tops, lefts, 7)


def test_integers_reach_both_ends_alike() -> None:
    drawn = integers(torch.arange(0, 1, 0.001), 3, 7)
    assert torch.bincount(drawn).tolist() == [0, 0, 0, 200, 200, 200, 200, 200]


def test_standardised_patches_have_the_given_mean_and_deviation() -> None:
    torch.manual_seed(0)
    patches = torch.rand(5, 3, 4, 4) * torch.tensor([0.2, 0.6, 1.0]).view(3, 1, 1)
    patches[0, 1] = 0.7  # flat: stays flat instead of showing rounding noise
    mean, std = torch.tensor([0.1, 0.5, 0.9]).view(3, 1, 1), torch.tensor([0.2, 0.3, 0.4])
    out = standardise(patches, mean, std.view(3, 1, 1))
    torch.testing.assert_close(out.mean((2, 3)), mean.view(1, 3).expand(5, 3))
    deviation = out.std((2, 3), correction=0)
    torch.testing.assert_close(deviation[1:], std.expand(4, 3))
    assert float(deviation[0, 1]) < 1e-5


def test_pixelated_patches_are_those_of_interpolate() -> None:
    patches = torch.rand(4, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    out = pixelate(patches, torch.tensor([8, 4, 5, 1]))
    torch.testing.assert_close(out[0], patches[0])
    for row, side in ((1, 4), (2, 5)):
        small = F.interpolate(patches[row : row + 1], side, mode="area")
        torch.testing.assert_close(out[row : row + 1], F.interpolate(small, 8, mode="bilinear"))
    torch.testing.assert_close(out[3], patches[3].mean((1, 2), keepdim=True).expand(2, 8, 8))


def test_geometry_keeps_pixel_values() -> None:
    """Only moves remain, so an image of one colour stays that colour, whatever was asked."""
    loud = AugmentConfig(jitter=1, gray=1, blur=1, solarize=1, cutout=1, rotate=20, translate=0.1)
    image = torch.tensor([200, 30, 90], dtype=torch.uint8).view(1, 3, 1, 1).expand(6, 3, 12, 12)
    out = Augment(geometry(loud))(image, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(out, image / 255)
    assert geometry(loud).rotate == 20 and geometry(loud).translate == 0.1


def test_colours_keep_every_pixel_in_its_place() -> None:
    """Two levels of gray stay two levels in the same places, whatever moves were asked."""
    loud = AugmentConfig(jitter=1, rotate=20, translate=0.1, cutout=1)
    board = ((torch.arange(12)[:, None] + torch.arange(12)) % 2).bool()
    images = torch.where(board, 180, 60).to(torch.uint8).expand(6, 1, 12, 12)
    out = Augment(colours(loud))(images, generator=torch.Generator().manual_seed(0))
    bright, dark = out[:, 0, board], out[:, 0, ~board]  # (6, 72)
    assert bright.std(1).max() < 1e-5 and dark.std(1).max() < 1e-5
    assert (bright[:, 0] - dark[:, 0]).std() > 0.02 and colours(loud).jitter == 1

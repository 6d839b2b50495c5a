from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.color import lab2rgb, rgb2lab

from ssl_models import build_backbone
from ssl_models.augment import LUMA
from ssl_models.colour import (
    ab_bins,
    gray_rows,
    lab_to_rgb,
    need_convolutions,
    rgb_to_lab,
    see_lightness,
    soft_encode,
    split_lightness_and_colour,
)
from weaklight.errors import ConfigError


def random_images(n: int = 4, side: int = 16) -> torch.Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(0))


def test_lab_is_that_of_scikit_image() -> None:
    images = random_images()
    images[0, :, :4] *= 0.03  # below the bend of the sRGB curve and of Lab's cube root
    images[1, :, 0, 0], images[1, :, 0, 1] = 0.0, 1.0
    lab = rgb_to_lab(images)
    expected = rgb2lab(images.permute(0, 2, 3, 1).double().numpy())
    torch.testing.assert_close(
        lab.permute(0, 2, 3, 1), torch.from_numpy(expected).float(), atol=2e-3, rtol=1e-4
    )
    torch.testing.assert_close(lab_to_rgb(lab), images, atol=1e-4, rtol=0)


def test_half_precision_of_a_training_step_reaches_neither_colours_nor_filters() -> None:
    images, encoders = random_images(), []
    bins = ab_bins(20.0)
    for enabled in (False, True):
        torch.manual_seed(0)
        encoder = build_backbone("compact", channels=3, image_size=24, width=8)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            lab = rgb_to_lab(images)
            soft = soft_encode(lab[:, 1:].flatten(2)[0].T, bins, 20.0)
            split_lightness_and_colour(encoder)
        encoders.append([lab, soft, encoder.body[0][0].weight.detach()])
    for plain, mixed in zip(*encoders, strict=True):
        torch.testing.assert_close(mixed, plain, atol=1e-5, rtol=1e-5)


def test_a_colour_that_no_screen_shows_is_clipped() -> None:
    lab = np.array([[60.0, 100.0, -100.0], [40.0, -90.0, 60.0]])
    expected = lab2rgb(lab[None])[0]
    got = lab_to_rgb(torch.from_numpy(lab).float().T[None, :, :, None])[0, :, :, 0].T
    np.testing.assert_allclose(got, expected, atol=2e-3)


@pytest.mark.parametrize(("spacing", "n_bins"), [(10.0, 259), (20.0, 75)])
def test_bins_are_the_cells_that_hold_a_colour(spacing: float, n_bins: int) -> None:
    bins = ab_bins(spacing)
    assert len(bins) == n_bins
    steps = np.linspace(0, 1, 24)  # another lattice than the one the bins were found from
    lattice = np.stack(np.meshgrid(steps, steps, steps), -1)
    cells = {
        (int(a), int(b)) for a, b in np.round(rgb2lab(lattice)[..., 1:].reshape(-1, 2) / spacing)
    }
    held = {(int(a), int(b)) for a, b in (bins / spacing).tolist()}
    assert cells <= held and len(held) == n_bins


def test_soft_encoding_by_hand() -> None:
    """Spacing 10, so sigma 5; the five nearest of seven bins share by their distance."""
    bins = torch.tensor([[0.0, 0], [10, 0], [-10, 0], [0, 10], [0, -10], [10, 20], [20, 0]])
    share = np.exp(-(np.array([3.0, 7.0, 13.0, 109**0.5, 109**0.5]) ** 2) / (2 * 5.0**2))
    expected = np.zeros(7)
    expected[[0, 1, 2, 3, 4]] = share / share.sum()
    encoded = soft_encode(torch.tensor([[3.0, 0.0]]), bins, 10.0)
    np.testing.assert_allclose(encoded[0], expected, rtol=1e-4)


def test_only_chosen_rows_turn_gray() -> None:
    images = random_images(2, 3)
    gray = gray_rows(images, torch.tensor([True, False]))
    luma = torch.einsum("c,chw->hw", torch.tensor(LUMA), images[0])
    torch.testing.assert_close(gray[0], luma.expand(3, 3, 3))
    assert torch.equal(gray[1], images[1])


def recoloured(images: torch.Tensor) -> torch.Tensor:
    """Return other colours of equal luma, and hence an input that only a colour-blind eye keeps."""
    chroma = torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    chroma = chroma - torch.einsum("c,bchw->bhw", torch.tensor(LUMA), chroma)[:, None]
    return images + 0.1 * chroma


def brighter(images: torch.Tensor) -> torch.Tensor:
    gray = torch.rand(len(images), 1, *images.shape[2:], generator=torch.Generator().manual_seed(2))
    return images + 0.3 * gray


@pytest.mark.parametrize("backbone", ["compact", "vit_tiny"])
def test_the_filters_see_lightness_alone(backbone: str) -> None:
    images = random_images(3, 24)
    encoder = build_backbone(backbone, channels=3, image_size=24, width=16).eval()
    encoder.set_normalisation([0.5, 0.4, 0.3], [0.2, 0.25, 0.3])
    see_lightness(encoder)
    h = encoder(images)
    torch.testing.assert_close(encoder(recoloured(images)), h, atol=1e-4, rtol=1e-3)
    assert not torch.allclose(encoder(brighter(images)), h, atol=1e-2)


@pytest.mark.parametrize("backbone", ["compact", "resnet18"])
def test_the_halves_see_one_part_each(backbone: str) -> None:
    """In training mode, where batch norm looks at the whole batch; then by the gradient."""
    images = random_images(4, 24)
    width = 64 if backbone == "resnet18" else 8
    encoder = build_backbone(backbone, channels=3, image_size=24, width=width).train()
    encoder.set_normalisation([0.5, 0.4, 0.3], [0.2, 0.25, 0.3])
    split_lightness_and_colour(encoder)
    light, colour = encoder(images).chunk(2, 1)
    light_too, other = encoder(recoloured(images)).chunk(2, 1)
    torch.testing.assert_close(light_too, light, atol=1e-3, rtol=1e-3)
    assert not torch.allclose(other, colour, atol=1e-2)
    other, colour_too = encoder(brighter(images)).chunk(2, 1)
    torch.testing.assert_close(colour_too, colour, atol=1e-3, rtol=1e-3)
    assert not torch.allclose(other, light, atol=1e-2)

    images.requires_grad_()
    light, colour = encoder(images).chunk(2, 1)
    (by_light,) = torch.autograd.grad(light.square().sum(), images, retain_graph=True)
    (by_colour,) = torch.autograd.grad(colour.square().sum(), images)
    # Lightness: the same direction at every pixel, that of luma. Colour: nothing along gray.
    luma = torch.tensor(LUMA).view(1, 3, 1, 1)
    along = by_light.sum(1, keepdim=True) * luma
    torch.testing.assert_close(by_light, along, atol=1e-4 * float(by_light.abs().max()), rtol=1e-3)
    gray = by_colour.sum(1).abs().max()
    assert gray < 1e-4 * by_colour.abs().max()


def test_images_that_are_not_rgb_stay_as_they_are() -> None:
    for channels in (1, 5):
        images = torch.rand(2, channels, 3, 3)
        assert gray_rows(images, torch.tensor([True, True])) is images


def test_grouped_convolutions_are_refused() -> None:
    """Their weights have another layout, of which zeroing a half would silence whole channels."""
    encoder = build_backbone("compact", channels=3, image_size=24, width=8)
    encoder.body.append(torch.nn.Conv2d(32, 32, 3, groups=32))
    with pytest.raises(ConfigError, match="ungrouped"):
        need_convolutions(encoder, "cmc")

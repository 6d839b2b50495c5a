"""Each draw against torchvision v2's distribution, each operation against its function."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as TF

from ssl_models.augment import (
    CROP_TRIES,
    DRAWS,
    N_UNIFORMS,
    Augment,
    AugmentConfig,
    colour_matrix,
    draw_crop,
    mean_luma,
)
from ssl_models.resampling import blurring, filtered, interpolation, rotated
from weaklight.errors import ConfigError, DataError
from weaklight.seeds import preserve_global_rng


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(n: int, channels: int = 3, side: int = 16, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 256, (n, channels, side, side), dtype=np.uint8))


def only(**changes: object) -> Augment:
    from dataclasses import replace

    return Augment(replace(AugmentConfig.identity(), **changes))


@pytest.mark.parametrize("channels", [1, 3])
def test_identity_changes_nothing(channels: int) -> None:
    batch = images(4, channels)
    out = only()(batch, generator=generator(), n_views=2)
    torch.testing.assert_close(out, (batch / 255).repeat(2, 1, 1, 1), atol=1e-5, rtol=0)


def test_flip_mirrors_left_and_right() -> None:
    batch = images(4)
    out = only(flip=1.0)(batch, generator=generator())
    torch.testing.assert_close(out, batch.flip(3) / 255, atol=1e-5, rtol=0)


def test_rotation_agrees_with_torchvision() -> None:
    side = 32
    ramp = torch.linspace(0, 255, side).to(torch.uint8)
    batch = ramp.view(1, 1, 1, side).expand(1, 1, side, side).contiguous()
    augment = only(rotate=30.0)
    out = augment(batch, generator=generator())
    draws = torch.rand(1, N_UNIFORMS, generator=generator()).split([*DRAWS.values()], dim=1)
    draw = draws[list(DRAWS).index("angle")]
    angle = float(30 * (2 * draw - 1))
    expected = TF.rotate(batch.float() / 255, angle, TF.InterpolationMode.BILINEAR)
    inner = slice(8, 24)
    torch.testing.assert_close(
        out[..., inner, inner], expected[..., inner, inner], atol=0.02, rtol=0
    )


@pytest.mark.parametrize("size", [(12, 20), (7, 9), (6, 6)])
def test_placing_agrees_with_sampling_a_grid(size: tuple[int, int]) -> None:
    """What needs no rotation is two products; torch's grid, which could also turn, is the truth."""
    x = images(5, side=12).float()[..., :10]  # (5, 3, 12, 10)
    box_h, box_w, middle_y, middle_x = torch.rand(4, 5, generator=generator())
    mirror = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0])
    scale = torch.stack([box_h, box_w * mirror])
    middle = torch.stack([middle_y - 0.5, middle_x - 0.5])
    ours = filtered(x, *interpolation(scale, middle, (12, 10), size))
    expected = rotated(x, torch.zeros(5), scale, middle, size)
    torch.testing.assert_close(ours, expected, atol=2e-3, rtol=0)  # of 255


def test_one_pixel_is_placed_everywhere() -> None:
    for filters in interpolation(torch.ones(2, 2), torch.zeros(2, 2), (1, 1), (3, 3)):
        torch.testing.assert_close(filters, torch.ones(2, 3, 1))


def test_rounding_under_autocast_is_that_of_a_pixel() -> None:
    batch, augment = images(8, side=32), Augment(AugmentConfig(blur=0.5))
    exact = augment(batch, generator=generator())
    with torch.autocast("cpu", torch.bfloat16):
        rounded = augment(batch, generator=generator())
    assert rounded.dtype == torch.float32
    assert float((rounded - exact).abs().mean()) < 1 / 256 < float(exact.std()) / 20


def test_views_of_another_size_show_the_same_crops() -> None:
    """On a ramp a view of half the size is the means of pairs of the full view's pixels."""
    ramp = torch.arange(0, 256, 8, dtype=torch.uint8).view(1, 1, 1, 32)
    batch = ramp.expand(16, 1, 32, 32).contiguous()
    augment = only(flip=0.5, crop_scale=(0.3, 0.6))
    full = augment(batch, generator=generator(), n_views=2)
    half = augment(batch, generator=generator(), n_views=2, size=(8, 16))
    assert half.shape == (32, 1, 8, 16)
    expected = TF.resize(full, [8, 16], antialias=True)
    inner = slice(2, -2)
    torch.testing.assert_close(half[..., inner], expected[..., inner], atol=0.01, rtol=0)


def test_crop_shows_the_box_that_was_drawn() -> None:
    """A ramp in x turns into a ramp whose slope is the box's share of the width."""
    side = 64
    ramp = (torch.arange(side) * 255 / (side - 1)).to(torch.uint8)
    batch = ramp.view(1, 1, 1, side).expand(256, 1, side, side).contiguous()
    augment = only(crop_scale=(0.25, 0.25), crop_ratio=(1.0, 1.0))
    out = augment(batch, generator=generator())
    slope = (out[:, 0, 0, 40] - out[:, 0, 0, 20]) / 20 * (side - 1)
    torch.testing.assert_close(slope, torch.full_like(slope, 0.5), atol=0.02, rtol=0)
    left = out[:, 0, 0, 0]  # boxes lie anywhere, evenly
    assert float(left.min()) < 0.02 and abs(float(left.mean()) - 0.25) < 0.03


def test_crop_sizes_follow_torchvision() -> None:
    height, width, n = 96, 64, 4000
    config = AugmentConfig()
    area, log_ratio = np.random.default_rng(0).random((2, n, CROP_TRIES), np.float32)
    low, high = (math.log(ratio) for ratio in config.crop_ratio)
    area, log_ratio = 0.2 + 0.8 * area, low + (high - low) * log_ratio
    share_h, share_w = draw_crop(area, log_ratio, config, height, width)
    crop = v2.RandomResizedCrop(8, scale=config.crop_scale)
    image = torch.zeros(3, height, width)
    with preserve_global_rng():
        torch.manual_seed(0)
        theirs = np.array(
            [crop.make_params([image]) for _ in range(n)],
            dtype=object,
        )
    their_h = np.array([p["height"] for p in theirs]) / height
    their_w = np.array([p["width"] for p in theirs]) / width
    for ours, reference in (
        (share_h * share_w, their_h * their_w),
        (np.log(share_w / share_h), np.log(their_w / their_h)),
    ):
        quantiles = np.linspace(0.05, 0.95, 7)
        np.testing.assert_allclose(
            np.quantile(ours, quantiles), np.quantile(reference, quantiles), atol=0.04
        )


def jittered(x: torch.Tensor, **factors: float) -> torch.Tensor:
    """Return RGB images (N, 3, H, W) changed by the matrix and bias of `Augment`."""
    names = ("brightness", "contrast", "saturation", "hue")
    brightness, contrast, saturation, hue = (
        np.full(len(x), factors.get(name, float(name != "hue")), np.float32) for name in names
    )
    gray = np.zeros(len(x), np.bool_)
    matrix = torch.from_numpy(colour_matrix(brightness * contrast, saturation, hue, gray))
    bias = torch.from_numpy((1 - contrast) * brightness) * mean_luma(x)
    return (matrix @ x.flatten(2) + bias[:, None, None]).view_as(x)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("brightness", TF.adjust_brightness),
        ("contrast", TF.adjust_contrast),
        ("saturation", TF.adjust_saturation),
    ],
)
@pytest.mark.parametrize("factor", [0.6, 1.3])
def test_colour_matrix_agrees_with_torchvision(name: str, reference, factor: float) -> None:
    x = 0.3 + 0.3 * torch.rand(2, 3, 8, 8, generator=generator())  # nothing clips
    torch.testing.assert_close(
        jittered(x, **{name: factor}), reference(x, factor), atol=3e-4, rtol=0
    )


def test_colour_operations_compose_as_torchvision_chains_them() -> None:
    x = 0.35 + 0.2 * torch.rand(1, 3, 8, 8, generator=generator())
    ours = jittered(x, brightness=1.1, contrast=0.8, saturation=1.2)
    theirs = TF.adjust_saturation(TF.adjust_contrast(TF.adjust_brightness(x, 1.1), 0.8), 1.2)
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=0)


def test_all_jitter_at_once_agrees_with_its_parts() -> None:
    """What `Augment` does to an image in one product is what its factors say, one by one."""
    x = images(64, side=8) // 4 + 96
    config = AugmentConfig(jitter=1.0, crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0), flip=0, gray=0)
    augment = Augment(config)
    factors = augment._draw(64, 1, generator())["colours"]
    expected = [
        jittered(one[None] / 255, brightness=b, contrast=c, saturation=s, hue=h)
        for one, (b, c, s, h) in zip(x, factors.tolist(), strict=True)
    ]
    torch.testing.assert_close(
        augment(x, generator=generator()), torch.cat(expected).clamp(0, 1), atol=1e-4, rtol=0
    )


def test_hue_turns_colours_and_keeps_luma() -> None:
    x = 0.3 + 0.3 * torch.rand(1, 3, 8, 8, generator=generator())
    luma = torch.tensor([0.299, 0.587, 0.114])
    torch.testing.assert_close(
        torch.einsum("c,nchw->nhw", luma, jittered(x, hue=0.1)),
        torch.einsum("c,nchw->nhw", luma, x),
    )
    red = torch.tensor([[[[0.6]], [[0.4]], [[0.4]]]])
    r, g, b = jittered(red, hue=1 / 3).flatten().tolist()
    assert max(r, g, b) != r  # a third of the circle takes red elsewhere


def test_gray_makes_channels_equal_as_often_as_asked() -> None:
    out = only(gray=0.2)(images(2000, side=8), generator=generator())
    is_gray = (out.max(1).values - out.min(1).values).amax((1, 2)) < 1e-4
    assert abs(float(is_gray.float().mean()) - 0.2) < 0.03


def test_blur_touches_as_many_rows_as_asked() -> None:
    batch = images(2000, side=8)
    out = only(blur=0.1, blur_sigma=(1.0, 2.0))(batch, generator=generator())
    changed = ((out - batch / 255).abs().amax((1, 2, 3)) > 1e-3).float().mean()
    assert abs(float(changed) - 0.1) < 0.03  # a peer blurs 90 % where 10 % was asked


@pytest.mark.parametrize("rotate", [0.0, 10.0])
def test_a_batch_of_which_nothing_is_blurred(rotate: float) -> None:
    batch = images(2, side=8)
    draws = (only(blur=blur, rotate=rotate)(batch, generator=generator()) for blur in (1e-9, 0.0))
    torch.testing.assert_close(*draws, atol=1e-5, rtol=0)


@pytest.mark.parametrize("side", [28, 64])
def test_blur_agrees_with_torchvision(side: int) -> None:
    x = torch.rand(3, 3, side, side, generator=generator())
    sigma = torch.tensor([0.3, 1.0, 2.0])
    taps = 2 * max(1, side // 20) + 1
    blur = blurring(sigma, taps // 2, side)
    for row, ours in zip(range(3), filtered(x, blur, blur), strict=True):
        theirs = TF.gaussian_blur(x[row], [taps, taps], [float(sigma[row])] * 2)
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_each_view_is_drawn_by_its_own_recipe() -> None:
    often, seldom = AugmentConfig(blur=0.9), AugmentConfig(blur=0.1, solarize=0.5)
    batch, together, apart = images(16), generator(), generator()
    views = Augment(often, seldom)(batch, generator=together)
    first, second = (Augment(recipe)(batch, generator=apart) for recipe in (often, seldom))
    torch.testing.assert_close(views, torch.cat([first, second]))


def test_recipes_that_cannot_be_drawn_together_are_refused() -> None:
    with pytest.raises(ConfigError, match="blur and solarize only"):
        Augment(AugmentConfig(flip=0.1), AugmentConfig(flip=0.2))
    with pytest.raises(ConfigError, match="2 recipes draw 2 views, but 3 came"):
        pair = Augment(AugmentConfig(), AugmentConfig(blur=1.0))
        pair(images(2), generator=generator(), n_views=3)


def test_solarize_agrees_with_torchvision() -> None:
    batch = images(4)
    out = only(solarize=1.0)(batch, generator=generator())
    torch.testing.assert_close(out, TF.solarize(batch / 255, 0.5), atol=1e-5, rtol=0)


def test_cutout_covers_the_share_that_was_asked() -> None:
    batch = images(64, channels=1, side=32)
    out = only(cutout=1.0, cutout_scale=(0.25, 0.25))(batch, generator=generator())
    hole = (out - batch / 255).abs() > 1e-4
    assert abs(float(hole.float().mean()) - 0.25) < 0.02
    values = out[hole[:, 0].unsqueeze(1)].view(-1)
    assert 0.3 < float(values.min()) <= float(values.max()) < 0.7  # filled with the image's mean


def test_gray_images_jitter_by_brightness_and_contrast() -> None:
    flat = torch.full((4000, 1, 2, 2), 100, dtype=torch.uint8)
    out = only(jitter=1.0, brightness=0.4)(flat, generator=generator())[:, 0, 0, 0]
    factor = out / (100 / 255)
    torch.testing.assert_close(float(factor.min()), 0.6, atol=0.01, rtol=0)
    torch.testing.assert_close(float(factor.max()), 1.4, atol=0.01, rtol=0)
    assert abs(float(factor.mean()) - 1) < 0.02
    untouched = only(jitter=0.8, brightness=0.4)(flat, generator=generator())[:, 0, 0, 0] / (
        100 / 255
    )
    assert abs(float(((untouched - 1).abs() < 1e-5).float().mean()) - 0.2) < 0.03


def test_every_image_and_view_draws_its_own() -> None:
    batch = images(1).expand(8, -1, -1, -1).contiguous()
    out = Augment(AugmentConfig())(batch, generator=generator(), n_views=2)
    assert len({tuple(row.flatten().tolist()) for row in out}) == 16


def test_equal_generators_give_equal_views_and_nothing_global_is_touched() -> None:
    batch, augment = images(4), Augment(AugmentConfig(blur=0.5, cutout=0.5, rotate=10))
    before = torch.get_rng_state()
    first = augment(batch, generator=generator(3), n_views=2)
    assert torch.equal(first, augment(batch, generator=generator(3), n_views=2))
    assert not torch.equal(first, augment(batch, generator=generator(4), n_views=2))
    assert torch.equal(before, torch.get_rng_state())
    assert float(first.min()) >= 0 and float(first.max()) <= 1 + 1e-6


def test_not_square_images_keep_their_shape() -> None:
    batch = torch.randint(0, 256, (2, 3, 24, 40), dtype=torch.uint8, generator=generator())
    out = Augment(AugmentConfig(rotate=20, blur=1.0))(batch, generator=generator())
    assert out.shape == (2, 3, 24, 40) and math.isfinite(float(out.sum()))


@pytest.mark.parametrize(
    "wrong", [{"flip": 1.5}, {"crop_scale": (0.5, 0.2)}, {"hue": 0.7}, {"blur_sigma": (0.0, 1.0)}]
)
def test_wrong_settings_are_named(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        AugmentConfig(**wrong)


def test_float_images_are_refused() -> None:
    with pytest.raises(DataError, match="uint8"):
        Augment(AugmentConfig())(torch.rand(2, 3, 8, 8), generator=generator())


def test_five_channels_keep_their_proportions() -> None:
    """Of colour only brightness and contrast are left: each channel is one line of the same map."""
    config = AugmentConfig(crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0), flip=0.0, jitter=1.0)
    levels = torch.tensor([60, 80, 100, 120, 140], dtype=torch.uint8)
    images = levels.view(1, 5, 1, 1).expand(4, 5, 8, 8).contiguous()
    views = Augment(config)(images, generator=torch.Generator().manual_seed(0))
    steps = views.mean((2, 3)).diff(dim=1)  # (4, 4): equal steps stay equal
    torch.testing.assert_close(steps, steps[:, :1].expand(-1, 4), rtol=1e-3, atol=1e-5)
    assert steps[:, 0].unique().numel() == 4  # by a draw of each image's own

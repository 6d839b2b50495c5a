"""Batched augmentation on the device: every image of a batch gets its own random draw.

Crop, flip, shift and blur are two matrix products, one along the rows of an image and one along its
columns, as all of them are linear and treat the two alone; under autocast they run in bfloat16,
which holds all 256 levels of a pixel. Rotation mixes rows and columns: with it crop, flip, shift
and rotation are one ``grid_sample``. Colour is one 3 x 3 matrix and a bias. Each image's
augmentation is a function of one row of a table of uniform numbers, and every process draws the
whole table: results do not depend on how many processes share the batch.

Try it::

    augment = Augment(AugmentConfig())
    views = augment(images_uint8, generator=torch.Generator().manual_seed(0), n_views=2)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from ssl_models.distributed import shared_rows
from ssl_models.resampling import (
    blurring,
    compute_dtype,
    filtered,
    interpolation,
    rotated,
)
from weaklight.errors import ConfigError, DataError

__all__ = ["Augment", "AugmentConfig"]

CROP_TRIES = 10  # as many as torchvision's RandomResizedCrop makes before it takes the centre
N_UNIFORMS = 2 * CROP_TRIES + 2 + 4 + 2 + 6 + 1 + 4  # crop, place, move, blur, colour, ...
LUMA = (0.299, 0.587, 0.114)  # ITU-R 601, as in torchvision and PIL
# Rows: luma, and the two chroma axes in which a hue shift is a plain rotation (YIQ).
RGB_TO_YIQ = torch.tensor([LUMA, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112)])
YIQ_TO_RGB = torch.linalg.inv(RGB_TO_YIQ)
# A colour is its luma plus its chroma: the matrix of the one, of the other, and of the other turned
# by a quarter of the circle. Any hue and saturation is a sum of the three.
COLOUR_BASIS = torch.stack(
    [
        YIQ_TO_RGB @ torch.tensor(turn) @ RGB_TO_YIQ
        for turn in (
            [[1.0, 0, 0], [0, 0, 0], [0, 0, 0]],
            [[0.0, 0, 0], [0, 1, 0], [0, 0, 1]],
            [[0.0, 0, 0], [0, 0, -1], [0, 1, 0]],
        )
    ]
)  # (3, 3, 3)


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """How one view is drawn. Probabilities in 0..1, factors as in torchvision v2.

    The defaults are SimCLR's for small colour images (Chen et al. 2020, appendix B.9: jitter
    strength 0.5, no blur); :func:`ssl_models.suggest_settings` picks others by the data.
    """

    crop_scale: tuple[float, float] = (0.2, 1.0)  # share of the image's area
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)  # width over height, log-uniform
    flip: float = 0.5  # left-right
    rotate: float = 0.0  # degrees, uniform in -rotate..rotate
    translate: float = 0.0  # share of the side, uniform in -translate..translate
    jitter: float = 0.8  # probability of the four below
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1  # share of the colour circle, at most 0.5
    gray: float = 0.2
    blur: float = 0.0
    blur_sigma: tuple[float, float] = (0.1, 2.0)  # pixels
    solarize: float = 0.0
    solarize_threshold: float = 0.5
    cutout: float = 0.0
    cutout_scale: tuple[float, float] = (0.02, 0.2)  # share of the area, filled with the mean

    def __post_init__(self) -> None:
        for name in ("flip", "jitter", "gray", "blur", "solarize", "cutout"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ConfigError(f"augment {name} is a probability in 0..1, but is {value}")
        for name in ("crop_scale", "crop_ratio", "blur_sigma", "cutout_scale"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ConfigError(
                    f"augment {name} must be (low, high) with 0 < low <= high, but is "
                    f"({low}, {high})"
                )
            object.__setattr__(self, name, (float(low), float(high)))  # JSON brings lists
        if not 0 <= self.hue <= 0.5:
            raise ConfigError(f"augment hue must lie in 0..0.5, but is {self.hue}")

    @classmethod
    def identity(cls) -> AugmentConfig:
        """Return the config that changes nothing: what evaluation sees."""
        nothing: dict[str, Any] = {f.name: 0.0 for f in fields(cls) if isinstance(f.default, float)}
        return cls(
            **{
                **nothing,
                "solarize_threshold": 0.5,
                "crop_scale": (1.0, 1.0),
                "crop_ratio": (1.0, 1.0),
            }
        )


class _Uniforms:
    """Hands out columns of an (N, N_UNIFORMS) table of numbers in [0, 1), left to right."""

    def __init__(self, table: Tensor) -> None:
        self._table, self._next = table, 0

    def take(self, n: int = 1) -> Tensor:
        columns = self._table[:, self._next : self._next + n]
        self._next += n
        return columns.squeeze(1) if n == 1 else columns

    def between(self, low: float, high: float) -> Tensor:
        return low + (high - low) * self.take()


class Augment:
    """Draws views of a batch of images, each image by its own random numbers.

    Parameters
    ----------
    recipe, others
        What may happen to an image, and how strongly: one recipe for all views, or one for each
        view. Those may differ in ``blur`` and ``solarize``, how often they do either.

    Raises
    ------
    ConfigError
        If they differ in more.

    Notes
    -----
    Order: crop with flip, rotation and shift; blur; jitter; gray; solarize; cutout. Recipes blur
    after the jitter, which changes nothing but where that one clips: colours and places are mixed
    independently. The jitter applies brightness, contrast, saturation and hue in this order
    (torchvision shuffles them) and clamps once at the end; hue turns the YIQ chroma plane, where
    torchvision turns HSV's circle.
    A crop is not antialiased: shrink much larger images once, before they are cached.
    Time O(V B C h W (H + w)), memory O(V B (C h W + h H + w W)).
    """

    def __init__(self, recipe: AugmentConfig, *others: AugmentConfig) -> None:
        self.config, self.recipes = recipe, (recipe, *others)
        if len({replace(each, blur=0.0, solarize=0.0) for each in self.recipes}) > 1:
            raise ConfigError(
                "the recipes of an image's views may differ in blur and solarize only, but came as "
                f"{self.recipes}"
            )

    def __call__(
        self,
        images: Tensor,
        *,
        generator: torch.Generator,
        n_views: int | None = None,
        size: tuple[int, int] | None = None,
    ) -> Tensor:
        """Return ``n_views`` views of each image, stacked view by view.

        Parameters
        ----------
        images
            (B, C, H, W) uint8: this process's share of the batch.
        generator
            A CPU generator in the same state in every process.
        n_views
            V, how many views of each image; as many as there are recipes where left out.
        size
            Height and width (h, w) of a view; H and W where left out. Crops are drawn straight at
            this size, blur and all: small views cost what their own pixels cost.

        Returns
        -------
        (V * B, C, h, w) float32 in 0..1; the first B rows are the first view. Under autocast they
        are good to about 1/256.
        """
        if images.dtype != torch.uint8 or images.ndim != 4:
            raise DataError(
                "images must be (B, C, H, W) uint8, but came as "
                f"{tuple(images.shape)} {images.dtype}"
            )
        n_views = n_views or len(self.recipes)
        if len(self.recipes) not in (1, n_views):
            raise ConfigError(
                f"{len(self.recipes)} recipes draw {len(self.recipes)} views, but {n_views} came"
            )
        table = torch.cat(
            [shared_rows(len(images), N_UNIFORMS, generator) for _ in range(n_views)]
        ).to(images.device)  # (V * B, N_UNIFORMS)
        uniforms = _Uniforms(table)
        x = self._move(images, uniforms, size or images.shape[2:])
        x = self._recolour(x, uniforms)
        x = self._solarize(x, uniforms)
        return self._cut_out(x, uniforms)

    def _move(self, images: Tensor, uniforms: _Uniforms, size: Sequence[int]) -> Tensor:
        config = self.config
        height, width = images.shape[-2:]
        box_h, box_w = draw_crop(uniforms.take(2 * CROP_TRIES), config, height, width)
        top, left = uniforms.take() * (1 - box_h), uniforms.take() * (1 - box_w)  # shares of a side
        mirror = 1.0 - 2.0 * (uniforms.take() < config.flip).float()
        angle = math.radians(config.rotate) * uniforms.between(-1, 1)
        middle_x = 2 * left + box_w - 1 + 2 * config.translate * uniforms.between(-1, 1)
        middle_y = 2 * top + box_h - 1 + 2 * config.translate * uniforms.between(-1, 1)
        chosen = self._chosen("blur", uniforms)
        sigma = torch.where(chosen, uniforms.between(*config.blur_sigma), 0.0)
        blurs, dtype = any(recipe.blur for recipe in self.recipes), compute_dtype(images.device)
        if config.rotate:
            x = torch.cat([images] * (len(angle) // len(images))).float()
            x = rotated(x, angle, (box_h, box_w), mirror, (middle_y, middle_x), size)
            if not blurs:
                return x.div_(255)
            filters = [
                torch.eye(n, dtype=dtype, device=x.device).repeat(len(x), 1, 1) for n in size
            ]
        else:
            x = images
            filters = [
                interpolation(box_h, middle_y, height, size[0], dtype),
                interpolation(box_w * mirror, middle_x, width, size[1], dtype),
            ]
        if blurs:
            radius = max(1, min(size) // 20)
            blur = {n: blurring(sigma, radius, n) for n in set(size)}
            filters = [torch.bmm(blur[n], each) for n, each in zip(size, filters, strict=True)]
        return filtered(x, filters[0].div_(255), filters[1])

    def _chosen(self, what: str, uniforms: _Uniforms) -> Tensor:
        """Return to which views (V * B,) ``what`` happens, each by its own recipe."""
        drawn = uniforms.take()
        often = drawn.new_tensor([getattr(recipe, what) for recipe in self.recipes])
        return drawn < often.repeat_interleave(len(drawn) // len(often))

    def _recolour(self, x: Tensor, uniforms: _Uniforms) -> Tensor:
        config = self.config
        chosen = uniforms.take() < config.jitter
        brightness, contrast, saturation = (
            torch.where(chosen, uniforms.between(max(0.0, 1 - strength), 1 + strength), 1.0)
            for strength in (config.brightness, config.contrast, config.saturation)
        )
        hue = torch.where(chosen, uniforms.between(-config.hue, config.hue), 0.0)
        gray = uniforms.take() < config.gray
        if config.jitter == 0 and config.gray == 0:
            return x
        if x.shape[1] != 3:  # hue, saturation and gray are of RGB alone
            mean = x.mean((1, 2, 3))
            bias = (1 - contrast) * brightness * mean
            x = x * (brightness * contrast).view(-1, 1, 1, 1) + bias.view(-1, 1, 1, 1)
            return x.clamp_(0, 1)
        with torch.autocast(x.device.type, enabled=False):  # too small to gain by bfloat16
            matrix, bias = colour_map(x, brightness, contrast, saturation, hue, gray)
            flat = (matrix @ x.flatten(2)).add_(bias.view(-1, 1, 1))  # (N, 3, H * W)
        return flat.view_as(x).clamp_(0, 1)

    def _solarize(self, x: Tensor, uniforms: _Uniforms) -> Tensor:
        rows = self._chosen("solarize", uniforms).nonzero().squeeze(1)
        if len(rows):
            part = x[rows]
            x[rows] = torch.where(part >= self.config.solarize_threshold, 1 - part, part)
        return x

    def _cut_out(self, x: Tensor, uniforms: _Uniforms) -> Tensor:
        chosen = uniforms.take() < self.config.cutout
        side = uniforms.between(*self.config.cutout_scale).sqrt()
        top, left = uniforms.take() * (1 - side), uniforms.take() * (1 - side)
        if self.config.cutout == 0:
            return x
        height, width = x.shape[-2:]
        ys = (torch.arange(height, device=x.device) + 0.5) / height
        xs = (torch.arange(width, device=x.device) + 0.5) / width
        inside_y = (ys >= top[:, None]) & (ys < (top + side)[:, None])  # (N, H)
        inside_x = (xs >= left[:, None]) & (xs < (left + side)[:, None])  # (N, W)
        hole = inside_y[:, None, :, None] & inside_x[:, None, None, :] & chosen.view(-1, 1, 1, 1)
        return torch.where(hole, x.mean((2, 3), keepdim=True), x)


def draw_crop(
    uniforms: Tensor, config: AugmentConfig, height: int, width: int
) -> tuple[Tensor, Tensor]:
    """Return crop heights and widths as shares of the image's sides, as torchvision draws them.

    Parameters
    ----------
    uniforms
        (N, 2 * CROP_TRIES) in [0, 1): area and log-ratio of each try. The first try that fits the
        image counts; where none fits the crop is the largest of an allowed ratio.
    """
    low, high = config.crop_scale
    log_low, log_high = (math.log(ratio) for ratio in config.crop_ratio)
    area = (low + (high - low) * uniforms[:, :CROP_TRIES]) * (height * width)
    ratio = torch.exp(log_low + (log_high - log_low) * uniforms[:, CROP_TRIES:])
    box_w, box_h = (area * ratio).sqrt(), (area / ratio).sqrt()  # (N, tries) pixels
    fits = (box_w <= width + 1e-3) & (box_h <= height + 1e-3)
    first = fits.int().argmax(1, keepdim=True)  # 0 where none fits
    found = fits.any(1)
    largest_w = min(1.0, config.crop_ratio[1] * height / width)
    largest_h = min(1.0, width / (config.crop_ratio[0] * height))
    share_w = torch.where(found, box_w.gather(1, first).squeeze(1) / width, largest_w)
    share_h = torch.where(found, box_h.gather(1, first).squeeze(1) / height, largest_h)
    return share_h.clamp(max=1), share_w.clamp(max=1)


def colour_map(
    x: Tensor,
    brightness: Tensor,
    contrast: Tensor,
    saturation: Tensor,
    hue: Tensor,
    gray: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return the matrix (N, 3, 3) and bias (N,) that jitter each RGB image of ``x``.

    Brightness scales; contrast blends with the mean luma; saturation with each pixel's luma; hue
    turns the chroma plane; ``gray`` (N,) bool keeps luma alone. None but the first two changes a
    gray, so the bias is the same for all channels.
    """
    turn, chroma = 2 * math.pi * hue, torch.where(gray, 0.0, saturation)
    parts = torch.stack([torch.ones_like(turn), chroma * turn.cos(), chroma * turn.sin()], 1)
    scale = brightness * contrast
    basis = COLOUR_BASIS.to(x.device).flatten(1)
    matrix = (parts * scale[:, None]) @ basis
    bias = (1 - contrast) * brightness * (x.mean((2, 3)) @ x.new_tensor(LUMA))
    return matrix.view(-1, 3, 3), bias

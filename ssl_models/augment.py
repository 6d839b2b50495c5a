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

import numpy as np
import torch
from numpy.typing import NDArray
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
CHANCES = ("flip", "blur", "jitter", "gray", "solarize", "cutout")
# What an image's row of uniforms decides, in this order, and by how many numbers.
DRAWS = {
    "area": CROP_TRIES,
    "ratio": CROP_TRIES,
    "chances": len(CHANCES),
    "corner": 2,
    "angle": 1,
    "shift": 2,
    "sigma": 1,
    "colours": 4,
    "hole": 3,
}
*DRAW_ENDS, N_UNIFORMS = np.cumsum([*DRAWS.values()]).tolist()
LUMA = (0.299, 0.587, 0.114)  # ITU-R 601, as in torchvision and PIL
# Rows: luma, and the two chroma axes in which a hue shift is a plain rotation (YIQ).
RGB_TO_YIQ = np.array([LUMA, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112)])
# A colour is its luma plus its chroma: the matrix of the one, of the other, and of the other turned
# by a quarter of the circle. Any hue and saturation is a sum of the three.
LUMA_PART, CHROMA_PART, TURNED_PART = (
    (np.linalg.inv(RGB_TO_YIQ) @ np.array(turn) @ RGB_TO_YIQ).astype(np.float32)  # (3, 3)
    for turn in (
        [[1, 0, 0], [0, 0, 0], [0, 0, 0]],
        [[0, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[0, 0, 0], [0, 0, -1], [0, 1, 0]],
    )
)
NO_JITTER = np.array([1, 1, 1, 0], np.float32)  # brightness, contrast, saturation, hue

Rows = NDArray[np.float32]


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
        self._chances = np.array(
            [[getattr(each, name) for name in CHANCES] for each in self.recipes], np.float32
        )  # (recipes, chances)
        low, high = np.array(_spans(recipe), np.float32).T
        self._low, self._span = low, high - low  # (N_UNIFORMS,) each

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
        drawn = self._draw(len(images), n_views, generator)
        x = self._move(images, drawn, size or images.shape[2:])
        x = self._recolour(x, drawn)
        x = self._solarize(x, drawn)
        return self._cut_out(x, drawn)

    def _draw(
        self, n_images: int, n_views: int, generator: torch.Generator
    ) -> dict[str, NDArray[Any]]:
        """Return what happens to each of the V * B views, and how much, by the names of ``DRAWS``.

        Those are (V * B, how many numbers); each chance stands there too, by name: (V * B,) bool.
        NumPy, as torch takes ten times as long for so few numbers, and a launch for each on a GPU.
        """
        tables = [shared_rows(n_images, N_UNIFORMS, generator).numpy() for _ in range(n_views)]
        table = self._low + self._span * np.concatenate(tables)
        parts = np.split(table, DRAW_ENDS, axis=1)
        drawn = dict(zip(DRAWS, parts, strict=True))
        chances = drawn["chances"].reshape(len(self.recipes), -1, len(CHANCES))
        happens = (chances < self._chances[:, None]).reshape(-1, len(CHANCES))
        return {**drawn, **dict(zip(CHANCES, happens.T, strict=True))}

    def _move(self, images: Tensor, drawn: dict[str, NDArray[Any]], size: Sequence[int]) -> Tensor:
        """Return the views (V * B, C, h, w) in 0..255: cropped, mirrored, turned and blurred."""
        height, width = images.shape[-2:]
        box = draw_crop(drawn["area"], drawn["ratio"], self.config, height, width)  # (2, V * B)
        middle = drawn["shift"].T + (1 - box) * drawn["corner"].T
        box[1] *= np.where(drawn["flip"], -1, 1)
        scale, middle = on(images.device, np.stack([box, middle])).unbind(0)
        blurs, dtype = any(recipe.blur for recipe in self.recipes), compute_dtype(images.device)
        if self.config.rotate:
            x = torch.cat([images] * (box.shape[1] // len(images))).float()
            angle = on(images.device, drawn["angle"][:, 0])
            x = rotated(x, angle, scale, middle, size)
            if not blurs:
                return x
            filters = [
                torch.eye(n, dtype=dtype, device=x.device).repeat(len(x), 1, 1) for n in size
            ]
        else:
            x = images
            filters = interpolation(scale, middle, (height, width), size, dtype)
        if blurs:
            sigma = on(images.device, drawn["sigma"][:, 0] * drawn["blur"])
            radius = max(1, min(size) // 20)
            blur = {n: blurring(sigma, radius, n, dtype) for n in set(size)}
            filters = [torch.bmm(blur[n], each) for n, each in zip(size, filters, strict=True)]
        return filtered(x, *filters)

    def _recolour(self, x: Tensor, drawn: dict[str, NDArray[Any]]) -> Tensor:
        """Return the views ``x`` in 0..1, with new colours."""
        if self.config.jitter == 0 and self.config.gray == 0:
            return x.div_(255)
        colours = np.where(drawn["jitter"][:, None], drawn["colours"], NO_JITTER)
        brightness, contrast, saturation, hue = colours.T
        brightness = brightness / np.float32(255)
        level = on(x.device, (1 - contrast) * brightness)  # of each image's mean, a part is added
        with torch.autocast(x.device.type, enabled=False):  # too small to gain by bfloat16
            if x.shape[1] != 3:  # hue, saturation and gray are of RGB alone
                bias = level * x.mean((1, 2, 3))
                scale = on(x.device, brightness * contrast)
                x = x.mul_(scale.view(-1, 1, 1, 1)).add_(bias.view(-1, 1, 1, 1))
                return x.clamp_(0, 1)
            matrix = colour_matrix(brightness * contrast, saturation, hue, drawn["gray"])
            bias = level * mean_luma(x)
            flat = (on(x.device, matrix) @ x.flatten(2)).add_(bias.view(-1, 1, 1))  # (N, 3, H * W)
        return flat.view_as(x).clamp_(0, 1)

    def _solarize(self, x: Tensor, drawn: dict[str, NDArray[Any]]) -> Tensor:
        if any(recipe.solarize for recipe in self.recipes):
            rows = on(x.device, np.flatnonzero(drawn["solarize"]))
            part = x[rows]
            x[rows] = torch.where(part >= self.config.solarize_threshold, 1 - part, part)
        return x

    def _cut_out(self, x: Tensor, drawn: dict[str, NDArray[Any]]) -> Tensor:
        if self.config.cutout == 0:
            return x
        area, *corner = drawn["hole"].T
        side = np.sqrt(area)
        inside = []  # (N, H) and (N, W) bool
        for n, place in zip(x.shape[-2:], corner, strict=True):
            start, at = (place * (1 - side))[:, None], (np.arange(n) + 0.5) / n
            inside.append((at >= start) & (at < start + side[:, None]))
        down, across = (
            on(x.device, each) for each in (inside[0] & drawn["cutout"][:, None], inside[1])
        )
        hole = down[:, None, :, None] & across[:, None, None, :]
        return torch.where(hole, x.mean((2, 3), keepdim=True), x)


def on(device: torch.device, numbers: NDArray[Any]) -> Tensor:
    """Return a tensor of the numbers, on the device."""
    return torch.from_numpy(np.ascontiguousarray(numbers)).to(device)


def _spans(recipe: AugmentConfig) -> list[tuple[float, float]]:
    """Return between which two numbers each draw of ``DRAWS`` lies, even the chances: 0 and 1."""
    turn, shift = math.radians(recipe.rotate), 2 * recipe.translate
    jitter = (recipe.brightness, recipe.contrast, recipe.saturation)
    low_ratio, high_ratio = recipe.crop_ratio
    return [
        *[recipe.crop_scale] * CROP_TRIES,
        *[(math.log(low_ratio), math.log(high_ratio))] * CROP_TRIES,
        *[(0.0, 1.0)] * len(CHANCES),
        *[(-1.0, 1.0)] * 2,
        (-turn, turn),
        *[(-shift, shift)] * 2,
        recipe.blur_sigma,
        *((max(0.0, 1 - strength), 1 + strength) for strength in jitter),
        (-recipe.hue, recipe.hue),
        recipe.cutout_scale,
        *[(0.0, 1.0)] * 2,
    ]


def draw_crop(area: Rows, log_ratio: Rows, config: AugmentConfig, height: int, width: int) -> Rows:
    """Return crop heights and widths (2, N) as shares of the image's, as torchvision draws them.

    Parameters
    ----------
    area, log_ratio
        (N, CROP_TRIES): share of the image's area, and log of width over height in pixels. The
        first try that fits the image counts; where none fits the crop is the largest of an allowed
        ratio.
    """
    low, high = config.crop_ratio
    aspect = width / height
    root = np.exp(0.5 * (log_ratio - np.float32(math.log(aspect))))  # of width over height, shares
    side = np.sqrt(area)
    down, across = side / root, side * root
    fits = np.maximum(down, across) <= 1 + 1e-5
    rows, first = np.arange(len(area)), fits.argmax(axis=1)  # 0 where none fits
    box = np.stack([down[rows, first], across[rows, first]])
    largest = np.array([[min(1.0, aspect / low)], [min(1.0, high / aspect)]], np.float32)
    return np.minimum(np.where(fits.any(axis=1), box, largest), np.float32(1))


def colour_matrix(scale: Rows, saturation: Rows, hue: Rows, gray: NDArray[np.bool_]) -> Rows:
    """Return the matrices (N, 3, 3) that change RGB colours: what jitter does to them, but a bias.

    Saturation blends with each pixel's luma, hue turns the chroma plane by a share of the circle,
    ``gray`` keeps luma alone. All leave a gray pixel as it is; ``scale`` then multiplies.
    """
    turn, chroma = 2 * math.pi * hue, np.where(gray, np.float32(0), saturation)
    along, turned = (
        (chroma * part(turn)).astype(np.float32)[:, None, None] for part in (np.cos, np.sin)
    )
    matrix: Rows = scale[:, None, None] * (LUMA_PART + along * CHROMA_PART + turned * TURNED_PART)
    return matrix


def mean_luma(x: Tensor) -> Tensor:
    """Return the mean luma (N,) of images (N, 3, H, W), as one product: means take longer."""
    n_pixels = x[0, 0].numel()
    return x.flatten(1) @ x.new_tensor(LUMA).div_(n_pixels).repeat_interleave(n_pixels)

"""Multi-crop: two large views of an image and several small ones (SwAV, DINO).

Try it: ``MultiCrop(AugmentConfig())(images_uint8, torch.Generator().manual_seed(0)).small``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from ssl_models.augment import Augment, AugmentConfig

__all__ = ["Crops", "MultiCrop"]


class Crops(NamedTuple):
    """Views stacked view by view.

    Attributes
    ----------
    large
        (2B, C, H, W) in 0..1.
    small
        (L B, C, h, w), about half the side; no rows where L = 0.
    """

    large: Tensor
    small: Tensor


class MultiCrop:
    """Draws crops of two sizes, each image by its own random numbers.

    Parameters
    ----------
    augment
        Colour, blur and flips; its crop scale is replaced by the two below.
    n_small
        L. DINO takes 8 to 10; 4 cost as much as one large view.
    large_scale
        Share of the area, DINO's (0.4, 1).
    small_scale
        DINO's is (0.05, 0.4); at 32 px 0.05 would be 7 pixels of side.
    solarize
        Probability in the second large view, DINO's 0.2.

    Notes
    -----
    Small crops are sampled straight at their size and blurred there, as the authors do. They need
    no antialias: 0.4 of the area is at most 0.73 of a side, which shrinks to a half by under 1.5.

    Where ``augment`` blurs at all, the probabilities become DINO's: 1 in the first large view, 0.1
    in the second, 0.5 in the small ones (``DataAugmentationDINO`` of the authors). Small images
    are better left sharp.
    """

    def __init__(
        self,
        augment: AugmentConfig,
        *,
        n_small: int = 4,
        large_scale: tuple[float, float] = (0.4, 1.0),
        small_scale: tuple[float, float] = (0.1, 0.4),
        solarize: float = 0.2,
    ) -> None:
        first, second, small = (1.0, 0.1, 0.5) if augment.blur else (0.0, 0.0, 0.0)
        large = replace(augment, crop_scale=large_scale, blur=first)
        self.n_small = n_small
        self.large = Augment(large, replace(large, blur=second, solarize=solarize))
        self.small = Augment(replace(augment, crop_scale=small_scale, blur=small))

    def __call__(self, images: Tensor, generator: torch.Generator) -> Crops:
        """Return crops of (B, C, H, W) uint8 images."""
        large = self.large(images, generator=generator)
        size = small_side(images.shape[2]), small_side(images.shape[3])
        if not self.n_small:
            return Crops(large, large.new_empty(0, images.shape[1], *size))
        small = self.small(images, generator=generator, n_views=self.n_small, size=size)
        return Crops(large, small)


def small_side(side: int) -> int:
    """Return half the side, rounded to whole patches of 4: 32 -> 16, 28 -> 16, 224 -> 112.

    DINO's 96 of 224 is the same share of the pixels' side.
    """
    return max(8, 4 * round(side / 8))

"""Jigsaw: say in which of a fixed set of orders the tiles of an image came."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_models.augment import Augment, AugmentConfig
from ssl_models.backbones import Backbone
from ssl_models.colour import gray_rows
from ssl_models.distributed import GlobalBatchNorm, shared_rows
from ssl_models.methods.base import Method, register_method
from ssl_models.patches import UNRESAMPLED, cut, geometry, integers, standardise
from weaklight.errors import ConfigError
from weaklight.seeds import numpy_generator

__all__ = ["Jigsaw", "permutation_set", "place_tiles"]

# Of a cell's side; 3/4 in the paper, 64 of 85 px (section 4.2). Neighbours are right on 0.380 of
# held-out CIFAR-10 training images after 25 s with 3/4, on 0.398 after 30 s with 7/8.
TILE_SHARE = 7 / 8
POOL = 20_000  # candidates; with all 9! = 362,880 the set is no farther apart and 15 times slower


@register_method("jigsaw")
class Jigsaw(Method):
    """Noroozi and Favaro 2016, "Unsupervised learning by solving jigsaw puzzles".

    arXiv:1603.09246. Each tile goes through the encoder alone; only the head sees them together.

    Parameters
    ----------
    encoder
        Yields h (B T, D), one row a tile. Convolutional: a tile is smaller than the image.
    augment
        How the image is cropped and flipped; its colour changes are left out.
    grid
        Tiles a side. The paper's 3 suits photographs; of a small image a ninth holds a blob, a
        quarter an object's part (32 px: tiles of 14 px and not of 9).
    n_orders
        Classes of the task, at most as many as there are orders. 100 is as good as the paper's 1000
        and faster (vissl model zoo: 48.6 with 100, 46.7 with 2000).
    gray
        Share of images shown without colour, 0.66 in vissl: else tiles match by colour.
    tile_dim
        Of the layer that each tile goes through before they are joined.
    """

    category = "predictive"
    principle = "put shuffled tiles of an image back in order"
    cost = "four tiles, of 7/16 of the side each: 0.8 encoder passes of pixels"
    when = "objects of several parts; not for textures or images below 24 px"
    settings = UNRESAMPLED
    sees_whole_images = False

    orders: Tensor

    def __init__(
        self,
        encoder: Backbone,
        augment: AugmentConfig,
        *,
        grid: int = 2,
        n_orders: int = 100,
        gray: float = 0.66,
        tile_dim: int = 128,
    ) -> None:
        super().__init__(encoder, augment)
        self.augment, self.gray, self.grid = Augment(geometry(augment)), gray, grid
        n_tiles = grid**2
        orders = permutation_set(n_tiles, min(n_orders, math.factorial(n_tiles)))
        self.register_buffer("orders", torch.from_numpy(orders))  # (n_orders, T)
        self.tile = nn.Sequential(nn.Linear(encoder.dim, tile_dim), nn.ReLU(inplace=True))
        self.classifier = nn.Sequential(
            nn.Linear(n_tiles * tile_dim, 2 * tile_dim, bias=False),
            GlobalBatchNorm(2 * tile_dim),
            nn.ReLU(inplace=True),
            nn.Linear(2 * tile_dim, len(orders)),
        )

    def views(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return shuffled tiles (B, T, C, t, t) and the number of each image's order (B,)."""
        x = self.augment(images, generator=generator)
        uniforms = shared_rows(len(x), 2 + 2 * self.grid**2, generator)
        x = gray_rows(x, uniforms[:, 0] < self.gray)
        label = integers(uniforms[:, 1], 0, len(self.orders) - 1).to(x.device)
        tops, lefts, size = place_tiles(x.shape[-2], x.shape[-1], self.grid, uniforms[:, 2:])
        tiles = standardise(cut(x, tops, lefts, size), self.encoder.mean, self.encoder.std)
        order = self.orders[label]  # (B, T)
        return tiles[torch.arange(len(x), device=x.device)[:, None], order], label

    def step(self, views: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the cross entropy over the orders and h of the tile that came first."""
        tiles, label = views
        h = self.encoder(tiles.flatten(0, 1)).unflatten(0, (-1, self.grid**2))  # (B, T, D)
        logits = self.classifier(self.tile(h).flatten(1))
        return F.cross_entropy(logits.float(), label), h[:, 0]


def place_tiles(height: int, width: int, grid: int, uniforms: Tensor) -> tuple[Tensor, Tensor, int]:
    """Draw where the tiles lie, each somewhere in its cell: edges never continue.

    Parameters
    ----------
    height, width
        Of the images; a cell needs 8 px, an image 24.
    grid
        Cells a side.
    uniforms
        (N, 2 grid^2) in [0, 1).

    Returns
    -------
    tops, lefts (N, grid^2) int64, cell by cell and row by row, and the side of a tile.
    """
    least = max(24, 8 * grid)
    if min(height, width) < least:
        raise ConfigError(
            f"jigsaw of {grid} x {grid} tiles needs images of at least {least} px a side, but they "
            f"have {min(height, width)}; choose rotation"
        )
    cell = min(height, width) // grid
    size = round(cell * TILE_SHARE)
    number = torch.arange(grid**2)
    tops, lefts = integers(uniforms, 0, cell - size).chunk(2, 1)  # (N, grid^2) each, in the cell
    tops = tops + number // grid * (height // grid)
    lefts = lefts + number % grid * (width // grid)
    return tops, lefts, size


def permutation_set(n_tiles: int, n_orders: int) -> NDArray[np.int64]:
    """Return ``n_orders`` permutations any two of which differ in many places.

    Each next one is, of a fixed pool of random ones, that whose nearest chosen one is farthest
    (algorithm 1 with the minimum over the chosen). The same in every run.

    Returns
    -------
    (n_orders, n_tiles) int64, distinct rows.
    """
    if not 2 <= n_orders <= POOL // 10:
        raise ConfigError(f"n_orders must lie in 2..{POOL // 10}, but is {n_orders}")
    rng = numpy_generator(0, "jigsaw", n_tiles)
    pool = np.unique(rng.permuted(np.tile(np.arange(n_tiles), (POOL, 1)), axis=1), axis=0)
    if len(pool) < n_orders:
        raise ConfigError(f"{n_tiles} tiles have {len(pool)} orders, but {n_orders} were asked")
    chosen = [int(rng.integers(len(pool)))]
    nearest = np.full(len(pool), n_tiles)  # Hamming distance to the nearest chosen one
    while len(chosen) < n_orders:
        nearest = np.minimum(nearest, (pool != pool[chosen[-1]]).sum(1))
        chosen.append(int(nearest.argmax()))
    return np.asarray(pool[chosen], dtype=np.int64)

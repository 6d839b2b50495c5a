"""Jigsaw: say in which of a fixed set of orders the nine tiles of an image came."""

from __future__ import annotations

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
from ssl_models.patches import LAYOUT_SETTINGS, cut, geometry, grow, integers, standardise
from weaklight.errors import ConfigError
from weaklight.seeds import numpy_generator

__all__ = ["Jigsaw", "permutation_set", "place_tiles"]

GRID = 3
TILE_SHARE = 64 / 85  # of a cell's side: tiles of 64 px in cells of 85 (section 4.2)
POOL = 20_000  # candidates; with all 9! = 362,880 the set is no farther apart and 15 times slower


@register_method("jigsaw")
class Jigsaw(Method):
    """Noroozi and Favaro 2016, "Unsupervised learning by solving jigsaw puzzles".

    arXiv:1603.09246. Each tile goes through the encoder alone; only the head sees all nine.

    Parameters
    ----------
    encoder
        Yields h (9B, D), one row a tile. Convolutional: a tile has half of the image's side.
    augment
        How the image is cropped and flipped; its colour changes are left out.
    n_orders
        Classes of the task. 100 is as good as the paper's 1000 and faster (vissl model zoo: 48.6
        with 100, 46.7 with 2000).
    gray
        Share of images shown without colour, 0.66 in vissl: else tiles match by colour.
    tile_dim
        Of the layer that each tile goes through before the nine are joined.
    """

    category = "predictive"
    principle = "put shuffled tiles of an image back in order"
    cost = "nine tiles an image, grown to half its side: 2.25 encoder passes of pixels"
    when = "objects of several parts; not for textures or images below 24 px"
    settings = LAYOUT_SETTINGS

    orders: Tensor

    def __init__(
        self,
        encoder: Backbone,
        augment: AugmentConfig,
        *,
        n_orders: int = 100,
        gray: float = 0.66,
        tile_dim: int = 128,
    ) -> None:
        super().__init__(encoder, augment)
        self.augment, self.gray = Augment(geometry(augment)), gray
        orders = permutation_set(GRID**2, n_orders)
        self.register_buffer("orders", torch.from_numpy(orders))  # (n_orders, 9)
        self.tile = nn.Sequential(nn.Linear(encoder.dim, tile_dim), nn.ReLU(inplace=True))
        self.classifier = nn.Sequential(
            nn.Linear(GRID**2 * tile_dim, 2 * tile_dim, bias=False),
            GlobalBatchNorm(2 * tile_dim),
            nn.ReLU(inplace=True),
            nn.Linear(2 * tile_dim, n_orders),
        )

    def views(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return shuffled tiles (B, 9, C, t, t) and the number of each image's order (B,)."""
        x = self.augment(images, generator=generator)
        uniforms = shared_rows(len(x), 2 + 2 * GRID**2, generator)
        x = gray_rows(x, uniforms[:, 0] < self.gray)
        label = integers(uniforms[:, 1], 0, len(self.orders) - 1).to(x.device)
        tops, lefts, size = place_tiles(x.shape[-2], x.shape[-1], uniforms[:, 2:])
        tiles = grow(cut(x, tops, lefts, size), x)
        tiles = standardise(tiles, self.encoder.mean, self.encoder.std)
        order = self.orders[label]  # (B, 9)
        return tiles[torch.arange(len(x), device=x.device)[:, None], order], label

    def step(self, views: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the cross entropy over the orders and h of the tile that came first."""
        tiles, label = views
        h = self.encoder(tiles.flatten(0, 1)).unflatten(0, (-1, GRID**2))  # (B, 9, D)
        logits = self.classifier(self.tile(h).flatten(1))
        return F.cross_entropy(logits.float(), label), h[:, 0]


def place_tiles(height: int, width: int, uniforms: Tensor) -> tuple[Tensor, Tensor, int]:
    """Draw where the nine tiles lie, each somewhere in its cell: edges never continue.

    Parameters
    ----------
    height, width
        Of the images, at least 24.
    uniforms
        (N, 18) in [0, 1).

    Returns
    -------
    tops, lefts (N, 9) int64, cell by cell and row by row, and the side of a tile.
    """
    cell = min(height, width) // GRID
    if cell < 8:
        raise ConfigError(
            f"jigsaw needs images of at least 24 px a side, but they have {min(height, width)}; "
            "choose rotation"
        )
    size = round(cell * TILE_SHARE)
    number = torch.arange(GRID**2)
    jitter = integers(uniforms, 0, cell - size)  # (N, 18)
    tops = number // GRID * (height // GRID) + jitter[:, : GRID**2]
    lefts = number % GRID * (width // GRID) + jitter[:, GRID**2 :]
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

"""PIRL: an image and its shuffled patches have one embedding, told from all other images."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_models.augment import Augment, AugmentConfig
from ssl_models.backbones import Backbone
from ssl_models.distributed import shared_rows
from ssl_models.memory import Bank, contrast_with_bank
from ssl_models.methods.base import Method, register_method

__all__ = ["PIRL", "shuffled_patches"]

GRID = 3  # patches a side, as in the jigsaw task that PIRL turns round
PATCH_SHARE = 64 / 85  # side of a patch in its cell, vissl's jigsaw


@register_method("pirl")
class PIRL(Method):
    """Misra and van der Maaten 2019, "Pretext-invariant representations", arXiv:1912.01991.

    Each patch passes the encoder on its own. Image and patches are both held against the bank,
    which only the image's embedding updates (section 3.2).

    Parameters
    ----------
    encoder
        The backbone, yields h (B, D); it must take images a quarter of a side small.
    augment
        How the image and, by another draw, the image that is cut are changed.
    temperature
        tau of eq. 2; the paper's 0.07.
    patch_weight
        lambda of eq. 5; the paper's 0.5.
    projection_dim
        Length of the embeddings; the paper's 128.

    Notes
    -----
    All other images are the negatives, and the loss is the softmax over them, where the paper
    samples 32,000 and takes the logistic form.
    """

    category = "contrastive"
    principle = "an image and its shuffled patches get one embedding, unlike all other images'"
    cost = "two passes an image, one of them in nine small parts; one bank row for each image"
    when = "objects whose parts tell what they are; needs many epochs, like every bank"

    bank: Bank

    def __init__(
        self,
        encoder: Backbone,
        augment: AugmentConfig,
        *,
        temperature: float = 0.07,
        patch_weight: float = 0.5,
        projection_dim: int = 128,
    ) -> None:
        super().__init__(encoder, augment)
        self.augment = Augment(augment)
        self.temperature, self.patch_weight = temperature, patch_weight
        self.projection_dim = projection_dim
        self.image_head = nn.Linear(encoder.dim, projection_dim)  # f
        self.patch_head = nn.Linear(encoder.dim, projection_dim)  # g, first on every patch
        self.patches_head = nn.Linear(GRID * GRID * projection_dim, projection_dim)  # then on all

    def begin(self, n_rows: int) -> None:
        """Make room for every image."""
        self.bank = Bank(n_rows, self.projection_dim)

    def views(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Return (B, C, H, W) images, (B, 9, C, h, w) patches and which images they are (B,)."""
        whole, cut = self.augment(images, generator=generator, n_views=2).chunk(2)
        return whole, shuffled_patches(cut, generator), self.rows

    def step(self, views: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the loss of eq. 5 and the representations h of the whole images."""
        images, patches, rows = views
        h = self.encoder(images)  # (B, D)
        image = F.normalize(self.image_head(h).float(), dim=1)  # (B, P)
        parts = self.patch_head(self.encoder(patches.flatten(0, 1)))  # (9B, P)
        together = self.patches_head(parts.view(len(images), -1))  # (B, 9P) -> (B, P)
        shuffled = F.normalize(together.float(), dim=1)
        of_patches, of_images = (
            contrast_with_bank(v, self.bank.entries, rows, self.temperature)
            for v in (shuffled, image)
        )
        self.bank.add(rows, image)
        return self.patch_weight * of_patches + (1 - self.patch_weight) * of_images, h

    def after_step(self, step: int, total_steps: int) -> None:
        """Move the entries of this step's images."""
        self.bank.turn()


def shuffled_patches(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return a 3 x 3 grid of patches of each image in random order.

    Parameters
    ----------
    images
        (B, C, H, W).
    generator
        Places each patch anywhere in its cell, so that borders do not continue, and shuffles; one
        draw for each image and patch.

    Returns
    -------
    (B, 9, C, h, w), a patch three quarters of its cell a side.
    """
    n, _, height, width = images.shape
    cells = GRID * GRID
    places, order = (
        shared_rows(n, 3 * cells, generator).to(images.device).split([2 * cells, cells], 1)
    )
    order = order.argsort(1)  # (B, 9): which cell comes first, second, ...
    cell_h, cell_w = height // GRID, width // GRID
    h, w = round(PATCH_SHARE * cell_h), round(PATCH_SHARE * cell_w)
    top, left = places.view(n, 2, cells).unbind(1)  # (B, 9) each, by place in the new order
    top = order // GRID * cell_h + (top * (cell_h - h + 1)).long()
    left = order % GRID * cell_w + (left * (cell_w - w + 1)).long()
    ys = top[..., None] + torch.arange(h, device=images.device)  # (B, 9, h)
    xs = left[..., None] + torch.arange(w, device=images.device)  # (B, 9, w)
    which = torch.arange(n, device=images.device).view(n, 1, 1, 1)
    patches = images.permute(0, 2, 3, 1)[which, ys[..., None], xs[:, :, None]]  # (B, 9, h, w, C)
    return patches.permute(0, 1, 4, 2, 3)

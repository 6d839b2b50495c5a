"""Rotation: say by how many quarter turns an image was turned."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_models.augment import Augment, AugmentConfig
from ssl_models.backbones import Backbone
from ssl_models.distributed import GlobalBatchNorm
from ssl_models.methods.base import Method, register_method
from ssl_models.patches import LAYOUT_SETTINGS

__all__ = ["Rotation", "four_rotations"]


@register_method("rotation")
class Rotation(Method):
    """Gidaris et al. 2018, "Unsupervised representation learning by predicting image rotations".

    arXiv:1803.07728. All four rotations of an image stand in one batch, as in section 3.1: the
    gradient then compares them on the same content.

    Parameters
    ----------
    encoder
        F(.), yields h (B, D).
    augment
        How the image is drawn before it is turned; its own rotation should stay small.
    hidden_dim
        Of the layer between h and the answer. The paper's best features lie two blocks below the
        answer (table 1); the hidden layer keeps h that far away from it.
    """

    category = "predictive"
    principle = "which way is up: tell an image turned by 0, 90, 180 or 270 degrees"
    cost = "four encoder passes an image, no memory beside them"
    when = "objects photographed upright; not for microscopy, aerial views or textures"
    settings = LAYOUT_SETTINGS

    def __init__(self, encoder: Backbone, augment: AugmentConfig, *, hidden_dim: int = 256) -> None:
        super().__init__(encoder, augment)
        self.augment = Augment(augment)
        self.classifier = nn.Sequential(
            nn.Linear(encoder.dim, hidden_dim, bias=False),
            GlobalBatchNorm(hidden_dim),
            nn.ReLU(inplace=True),
            nn.Linear(hidden_dim, 4),
        )

    def views(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return (4B, C, s, s): the B upright images, then all turned by 90, 180 and 270."""
        return four_rotations(self.augment(images, generator=generator))

    def step(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """Return the cross entropy over the four turns and h of the upright images."""
        h = self.encoder(views)  # (4B, D)
        n = len(views) // 4
        turns = torch.arange(4, device=views.device).repeat_interleave(n)
        return F.cross_entropy(self.classifier(h).float(), turns), h[:n]


def four_rotations(images: Tensor) -> Tensor:
    """Return (4N, C, s, s): turned anticlockwise by 0, 90, 180 and 270 degrees, turn by turn.

    By transposing and flipping, which moves every pixel and changes none: interpolation would
    give the answer away. Of oblong images the middle square is taken.
    """
    height, width = images.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = images[..., top : top + side, left : left + side]
    return torch.cat([square.rot90(turns, (2, 3)) for turns in range(4)])

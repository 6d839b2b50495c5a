"""DINOv2: iBOT with Sinkhorn-Knopp instead of centers, heads of its own for patches, and KoLeo."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ssl_models.augment import AugmentConfig
from ssl_models.backbones import Backbone
from ssl_models.ema import frozen_copy
from ssl_models.koleo import koleo
from ssl_models.methods.base import register_method
from ssl_models.methods.dino import DINOHead
from ssl_models.methods.ibot import IBOT
from ssl_models.sinkhorn import sinkhorn_knopp

__all__ = ["DINOv2"]


@register_method("dinov2")
class DINOv2(IBOT):
    """Oquab et al. 2023, "DINOv2: learning robust visual features", arXiv:2304.07193, section 4.

    Parameters
    ----------
    encoder
        A vision transformer.
    augment, out_dim, teacher_temperature, momentum, n_small, mask_ratio, mask_crops
        As for :class:`~ssl_models.methods.ibot.IBOT`. The authors' 131,072 prototypes and momentum
        0.994 belong to batches of 3072; Sinkhorn-Knopp cannot use many more prototypes than a
        batch has large crops, so 1024 here.
    koleo_weight
        The authors' 0.1.
    """

    principle = "iBOT with evenly used prototypes and embeddings that keep their distance"
    cost = "iBOT's, a second head, and the similarities within a batch"
    when = "like iBOT, where its prototypes collapse or neighbours must be told apart"

    def __init__(
        self,
        encoder: Backbone,
        augment: AugmentConfig,
        *,
        out_dim: int = 1024,
        teacher_temperature: tuple[float, float] = (0.04, 0.07),
        momentum: float = 0.99,
        n_small: int = 4,
        mask_ratio: tuple[float, float] = (0.1, 0.5),
        mask_crops: float = 0.5,
        koleo_weight: float = 0.1,
    ) -> None:
        super().__init__(
            encoder,
            augment,
            out_dim=out_dim,
            teacher_temperature=teacher_temperature,
            momentum=momentum,
            n_small=n_small,
            mask_ratio=mask_ratio,
            mask_crops=mask_crops,
        )
        self.koleo_weight = koleo_weight
        self.own_patch_head = DINOHead(encoder.dim, out_dim)  # ibot.separate_head of the authors
        self.teacher_own_patch_head = frozen_copy(self.own_patch_head)

    @property
    def patch_head(self) -> nn.Module:
        """The student's head for patches."""
        return self.own_patch_head

    @property
    def teacher_patch_head(self) -> nn.Module:
        """The teacher's head for patches."""
        return self.teacher_own_patch_head

    def pairs(self) -> list[tuple[nn.Module, nn.Module]]:
        """Return each teacher part with the student part that it follows."""
        return [*super().pairs(), (self.teacher_own_patch_head, self.own_patch_head)]

    def class_targets(self, logits: Tensor) -> Tensor:
        """Return the teacher's assignments of class tokens, (2B, K)."""
        return sinkhorn_knopp(logits, self.teacher_temperature)

    def patch_targets(self, logits: Tensor) -> Tensor:
        """Return the teacher's assignments of masked patches, (M, K)."""
        return sinkhorn_knopp(logits, self.teacher_temperature)

    def regulariser(self, features: Tensor) -> Tensor:
        """Return KoLeo of each large crop by itself: two views of an image may be neighbours."""
        # eps: two equal images would otherwise bring a gradient of 1e8 into Adam's memory.
        return self.koleo_weight * torch.stack([koleo(x, 1e-4) for x in features.chunk(2)]).sum()

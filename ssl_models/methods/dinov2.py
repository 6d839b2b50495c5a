"""DINOv2: iBOT with Sinkhorn-Knopp instead of centers, heads of its own for patches, and KoLeo."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ssl_models.augment import AugmentConfig
from ssl_models.backbones import Backbone
from ssl_models.koleo import koleo
from ssl_models.methods.base import register_method
from ssl_models.methods.ibot import IBOT
from ssl_models.sinkhorn import sinkhorn_knopp

__all__ = ["DINOv2"]


@register_method("dinov2")
class DINOv2(IBOT):
    """Oquab et al. 2023, "DINOv2: learning robust visual features", arXiv:2304.07193, section 4.

    LayerScale and stochastic depth are parts of our transformers, SwiGLU of those whose name asks
    for it (:func:`ssl_models.vit.build_variant`). Prototypes keep length 1, as DINO's do, where the
    authors learn their lengths; their lower rates for the patch embedding and for early blocks are
    left out, too.

    Parameters
    ----------
    encoder, augment, **options
        As for :class:`~ssl_models.methods.ibot.IBOT`. The authors' momentum 0.994 belongs to
        batches of 3072.
    out_dim
        Sinkhorn-Knopp cannot use many more prototypes than a batch has large crops: 1024 instead
        of the authors' 131,072.
    koleo_weight
        A fifth of the authors' 0.1, which pushes the short features of small networks apart at the
        cost of what they say: ``docs/ssl_methods.md``.
    """

    principle = "iBOT with evenly used prototypes and embeddings that keep their distance"
    cost = "iBOT's, a second head, and the similarities within a batch"
    when = "like iBOT, where its prototypes collapse or neighbours must be told apart"
    shares_head = False  # ibot.separate_head of the authors

    def __init__(
        self,
        encoder: Backbone,
        augment: AugmentConfig,
        *,
        out_dim: int = 1024,
        koleo_weight: float = 0.02,
        **options: Any,
    ) -> None:
        super().__init__(encoder, augment, out_dim=out_dim, **options)
        self.koleo_weight = koleo_weight

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

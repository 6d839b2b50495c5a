"""iBOT: DINO, and the student also says what the teacher sees under masked patches."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from ssl_models.augment import AugmentConfig
from ssl_models.backbones import Backbone, PatchBody, patch_body
from ssl_models.distributed import shared_rows
from ssl_models.ema import frozen_copy
from ssl_models.masks import N_DRAWS, block_masks
from ssl_models.methods.base import register_method
from ssl_models.methods.dino import DINO, Center, DINOHead, DINOViews, distillation_loss
from ssl_models.monitor import measure_assignments

__all__ = ["IBOT", "IBOTViews", "patch_loss"]


class IBOTViews(NamedTuple):
    """DINO's views, and which patches of the large crops the student does not see."""

    crops: DINOViews
    masked: Tensor  # (2B, N) bool


@register_method("ibot")
class IBOT(DINO):
    """Zhou et al. 2022, "Image BERT pre-training with online tokenizer", arXiv:2111.07832.

    Classes and patches have a center each and share a head, as in the authors' published runs,
    where both have one length; patch tokens of the compact network are shorter and get their own.
    As in DINOv2, the teacher's head meets the masked patches alone, so their center is of these,
    not of all patches. One teacher temperature serves both: the authors' two schedules agree.

    Parameters
    ----------
    encoder
        A transformer of ours or a convolutional network (the authors' section 4 has Swin too).
    augment, **options
        As for :class:`~ssl_models.methods.dino.DINO`.
    mask_ratio
        Share of the patches of a masked crop, drawn evenly: the authors' 0.3 +- 0.2.
    mask_crops
        Probability that a large crop is masked at all, the authors' half.
    """

    principle = "DINO, and say what the teacher sees where the student's patches are masked"
    cost = "DINO's, and the head on every masked patch"
    when = "features of places and not only of whole images: matching, segmentation"
    shares_head: ClassVar[bool] = True
    patch_assignments: Tensor  # (M, K) of the last step

    def __init__(
        self,
        encoder: Backbone,
        augment: AugmentConfig,
        *,
        mask_ratio: tuple[float, float] = (0.1, 0.5),
        mask_crops: float = 0.5,
        **options: Any,
    ) -> None:
        super().__init__(encoder, augment, **options)
        self.mask_ratio, self.mask_crops = mask_ratio, mask_crops
        body, out_dim = patch_body(encoder), len(self.head.prototypes)
        self.mask_token = nn.Parameter(torch.zeros(body.mask_dim))
        self.patch_center = Center(out_dim)
        shared = self.shares_head and body.patch_dim == encoder.dim
        own = None if shared else DINOHead(body.patch_dim, out_dim)
        self.own_patch_head, self.teacher_own_patch_head = own, own and frozen_copy(own)

    def views(self, images: Tensor, generator: torch.Generator) -> Any:
        """Return the crops and the masks of the large ones."""
        crops = super().views(images, generator)
        rows, columns = patch_body(self.encoder).grid(*images.shape[-2:])
        uniforms = torch.cat(
            [shared_rows(len(images), 2 + N_DRAWS, generator) for _ in range(2)]
        ).to(images.device)
        low, high = self.mask_ratio
        share = torch.where(
            uniforms[:, 0] < self.mask_crops, low + (high - low) * uniforms[:, 1], 0.0
        )
        counts = (share * rows * columns).round().long()
        return IBOTViews(crops, block_masks(counts, rows, columns, uniforms[:, 2:]))

    def step(self, views: Any) -> tuple[Tensor, Tensor]:
        """Return class loss plus patch loss, and the student's features of the large crops."""
        (large, small, draws), masked = views
        large, small = map(self.encoder.normalised, (large, small))
        n = len(large) // 2
        student, teacher = patch_body(self.encoder), self.teacher_body
        assert isinstance(teacher, PatchBody)
        features, patches = student.tokens(
            large, masked=masked, mask_token=self.mask_token, draws=draws[: 2 * n]
        )  # (2B, D), (2B, N, P)
        everything = features
        if len(small):
            everything = torch.cat([features, self.student(small, draws[2 * n :])])
        class_logits = self.head(everything).view(len(everything) // n, n, -1)  # (2 + L, B, K)
        patch_logits = self.patch_head(patches[masked])  # (M, K): the head sees masked ones alone
        with torch.no_grad():
            seen, seen_patches = teacher.tokens(large)
            class_targets = self.class_targets(self.teacher_head(seen)).view(2, n, -1)  # (2, B, K)
            self.assignments = class_targets.flatten(0, 1)
            patch_targets = self.patch_targets(self.teacher_patch_head(seen_patches[masked]))
            self.patch_assignments = patch_targets
        loss = distillation_loss(class_targets, class_logits, self.student_temperature)
        loss = loss + patch_loss(patch_targets, patch_logits, masked, self.student_temperature)
        return loss + self.regulariser(features), features

    def signals(self) -> dict[str, Tensor]:
        """Return how the teacher used its prototypes, and by ``patch_...`` for masked patches."""
        if not len(self.patch_assignments):
            return super().signals()
        patches = measure_assignments(self.patch_assignments)
        return super().signals() | {f"patch_{name}": value for name, value in patches.items()}

    @property
    def patch_head(self) -> nn.Module:
        """The student's head for patches."""
        return self.own_patch_head or self.head

    @property
    def teacher_patch_head(self) -> nn.Module:
        """The teacher's head for patches."""
        return self.teacher_own_patch_head or self.teacher_head

    def pairs(self) -> list[tuple[nn.Module, nn.Module]]:
        """Return each teacher part with the student part that it follows."""
        own = [(self.teacher_patch_head, self.patch_head)] if self.own_patch_head else []
        return super().pairs() + own

    def class_targets(self, logits: Tensor) -> Tensor:
        """Return the teacher's probabilities for class tokens, (2B, K)."""
        targets = ((logits - self.center.value) / self.teacher_temperature).softmax(-1)
        self.center.add(logits)
        return targets

    def patch_targets(self, logits: Tensor) -> Tensor:
        """Return the teacher's probabilities for masked patches, (M, K)."""
        targets = ((logits - self.patch_center.value) / self.teacher_temperature).softmax(-1)
        self.patch_center.add(logits)
        return targets

    def regulariser(self, features: Tensor) -> Tensor:
        """Return what else the loss holds: nothing."""
        return features.new_zeros(())

    def after_step(self, step: int, total_steps: int) -> None:
        """Do as DINO, and move the center of the patches."""
        super().after_step(step, total_steps)
        self.patch_center.turn()


def patch_loss(targets: Tensor, logits: Tensor, masked: Tensor, temperature: float) -> Tensor:
    """Return the cross entropy over masked patches: mean over an image's, then over images.

    Parameters
    ----------
    targets, logits
        (M, K) of the masked patches in the order of ``masked``.
    masked
        (B, N) bool with M true entries. An image without any counts as 0.
    """
    with torch.autocast(logits.device.type, enabled=False):
        entropy = -(targets * (logits.float() / temperature).log_softmax(-1)).sum(-1)  # (M,)
        weights = 1 / masked.sum(1, keepdim=True).clamp(min=1)  # (B, 1)
        return (entropy * weights.expand_as(masked)[masked]).sum() / len(masked)

"""MoCo: the negatives are a queue of keys that a slowly moving teacher made for earlier batches."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_models.augment import Augment, AugmentConfig
from ssl_models.backbones import Backbone
from ssl_models.distributed import GlobalBatchNorm, gather, mean_over_processes, rank, world_size
from ssl_models.ema import follow, frozen_copy
from ssl_models.memory import Queue
from ssl_models.methods.base import Method, register_method

__all__ = ["MoCoV1", "MoCoV2", "SplitBatchNorm", "info_nce"]

MIN_GROUP_ROWS = 8  # statistics of fewer rows are noise; MoCo's own groups have 32


@register_method("mocov2")
class MoCoV2(Method):
    """Chen et al. 2020, "Improved baselines with momentum contrastive learning", arXiv:2003.04297.

    Algorithm 1 of He et al. 2019 (arXiv:1911.05722) with an MLP head and a softer temperature. The
    paper's blur belongs in ``augment``, where small images leave it out. The loss is asymmetric as
    in the paper: one view asks, the other answers.

    Parameters
    ----------
    encoder
        f_q, yields h (B, D). Its batch norms become :class:`SplitBatchNorm`; those that some of
        timm's models fuse with an activation stay, and let keys share statistics with queries.
    augment
        How each of the two views is drawn.
    temperature
        tau of eq. 1; 0.2 is best for the MLP head (v2, table 2).
    queue_size
        K. 4096 as in the authors' CIFAR demo; above half of the images, old keys of the very image
        that asks stand among the negatives.
    momentum
        m. 0.99 as in the authors' CIFAR demo; 0.999 (v1, section 4.1) needs long runs.
    projection_dim
        Length of queries and keys; the paper's 128.
    norm_groups
        Batch norm groups over all processes: the paper's eight devices.
    """

    category = "contrastive"
    principle = "a view finds the other view of its image among a queue of earlier images"
    cost = "two passes forward, one backward an image; a teacher and a queue in memory"
    when = "many negatives with small batches, as the queue does not depend on the batch"

    def __init__(
        self,
        encoder: Backbone,
        augment: AugmentConfig,
        *,
        temperature: float = 0.2,
        queue_size: int = 4096,
        momentum: float = 0.99,
        projection_dim: int = 128,
        norm_groups: int = 8,
    ) -> None:
        super().__init__(encoder, augment)
        self.augment = Augment(augment)
        self.temperature, self.momentum = temperature, momentum
        _split_batch_norm(encoder, norm_groups)
        self.head = self._head(encoder.dim, projection_dim)
        self.teacher = frozen_copy(nn.Sequential(encoder, self.head))  # f_k
        self.queue = Queue(queue_size, projection_dim)

    @staticmethod
    def _head(dim: int, projection_dim: int) -> nn.Module:
        return nn.Sequential(  # v2, section 3: hidden layer as wide as h, ReLU, no batch norm
            nn.Linear(dim, dim), nn.ReLU(inplace=True), nn.Linear(dim, projection_dim)
        )

    def views(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries and keys, (B, C, H, W) each, and the order that shuffles all keys."""
        queries, keys = self.augment(images, generator=generator, n_views=2).chunk(2)
        order = torch.randperm(len(images) * world_size(), generator=generator)
        return queries, keys, order.to(images.device)

    def step(self, views: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return InfoNCE against the queue and the representations h of the queries."""
        queries, keys, order = views
        h = self.encoder(queries)  # (B, D)
        k = self._keys(keys, order)  # (B, P)
        loss = info_nce(self.head(h), k, self.queue.entries, self.temperature)
        self.queue.add(k)  # waits for after_step: a positive is never among the negatives
        return loss, h

    @torch.no_grad()
    def _keys(self, images: Tensor, order: Tensor) -> Tensor:
        """Return unit keys (B, P), made in shuffled batch norm groups (v1, section 3.3).

        In its own order a key would share its statistics with its query, which gives the answer
        away: the loss falls and the features do not improve.
        """
        mine = gather(images)[order].chunk(world_size())[rank()]
        k = F.normalize(self.teacher(mine).float(), dim=1)
        return gather(k)[order.argsort()].chunk(world_size())[rank()]

    def after_step(self, step: int, total_steps: int) -> None:
        """Enqueue the keys and let the teacher follow.

        The paper moves the teacher at the start of a step, before the keys are made. The end of
        the step before is the same moment.
        """
        self.queue.turn()
        follow(self.teacher, [self.encoder, self.head], self.momentum)


@register_method("mocov1")
class MoCoV1(MoCoV2):
    """He et al. 2019, "Momentum contrast", arXiv:1911.05722, algorithm 1: v2 with a linear head.

    Views are drawn as for v2. The paper's turn gray before the jitter, whose hue reaches 0.4.

    Parameters
    ----------
    encoder, augment, queue_size, momentum, projection_dim, norm_groups
        As in :class:`MoCoV2`.
    temperature
        tau of eq. 1; the paper's 0.07.
    """

    when = "to see what the MLP head of MoCo v2 buys"

    def __init__(
        self,
        encoder: Backbone,
        augment: AugmentConfig,
        *,
        temperature: float = 0.07,
        queue_size: int = 4096,
        momentum: float = 0.99,
        projection_dim: int = 128,
        norm_groups: int = 8,
    ) -> None:
        super().__init__(
            encoder,
            augment,
            temperature=temperature,
            queue_size=queue_size,
            momentum=momentum,
            projection_dim=projection_dim,
            norm_groups=norm_groups,
        )

    @staticmethod
    def _head(dim: int, projection_dim: int) -> nn.Module:
        return nn.Linear(dim, projection_dim)


def info_nce(queries: Tensor, keys: Tensor, negatives: Tensor, temperature: float) -> Tensor:
    """Return the cross entropy of picking each query's key among the negatives, eq. 1 of MoCo.

    Parameters
    ----------
    queries, keys
        (B, P), row i of both from one image; not normalised.
    negatives
        (K, P) unit rows.
    temperature
        tau > 0.

    Returns
    -------
    Scalar fp32; ln(K + 1) when nothing is learnt.
    """
    with torch.autocast(queries.device.type, enabled=False):
        q, k = (F.normalize(x.float(), dim=1) for x in (queries, keys))
        positive = (q * k).sum(1, keepdim=True)  # (B, 1)
        logits = torch.cat([positive, q @ negatives.T], dim=1) / temperature  # (B, 1 + K)
        return F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.int64, device=q.device))


class SplitBatchNorm(GlobalBatchNorm):
    """Batch norm by the statistics of groups of rows, as if each group had its own device.

    Parameters
    ----------
    n_features
        Channels.
    groups
        Groups over the batches of all processes. Fewer are made where they do not divide the rows
        or would hold less than 8 of them. The running statistics are means over the groups.
    """

    def __init__(self, n_features: int, groups: int) -> None:
        super().__init__(n_features)
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """Return the rows (N, d) or (N, C, H, W), each normalised in its group."""
        if not self.training:
            return super().forward(x)
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None and self.momentum is not None
        limit = min(self.groups // world_size(), len(x) // MIN_GROUP_ROWS)
        n = max([g for g in range(1, limit + 1) if len(x) % g == 0], default=1)
        means, variances = self.running_mean.repeat(n, 1), self.running_var.repeat(n, 1)
        out = [
            F.batch_norm(*part, self.weight, self.bias, True, self.momentum, self.eps)
            for part in zip(x.chunk(n), means, variances, strict=True)
        ]
        self.running_mean.copy_(mean_over_processes(means.mean(0)))
        self.running_var.copy_(mean_over_processes(variances.mean(0)))
        self.num_batches_tracked.add_(1)
        return torch.cat(out)


def _split_batch_norm(module: nn.Module, groups: int) -> None:
    """Make every batch norm in ``module`` a :class:`SplitBatchNorm` of the same weights."""
    for part in module.modules():
        if isinstance(part, GlobalBatchNorm):
            part.__class__ = SplitBatchNorm
            part.groups = groups  # type: ignore[assignment]  # the class knows it now

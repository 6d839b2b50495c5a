"""DINO: a student predicts, from any crop, what its own average over time sees in large crops."""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_models.augment import AugmentConfig
from ssl_models.backbones import Backbone, PatchBody
from ssl_models.distributed import GlobalBatchNorm, mean_over_processes, shared_rows
from ssl_models.ema import cosine_momentum, follow, frozen_copy
from ssl_models.methods.base import Method, register_method
from ssl_models.monitor import measure_assignments
from ssl_models.multicrop import MultiCrop
from weaklight.errors import ConfigError

__all__ = ["DINO", "Center", "DINOHead", "DINOViews", "distillation_loss"]


class DINOViews(NamedTuple):
    """Crops, and the draws that skip branches of a transformer student (no columns for others)."""

    large: Tensor  # (2B, C, H, W)
    small: Tensor  # (L B, C, h, w)
    draws: Tensor  # (2B + L B, branches)


class DINOHead(nn.Module):
    """Three GELU layers to a unit vector, then its cosines to K prototypes.

    The last layer is weight-normalised with length 1 (``norm_last_layer=True`` of the authors).

    Parameters
    ----------
    dim, out_dim
        D and K.
    hidden, bottleneck
        The authors' 2048 and 256 serve 65,536 prototypes on ImageNet.
    batch_norm
        Before each GELU (use_bn_in_head of the authors, who leave it out under transformers).
    """

    last_layer_learns: Tensor

    def __init__(
        self,
        dim: int,
        out_dim: int,
        *,
        hidden: int = 512,
        bottleneck: int = 128,
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        norms = [GlobalBatchNorm(hidden) if batch_norm else nn.Identity() for _ in range(2)]
        self.mlp = nn.Sequential(
            nn.Linear(dim, hidden),
            norms[0],
            nn.GELU(),
            nn.Linear(hidden, hidden),
            norms[1],
            nn.GELU(),
            nn.Linear(hidden, bottleneck),
        )
        for layer in self.mlp:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)
        self.prototypes = nn.Parameter(torch.randn(out_dim, bottleneck))
        self.register_buffer("last_layer_learns", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (..., K) in -1..1, fp32."""
        z = self.mlp(x)
        with torch.autocast(z.device.type, enabled=False):
            # The prototypes stand still at first (their gradient is 0): DINO's freeze_last_layer.
            on = self.last_layer_learns
            weight = on * self.prototypes + (1 - on) * self.prototypes.detach()
            return F.linear(F.normalize(z.float(), dim=-1), F.normalize(weight, dim=-1))


class Center(nn.Module):
    """The running mean of the teacher's logits, subtracted against collapse to one prototype.

    ``add`` collects a batch, ``turn`` moves the center: once an optimiser step, after the loss, so
    that micro-batches give what one large batch gives.
    """

    value: Tensor
    total: Tensor
    count: Tensor

    def __init__(self, out_dim: int, momentum: float = 0.9) -> None:
        super().__init__()
        self.momentum = momentum  # the authors' center_momentum
        self.register_buffer("value", torch.zeros(out_dim))
        self.register_buffer("total", torch.zeros(out_dim), persistent=False)
        self.register_buffer("count", torch.zeros(()), persistent=False)

    @torch.no_grad()
    def add(self, logits: Tensor) -> None:
        """Collect (n, K) logits of this process; every process calls it."""
        self.total += mean_over_processes(logits.sum(0))
        self.count += mean_over_processes(self.count.new_tensor(float(len(logits))))

    @torch.no_grad()
    def turn(self) -> None:
        """Move towards the mean of what was collected; stay where that is nothing."""
        mean = torch.where(self.count > 0, self.total / self.count.clamp(min=1), self.value)
        self.value.lerp_(mean, 1 - self.momentum)
        self.total.zero_()
        self.count.zero_()


@register_method("dino")
class DINO(Method):
    """Caron et al. 2021, "Emerging properties in self-supervised vision transformers".

    arXiv:2104.14294, algorithm 1 with multi-crop and the schedules of the authors' main_dino.py.
    The encoder takes over the teacher's weights at the last step: the teacher is the better of the
    two (figure 6 of the paper).

    Parameters
    ----------
    encoder
        Any backbone; a transformer student gets stochastic depth.
    augment
        How colours, blur and flips are drawn.
    out_dim
        K prototypes. The paper's 65,536 are for 1.3 million images; a few thousand images use a
        few thousand (solo-learn's CIFAR recipe: 4096).
    student_temperature
        tau_s, the authors' 0.1.
    teacher_temperature
        tau_t at the start and after the warm-up (0.04 and 0.07, ViT-S of the authors).
    teacher_warmup
        Share of the steps that tau_t rises over: 30 of the authors' 100 epochs.
    momentum
        Of the teacher at the start, rising to 1. The authors' 0.996 averages over 250 steps, too
        many of a run of a few thousand; 0.99 over 100.
    freeze_last_layer
        Share of the steps before the prototypes move; the authors' 1 of 100 epochs.
    n_small
        L, small crops an image.
    """

    category = "self-distillation"
    principle = "from any crop, predict what the average of past selves sees in a large crop"
    cost = "two large and L small crops an image, two of them through the teacher too"
    when = "good nearest neighbours; with a vision transformer, attention maps that find objects"
    # 3: clip_grad of main_dino.py. On a CPU a convolutional backbone learns several times faster.
    settings = MappingProxyType({"batch_size": 64, "clip_grad": 3.0})
    # Weight decay is main_dino.py's for transformers. The rate is four times what its rule gives a
    # batch of 64; at sixteen times, attention shrinks to single patches (docs/ssl_methods.md).
    transformer_settings = MappingProxyType(
        {"lr": 5e-4, "weight_decay": 0.04, "weight_decay_end": 0.4}
    )

    teacher_temperature: Tensor
    assignments: Tensor  # (2B, K) of the last step

    def __init__(
        self,
        encoder: Backbone,
        augment: AugmentConfig,
        *,
        out_dim: int = 2048,
        student_temperature: float = 0.1,
        teacher_temperature: tuple[float, float] = (0.04, 0.07),
        teacher_warmup: float = 0.3,
        momentum: float = 0.99,
        freeze_last_layer: float = 0.01,
        n_small: int = 4,
    ) -> None:
        super().__init__(encoder, augment)
        if not 0 <= momentum < 1 or n_small < 0 or out_dim < 2:
            raise ConfigError(
                "dino takes momentum in 0..1, n_small >= 0 and out_dim >= 2, but came "
                f"{momentum}, {n_small} and {out_dim}"
            )
        self.crop = MultiCrop(augment, n_small=n_small)
        self.student_temperature, self.temperatures = student_temperature, teacher_temperature
        self.teacher_warmup, self.momentum = teacher_warmup, momentum
        self.freeze_last_layer = freeze_last_layer
        self.head = DINOHead(encoder.dim, out_dim)
        # Its body alone: the images are normalised once, by the student's numbers.
        self.teacher_body = frozen_copy(encoder.body)
        self.teacher_head = frozen_copy(self.head)
        self.center = Center(out_dim)
        self.register_buffer("teacher_temperature", torch.tensor(teacher_temperature[0]))

    def views(self, images: Tensor, generator: torch.Generator) -> DINOViews:
        """Return the crops and the draws of stochastic depth."""
        large, small = self.crop(images, generator)
        columns = getattr(self.encoder.body, "n_branches", 0)
        per_view = [
            shared_rows(len(images), columns, generator)
            for _ in range((len(large) + len(small)) // len(images))
        ]
        return DINOViews(large, small, torch.cat(per_view).to(images.device))

    def step(self, views: DINOViews) -> tuple[Tensor, Tensor]:
        """Return the distillation loss and the student's features of the large crops."""
        large, small = map(self.encoder.normalised, (views.large, views.small))
        features = self.student(large, views.draws[: len(large)])  # (2B, D)
        everything = features
        if len(small):
            everything = torch.cat([features, self.student(small, views.draws[len(large) :])])
        student = self.head(everything)  # ((2 + L) B, K)
        with torch.no_grad():
            teacher = self.teacher_head(self.teacher_body(large))  # (2B, K)
            targets = ((teacher - self.center.value) / self.teacher_temperature).softmax(-1)
            self.center.add(teacher)
        self.assignments = targets
        n = len(large) // 2
        loss = distillation_loss(
            targets.unflatten(0, (2, n)), student.unflatten(0, (-1, n)), self.student_temperature
        )
        return loss, features

    def student(self, images: Tensor, draws: Tensor) -> Tensor:
        """Return (B, D) features of normalised images."""
        body = self.encoder.body
        if isinstance(body, PatchBody):
            return body.tokens(images, draws=draws)[0]
        return body(images)  # type: ignore[no-any-return]

    def signals(self) -> dict[str, Tensor]:
        """Return how the teacher used its prototypes."""
        return measure_assignments(self.assignments)

    def pairs(self) -> list[tuple[nn.Module, nn.Module]]:
        """Return each teacher part with the student part that it follows."""
        return [(self.teacher_body, self.encoder.body), (self.teacher_head, self.head)]

    @torch.no_grad()
    def after_step(self, step: int, total_steps: int) -> None:
        """Move teacher and center; set what the schedules say for the next step."""
        done = step / total_steps
        # As for BYOL (momentum_schedule of main_dino.py).
        momentum = cosine_momentum(self.momentum, step, total_steps)
        for teacher, student in self.pairs():
            follow(teacher, [student], momentum)
        self.center.turn()
        start, end = self.temperatures
        warm = min(1.0, done / self.teacher_warmup) if self.teacher_warmup else 1.0
        self.teacher_temperature.fill_(start + (end - start) * warm)
        for module in self.modules():
            if isinstance(module, DINOHead):
                module.last_layer_learns.fill_(float(done >= self.freeze_last_layer))
        if step == total_steps:
            self.encoder.body.load_state_dict(self.teacher_body.state_dict())


def distillation_loss(targets: Tensor, logits: Tensor, temperature: float) -> Tensor:
    """Return the mean cross entropy over pairs of different views.

    Parameters
    ----------
    targets
        (T, B, K) probabilities of the teacher for the first T views.
    logits
        (V, B, K) of the student for all V >= 2 views, T <= V; divided by ``temperature``.

    Returns
    -------
    Scalar fp32: the mean over T V - T pairs (t, v), t != v, and over images.

    Notes
    -----
    O((T + V) B K): the sum over pairs is the product of two sums, less the diagonal.
    """
    with torch.autocast(logits.device.type, enabled=False):
        log_p = (logits.float() / temperature).log_softmax(-1)
        n = len(targets)
        every_pair = (targets.sum(0) * log_p.sum(0)).sum()
        same_view = (targets * log_p[:n]).sum()
        return (same_view - every_pair) / ((n * len(logits) - n) * logits.shape[1])

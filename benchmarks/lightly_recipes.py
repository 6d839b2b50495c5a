"""The peer of the speed and quality measurements: lightly's own training steps.

Transforms, heads, losses, teacher updates and optimisers are lightly's, put together as its
PyTorch examples do (``examples/pytorch/*.py``), round a body that is given. Widths of heads and
sizes of views are ours, so that both sides do equal work. Blur is asked for as often as on our
side: never below 64 px, as lightly's CIFAR examples have it.

Try it: ``next(iter(loader(recipe("simclr", body, 512, 32), pixels, 64)))``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from lightly.loss import DINOLoss, NegativeCosineSimilarity, NTXentLoss
from lightly.models.modules import (
    BYOLPredictionHead,
    BYOLProjectionHead,
    DINOProjectionHead,
    MoCoProjectionHead,
    SimCLRProjectionHead,
)
from lightly.models.utils import deactivate_requires_grad, update_momentum
from lightly.transforms import (
    BYOLTransform,
    BYOLView1Transform,
    BYOLView2Transform,
    DINOTransform,
    MoCoV2Transform,
    SimCLRTransform,
)
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, RandomSampler

from ssl_models.multicrop import small_side
from ssl_models.suggest import BLUR_FROM_SIDE

__all__ = ["RECIPES", "Recipe", "loader", "recipe"]

N_SMALL = 4  # small crops of DINO, as many as ours
MOMENTUM = 0.99


class Recipe(nn.Module, ABC):
    """A method: what a worker does to an image, the loss of a batch and what follows a step."""

    transform: Callable[[Image.Image], list[Tensor]]

    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.student = nn.Sequential(body, head)

    @abstractmethod
    def forward(self, views: list[Tensor]) -> Tensor:
        """Return the loss of views (B, C, H, W) each."""

    def before_step(self) -> None:
        """Move a teacher, where there is one."""

    def optimiser(self) -> torch.optim.Optimizer:
        """Return the optimiser of the example."""
        return torch.optim.SGD(self.student.parameters(), lr=0.06)


class _SimCLR(Recipe):
    def __init__(self, body: nn.Module, dim: int, size: int, blurs: bool) -> None:
        super().__init__(body, SimCLRProjectionHead(dim, dim, 128))
        self.transform = SimCLRTransform(
            input_size=size, cj_strength=0.5, gaussian_blur=0.5 * blurs
        )
        self.criterion = NTXentLoss()

    def forward(self, views: list[Tensor]) -> Tensor:
        loss: Tensor = self.criterion(*(self.student(view) for view in views))
        return loss


class _Momentum(Recipe):
    def __init__(self, body: nn.Module, head: nn.Module, teacher_head: nn.Module) -> None:
        super().__init__(body, head)
        self.teacher = nn.Sequential(deepcopy(body), teacher_head)
        deactivate_requires_grad(self.teacher)

    def before_step(self) -> None:
        update_momentum(self.student, self.teacher, m=MOMENTUM)


class _MoCo(_Momentum):
    def __init__(self, body: nn.Module, dim: int, size: int, blurs: bool) -> None:
        head = MoCoProjectionHead(dim, dim, 128)
        super().__init__(body, head, deepcopy(head))
        self.transform = MoCoV2Transform(input_size=size, gaussian_blur=0.5 * blurs)
        self.criterion = NTXentLoss(memory_bank_size=(4096, 128))

    def forward(self, views: list[Tensor]) -> Tensor:
        query = self.student(views[0])
        with torch.no_grad():
            key = self.teacher(views[1])
        loss: Tensor = self.criterion(query, key)
        return loss


class _BYOL(_Momentum):
    def __init__(self, body: nn.Module, dim: int, size: int, blurs: bool) -> None:
        head = BYOLProjectionHead(dim, 1024, 256)
        super().__init__(body, head, deepcopy(head))
        self.predictor = BYOLPredictionHead(256, 1024, 256)
        self.transform = BYOLTransform(
            BYOLView1Transform(input_size=size, gaussian_blur=1.0 * blurs),
            BYOLView2Transform(input_size=size, gaussian_blur=0.1 * blurs),
        )
        self.criterion = NegativeCosineSimilarity()

    def forward(self, views: list[Tensor]) -> Tensor:
        online = [self.predictor(self.student(view)) for view in views]
        with torch.no_grad():
            target = [self.teacher(view) for view in views]
        loss: Tensor = self.criterion(online[0], target[1]) + self.criterion(online[1], target[0])
        return loss / 2

    def optimiser(self) -> torch.optim.Optimizer:
        learnt = [*self.student.parameters(), *self.predictor.parameters()]
        return torch.optim.SGD(learnt, lr=0.06)


class _DINO(_Momentum):
    def __init__(self, body: nn.Module, dim: int, size: int, blurs: bool) -> None:
        student, teacher = (DINOProjectionHead(dim, 512, 128, 2048) for _ in range(2))
        super().__init__(body, student, teacher)
        self.transform = DINOTransform(
            global_crop_size=size,
            local_crop_size=small_side(size),
            local_crop_scale=(0.1, 0.4),
            n_local_views=N_SMALL,
            gaussian_blur=(1.0, 0.1, 0.5) if blurs else (0.0, 0.0, 0.0),
        )
        self.criterion = DINOLoss(output_dim=2048, warmup_teacher_temp_epochs=5)

    def forward(self, views: list[Tensor]) -> Tensor:
        with torch.no_grad():
            teacher = [self.teacher(view) for view in views[:2]]
        loss: Tensor = self.criterion(teacher, [self.student(view) for view in views], epoch=0)
        return loss

    def optimiser(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.student.parameters(), lr=0.001)


RECIPES: dict[str, Callable[[nn.Module, int, int, bool], Recipe]] = {
    "simclr": _SimCLR,
    "mocov2": _MoCo,
    "byol": _BYOL,
    "dino": _DINO,
}


def recipe(method: str, body: nn.Module, dim: int, size: int) -> Recipe:
    """Return lightly's ``method`` round ``body``, which yields (B, dim) features."""
    return RECIPES[method](body, dim, size, size >= BLUR_FROM_SIDE)


class _Images(Dataset[list[Tensor]]):
    """Images in memory, as torchvision's CIFAR-10 holds them: no file is decoded."""

    def __init__(self, pixels: NDArray[np.uint8], transform: Callable[..., list[Tensor]]) -> None:
        self.pixels, self.transform = pixels, transform

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, row: int) -> list[Tensor]:
        return self.transform(Image.fromarray(self.pixels[row]))


def loader(
    peer: Recipe, pixels: NDArray[np.uint8], batch_size: int, workers: int = 2, **options: Any
) -> Iterator[list[Tensor]]:
    """Return an iterator without end over batches of views from ``workers`` processes.

    Drawn with replacement, so that no epoch ends and the workers never start anew.
    """
    images = _Images(pixels, peer.transform)
    sampler = RandomSampler(images, replacement=True, num_samples=10**9)
    return iter(DataLoader(images, batch_size, sampler=sampler, num_workers=workers, **options))

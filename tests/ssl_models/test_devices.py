"""On a GPU every tensor of a step must lie there; a pretended one tells without hardware."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    FakeTensor,
    FakeTensorMode,
    unset_fake_temporarily,
)
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from ssl_models.augment import AugmentConfig
from ssl_models.config import TrainConfig
from ssl_models.distributed import shared_rows
from ssl_models.methods import METHODS, Method
from ssl_models.trainer import ImageTrainer

GPU = torch.device("cuda", 0)
SIDE, N_IMAGES = 32, 16


@pytest.fixture
def pretended() -> Iterator[FakeTensorMode]:
    """Tensors without numbers, whose operations refuse operands of two devices as real ones do."""
    if not torch.backends.cuda.is_built():
        pytest.skip("this torch was built without CUDA")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is no CUDA device
        yield FakeTensorMode(allow_non_fake_inputs=True, shape_env=ShapeEnv())


def move(module: nn.Module) -> None:
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            setattr(part, name, nn.Parameter(parameter.detach().to(GPU), parameter.requires_grad))
        for name, buffer in part.named_buffers(recurse=False):
            setattr(part, name, buffer.to(GPU))


def real_rows(*arguments: Any) -> Tensor:
    """Draw as ever: what decides about views is worked out on the CPU."""
    with unset_fake_temporarily():
        return shared_rows(*arguments)


def leaves(tree: object) -> Iterator[Tensor]:
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, tuple | list):
        for branch in tree:
            yield from leaves(branch)


def step(method: Method) -> tuple[Tensor, Tensor]:
    """Return loss and embeddings of a batch on the pretended GPU; gradients need a real one."""
    images = torch.empty(N_IMAGES, 3, SIDE, SIDE, dtype=torch.uint8, device=GPU)
    method.rows = torch.arange(N_IMAGES, device=GPU)
    with torch.autocast("cuda", torch.bfloat16):
        views = method.views(images, torch.Generator().manual_seed(0))
        for mask in leaves(views):
            if isinstance(mask, FakeTensor) and mask.dtype == torch.bool:
                mask.nonzero_memo = 20  # how many are True is a number, and there are none
        return method(views)


CASES = [
    *((name, "compact", 0.0) for name in sorted(METHODS)),
    *((name, "vit_compact", 0.0) for name in ("dinov2", "mae")),
    ("simclr", "resnet18", 10.0),
]


@pytest.mark.parametrize(("name", "backbone", "rotate"), CASES)
def test_a_step_keeps_to_its_device(
    name: str,
    backbone: str,
    rotate: float,
    pretended: FakeTensorMode,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    augment = AugmentConfig(rotate=rotate, blur=0.5, solarize=0.2, cutout=0.5)
    width = 64 if backbone == "resnet18" else 32
    config = TrainConfig(
        method=name, backbone=backbone, width=width, augment=augment, device="cpu", batch_size=16
    )
    pixels = np.zeros((N_IMAGES, SIDE, SIDE, 3), np.uint8)
    pixels[::2] = 255
    method = ImageTrainer(pixels, config, tmp_path).method
    monkeypatch.setattr("ssl_models.augment.shared_rows", real_rows)
    monkeypatch.setattr(torch.Tensor, "__int__", lambda tensor: 0)  # counts: of a first step
    monkeypatch.setattr(torch.Tensor, "__bool__", lambda tensor: False)
    with pretended:
        move(method)
        loss, embeddings = step(method)
        method.after_step(1, 10)
        signals = method.signals()
    devices = {tensor.device for tensor in leaves([loss, embeddings, *signals.values()])}
    assert devices == {GPU}

"""The layer sweep: which layer of an encoder holds the classes best.

A pretext task bends the last layers to itself, so the best features may lie below (Gidaris et al.
2018, arXiv:1803.07728, table 1).

Try it: ``[print(name, s.knn, s.linear) for name, s in layer_sweep(encoder, task).items()]``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_models.backbones import Backbone
from ssl_models.embed import embed
from ssl_models.evaluation.scores import FeatureScores, Task, score_features
from ssl_models.pixels import PixelSource
from weaklight.errors import ConfigError

__all__ = ["OUTPUT", "layer_features", "layer_sweep", "pool", "stages"]

OUTPUT = "output"  # the encoder's own features
DIM = 1024  # large enough for 16 to 64 places of an early layer, small enough to probe in seconds


def layer_sweep(
    encoder: Backbone,
    task: Task[PixelSource],
    *,
    dim: int = DIM,
    batch_size: int = 256,
    device: str = "auto",
    k: int = 20,
    seed: int = 0,
) -> dict[str, FeatureScores]:
    """Return the scores of each layer's features, from the first layer to the encoder's output.

    Parameters
    ----------
    encoder
        Any backbone that :func:`stages` knows.
    task
        With pixels (n, H, W, C) uint8 as the encoder was trained.
    dim, batch_size, device
        See :func:`layer_features`.
    k, seed
        See :func:`~ssl_models.evaluation.scores.score_features`.

    Notes
    -----
    Test accuracies, one a layer: to name a layer the best and quote its accuracy is to choose by
    the test rows. Choose by a validation task, then quote the layer on test.
    """
    train = layer_features(encoder, task.train, dim=dim, batch_size=batch_size, device=device)
    test = layer_features(encoder, task.test, dim=dim, batch_size=batch_size, device=device)
    return {
        name: score_features(task.with_rows(train[name], test[name]), k=k, seed=seed)
        for name in train
    }


def layer_features(
    encoder: Backbone,
    pixels: PixelSource,
    *,
    dim: int = DIM,
    batch_size: int = 256,
    device: str = "auto",
) -> dict[str, NDArray[np.float32]]:
    """Return the pooled output of every stage and, as :data:`OUTPUT`, the encoder's features.

    Parameters
    ----------
    pixels
        (n, H, W, C) uint8, n >= 1.
    dim
        Numbers that a map is averaged down to, see :func:`pool`.
    batch_size, device
        See :func:`ssl_models.embed`.

    Returns
    -------
    (n, d) float32 for each layer, in the order of the forward pass; d differs.

    Raises
    ------
    ConfigError
        If the encoder's body is of no kind that :func:`stages` knows.

    Notes
    -----
    One pass over the images fills all layers; memory O(n layers dim).
    """
    kept: dict[str, list[NDArray[np.float32]]] = {name: [] for name in stages(encoder.body)}
    with _listening(encoder.body, kept, dim):
        output = embed(encoder, pixels, batch_size, device)
    # The last batch was padded.
    features = {name: np.concatenate(parts)[: len(output)] for name, parts in kept.items()}
    return {**features, OUTPUT: output}


def stages(body: nn.Module) -> dict[str, nn.Module]:
    """Return the parts of a body whose outputs are worth a look, in the order of the forward pass.

    The blocks of a transformer, the four stages of a residual network, the stages of timm's other
    networks, the convolutions of a plain stack.

    Raises
    ------
    ConfigError
        If the body is of none of these kinds.
    """
    for name in ("blocks", "stages"):
        if hasattr(body, name):
            return {f"{name}.{number}": part for number, part in enumerate(getattr(body, name))}
    if hasattr(body, "layer1"):
        return {name: part for name, part in body.named_children() if name.startswith("layer")}
    if isinstance(body, nn.Sequential):
        learnt = {name: part for name, part in body.named_children() if list(part.parameters())}
        return {f"layer{name}": part for name, part in learnt.items()}
    raise ConfigError(
        "a layer sweep knows bodies with blocks, with stages, with layer1 to layer4, and plain "
        f"nn.Sequential stacks, but this is a {type(body).__name__}; probe its output instead"
    )


def pool(output: Tensor, dim: int) -> Tensor:
    """Return (B, d) features of a layer's output.

    Parameters
    ----------
    output
        (B, C, H, W) maps are averaged over the finest grid that keeps at most ``dim`` numbers, at
        least one place a channel: layers of few channels and many places then compare fairly with
        the others (Zhang et al. 2016, arXiv:1603.08511, section 3.2). (B, T, D) tokens give the
        class token beside the mean of the rest, as in DINOv2's linear evaluation. (B, d) stays.
    """
    if output.ndim == 4:
        side = max(1, math.isqrt(dim // output.shape[1]))
        height, width = (min(side, size) for size in output.shape[2:])
        return F.adaptive_avg_pool2d(output, (height, width)).flatten(1)
    if output.ndim == 3:
        return torch.cat([output[:, 0], output[:, 1:].mean(1)], 1)  # (B, 2 D)
    return output


@contextmanager
def _listening(
    body: nn.Module, kept: dict[str, list[NDArray[np.float32]]], dim: int
) -> Iterator[None]:
    def listener(name: str) -> Any:
        def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            kept[name].append(pool(output.detach().float(), dim).cpu().numpy())

        return keep

    handles = [part.register_forward_hook(listener(name)) for name, part in stages(body).items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()

"""Our vision transformer's weights under timm's names, and timm's under ours.

The two compute the same; they differ in names and in where the tokens in front of the patches keep
their positions: ours adds them in, timm holds them in the first rows of ``pos_embed``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ssl_models.vit import Block, LayerScale, SwiGLU, VisionTransformer, resized_positions
from weaklight.errors import ConfigError

__all__ = ["from_timm", "resized_tokens", "timm_arguments", "to_timm"]

_RENAMED = (
    ("project.", "patch_embed.proj."),
    (".qkv.", ".attn.qkv."),
    (".out.", ".attn.proj."),
    (".ffn.0.", ".mlp.fc1."),
    (".ffn.2.", ".mlp.fc2."),
    (".ffn.up.", ".mlp.fc1."),
    (".ffn.down.", ".mlp.fc2."),
    (".scale1.", ".ls1."),
    (".scale2.", ".ls2."),
)


def timm_arguments(vit: VisionTransformer, height: int, width: int) -> dict[str, Any]:
    """Return the arguments that make timm's ``VisionTransformer`` this one.

    Parameters
    ----------
    height, width
        Of the images in pixels. timm sees them continued to whole patches, by their border.

    Raises
    ------
    ConfigError
        If the transformer has SwiGLU layers or a convolutional stem, which timm's has not or takes
        as a class, not as a name.
    """
    block = vit.blocks[0]
    assert isinstance(block, Block)
    if isinstance(block.ffn, SwiGLU) or not isinstance(vit.project, nn.Conv2d):
        raise ConfigError(
            "timm's names are for transformers with an MLP and patches cut by one convolution, but "
            "this one has SwiGLU or a convolutional stem; export it as torch_export or onnx"
        )
    rows, columns = vit.grid(height, width)
    return {
        "img_size": [rows * vit.patch, columns * vit.patch],
        "patch_size": vit.patch,
        "in_chans": vit.project.in_channels,
        "num_classes": 0,
        "embed_dim": vit.dim,
        "depth": vit.depth,
        "num_heads": block.heads,
        "reg_tokens": vit.registers,
        # Any number makes room for the factors; the weights hold them.
        "init_values": 1.0 if isinstance(block.scale1, LayerScale) else None,
    }


def to_timm(vit: VisionTransformer, height: int, width: int) -> dict[str, Tensor]:
    """Return the weights as timm names them, for images of this size."""
    tensors = {_timm_name(name): tensor for name, tensor in vit.state_dict().items()}
    del tensors["position"]
    extra = tensors.pop("extra")  # (1, 1 + R, D)
    tensors["cls_token"] = extra[:, :1]
    if vit.registers:
        tensors["reg_token"] = extra[:, 1:]
    positions = vit.positions(*vit.grid(height, width))
    tensors["pos_embed"] = torch.cat([torch.zeros_like(extra), positions], dim=1)
    return tensors


def from_timm(tensors: Mapping[str, Tensor], vit: VisionTransformer) -> dict[str, Tensor]:
    """Return timm's weights as ``vit`` names them, positions resized to its grid.

    A file without LayerScale gets factors of one, which change nothing. A tensor that ``vit`` has
    no place for keeps its name, and one that is not there is left out: loading names both.
    """
    ours = {_timm_name(name): name for name in vit.state_dict()}
    found = dict(tensors)
    positions = found.pop("pos_embed", None)
    tokens = [found.pop(name) for name in ("cls_token", "reg_token") if name in found]
    renamed = {ours.get(name, name): tensor for name, tensor in found.items()}
    if positions is not None and tokens:
        side = math.isqrt(vit.position.shape[1])
        extra = torch.cat(tokens, dim=1)
        n_front = _n_front(positions)
        if n_front:
            extra = extra + positions[:, :n_front]
        renamed["extra"] = extra
        renamed["position"] = resized_positions(positions[:, n_front:], side, side)
    if not any(".ls1." in name for name in found):
        renamed |= {
            name: torch.ones_like(tensor)
            for name, tensor in vit.state_dict().items()
            if name.endswith(".gamma")
        }
    return renamed


def resized_tokens(positions: Tensor, n_tokens: int) -> Tensor:
    """Return timm's ``pos_embed`` (1, front + N, D) for another number of tokens.

    The patches form a square; the few embeddings in front of them stay as they are.
    """
    n_front = _n_front(positions)
    side = math.isqrt(n_tokens - n_front)
    grid = resized_positions(positions[:, n_front:], side, side)
    return torch.cat([positions[:, :n_front], grid], dim=1)


def _timm_name(name: str) -> str:
    for ours, theirs in _RENAMED:
        name = name.replace(ours, theirs)
    return name


def _n_front(positions: Tensor) -> int:
    """Return how many embeddings come before the square of patches; in some models none."""
    n_tokens = positions.shape[1]
    return n_tokens - math.isqrt(n_tokens) ** 2

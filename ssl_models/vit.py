"""A vision transformer for images of any size: class token, patch tokens and attention maps.

Try it: ``build_backbone("vit_tiny", channels=3, image_size=32, width=32).body.attention(images)``.
"""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_models.backbones import (
    BACKBONES,
    SMALL_SIDE,
    Backbone,
    Body,
    PatchBody,
    conv_block,
    per_pixel,
    register_backbone,
)
from weaklight.errors import ConfigError
from weaklight.words import nearest

__all__ = [
    "TRANSFORMERS",
    "VisionTransformer",
    "build_variant",
    "resized_positions",
    "transformer_of",
]

TRANSFORMERS = ("vit_tiny", "vit_small", "vit_compact")  # names of those built below
_VARIANT = re.compile(
    rf"(?P<base>{'|'.join(TRANSFORMERS)})"
    r"(?:_patch(?P<patch>\d+))?(?:_reg(?P<registers>\d+))?(?:_(?P<ffn>swiglu))?"
)


class VisionTransformer(PatchBody):
    """Dosovitskiy et al. 2021, arXiv:2010.11929, with the parts that DINOv2 added.

    Parameters
    ----------
    image_size
        Side in pixels that the position embedding is learnt at; other sizes interpolate it.
    patch
        Side of a patch, 2 to 16. An image that it does not divide is continued by its border.
    dim, depth, heads
        D, number of blocks, and attention heads (they divide D).
    registers
        Tokens without a place, where the network may keep global facts (Darcet et al. 2024,
        arXiv:2309.16588).
    layer_scale
        Initial LayerScale; None leaves it out.
    drop_path
        Stochastic depth of the last block; the rate rises linearly from 0 in the first. It acts
        only where :meth:`tokens` is given ``draws``.
    ffn
        "mlp" (GELU) or "swiglu" (Shazeer 2020, arXiv:2002.05202).
    stem
        "patch" projects each patch by itself; "conv" halves the image by 3 x 3 convolutions until
        a pixel stands for a patch (Xiao et al. 2021, arXiv:2106.14881), which learns from far
        fewer images; ``patch`` is then a power of 2. Masked pixels are blanked first, so nothing of
        them leaks into their neighbours. The class token enters as the mean of the patches: an
        untrained network then already says what its convolutions see.

    Notes
    -----
    T = 1 + registers + N tokens; O(depth (T D^2 + T^2 D)) time an image.
    """

    def __init__(
        self,
        *,
        image_size: int,
        channels: int,
        patch: int,
        dim: int,
        depth: int,
        heads: int,
        registers: int = 0,
        layer_scale: float | None = None,
        drop_path: float = 0.0,
        ffn: Literal["mlp", "swiglu"] = "mlp",
        stem: Literal["patch", "conv"] = "patch",
    ) -> None:
        super().__init__()
        if not 2 <= patch <= 16 or dim % heads or not 0 <= drop_path < 1:
            raise ConfigError(
                "a vision transformer takes patch in 2..16, heads that divide dim and drop_path in "
                f"0..1, but came patch {patch}, dim {dim}, heads {heads}, drop_path {drop_path}"
            )
        self.patch, self.dim, self.depth, self.registers = patch, dim, depth, registers
        self.patch_dim = self.mask_dim = dim
        self.n_branches = 2 * depth
        side = -(-image_size // patch)
        self.stem = stem
        self.project: nn.Module = (
            conv_stem(channels, patch, dim)
            if stem == "conv"
            else nn.Conv2d(channels, dim, patch, patch)
        )
        self.position = nn.Parameter(torch.empty(1, side * side, dim))
        # Class token (with its own position) and registers, in front of the patches.
        self.extra = nn.Parameter(torch.empty(1, 1 + registers, dim))
        rates = [drop_path * i / max(1, depth - 1) for i in range(depth)]
        self.blocks = nn.ModuleList(Block(dim, heads, layer_scale, rate, ffn) for rate in rates)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        for token in (self.position, self.extra):
            nn.init.trunc_normal_(token, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):  # as in DINO's vision_transformer.py
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Return the class token (B, D) of normalised images (B, C, H, W)."""
        return self.tokens(images)[0]

    def tokens(
        self,
        images: Tensor,
        *,
        masked: Tensor | None = None,
        mask_token: Tensor | None = None,
        draws: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the class token (B, D) and the patch tokens (B, N, D), row by row of the image."""
        return self.encode(self.embed(images, masked, mask_token), draws)

    def embed(
        self, images: Tensor, masked: Tensor | None = None, mask_token: Tensor | None = None
    ) -> Tensor:
        """Return patches with their positions, (B, N, D)."""
        pixels = self.padded(images)
        if masked is not None and self.stem == "conv":
            # 0 is the mean colour of normalised images.
            pixels = pixels * ~per_pixel(masked, self.patch, *pixels.shape[-2:])
        grid = self.project(pixels)  # (B, D, h, w)
        height, width = grid.shape[-2:]
        x = grid.flatten(2).transpose(1, 2)  # (B, N, D)
        if masked is not None:
            assert mask_token is not None
            x = torch.where(masked[..., None], mask_token.to(x.dtype), x)
        return x + self.positions(height, width)  # type: ignore[no-any-return]

    def encode(self, patches: Tensor, draws: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run the blocks on embedded patches (B, n, D), all or some of an image's."""
        x = self._with_extra(patches)
        for number, block in enumerate(self.blocks):
            x = block(x, None if draws is None else draws[:, 2 * number : 2 * number + 2])
        x = self.norm(x)
        return x[:, 0], x[:, 1 + self.registers :]

    @torch.no_grad()
    def attention(self, images: Tensor) -> Tensor:
        """Return the last block's attention (B, heads, T, T) of normalised images; rows sum to 1.

        Token 0 is the class token, then come the registers, then the patches.
        """
        x = self._with_extra(self.embed(images))
        for block in self.blocks[:-1]:
            x = block(x)
        last = self.blocks[-1]
        assert isinstance(last, Block)
        return last.attention(x)

    def positions(self, height: int, width: int) -> Tensor:
        """Return the position embeddings (1, height * width, D) of a grid of patches."""
        side = math.isqrt(self.position.shape[1])
        if (height, width) == (side, side):
            return self.position
        return resized_positions(self.position.float(), height, width)

    def _with_extra(self, patches: Tensor) -> Tensor:
        # Not len(): torch.export would take it for a constant.
        extra = self.extra.expand(patches.shape[0], -1, -1).to(patches.dtype)
        if self.stem == "conv":
            mean = patches.mean(1, keepdim=True)
            extra = torch.cat([extra[:, :1] + mean, extra[:, 1:]], 1)
        return torch.cat([extra, patches], 1)


def conv_stem(channels: int, patch: int, dim: int) -> nn.Sequential:
    """Return convolutions from (B, C, H, W) to (B, D, H / patch, W / patch).

    Raises
    ------
    ConfigError
        If ``patch`` is not a power of 2.
    """
    halvings = patch.bit_length() - 1
    if patch != 2**halvings:
        raise ConfigError(f"a conv stem takes patch = 2, 4, 8 or 16, but came {patch}")
    widths = [channels, *(min(128, 32 * 2**i) for i in range(halvings))]
    layers = [conv_block(n_in, n_out, 2) for n_in, n_out in pairwise(widths)]
    layers.append(conv_block(widths[-1], widths[-1]))
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], dim, 1))


class Block(nn.Module):
    """Pre-norm attention and feed-forward branches, each scaled and each skipped at ``rate``."""

    def __init__(
        self, dim: int, heads: int, layer_scale: float | None, rate: float, ffn: str
    ) -> None:
        super().__init__()
        self.heads, self.rate = heads, rate
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.ffn = SwiGLU(dim) if ffn == "swiglu" else Mlp(dim)
        self.scale1, self.scale2 = (
            nn.Identity() if layer_scale is None else LayerScale(dim, layer_scale) for _ in range(2)
        )

    def forward(self, x: Tensor, draws: Tensor | None = None) -> Tensor:
        """Return (B, T, D); ``draws`` (B, 2) are one uniform a row and branch."""
        for number, branch in enumerate((self._attend, self._feed)):
            if draws is None or self.rate == 0:
                x = x + branch(x)
            else:
                rows, weight = kept_rows(draws[:, number], self.rate)
                x = x.index_add(0, rows, (branch(x[rows]) * weight).to(x.dtype))
        return x

    def attention(self, x: Tensor) -> Tensor:
        """Return softmax(q k / sqrt(d)), (B, heads, T, T)."""
        q, k, _ = self._split(self.norm1(x))
        return (q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).float().softmax(-1)

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return q, k, v  # (B, heads, T, d) each

    def _attend(self, x: Tensor) -> Tensor:
        q, k, v = self._split(self.norm1(x))
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.scale1(self.out(mixed.transpose(1, 2).flatten(2)))  # type: ignore[no-any-return]

    def _feed(self, x: Tensor) -> Tensor:
        return self.scale2(self.ffn(self.norm2(x)))  # type: ignore[no-any-return]


class LayerScale(nn.Module):
    """A learnt factor a channel (Touvron et al. 2021, arXiv:2103.17239, section 2)."""

    def __init__(self, dim: int, initial: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((dim,), initial))

    def forward(self, x: Tensor) -> Tensor:
        """Return x times the factors."""
        return x * self.gamma


class Mlp(nn.Sequential):
    """Linear, GELU, Linear with four times the width between."""

    def __init__(self, dim: int) -> None:
        super().__init__(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))


class SwiGLU(nn.Module):
    """SiLU(x W1) * (x W2) W3; 2/3 of the MLP's width, rounded up to 8, costs the same."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        hidden = -(-(8 * dim // 3) // 8) * 8
        self.up, self.down = nn.Linear(dim, 2 * hidden), nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., D)."""
        gate, value = self.up(x).chunk(2, dim=-1)
        return self.down(F.silu(gate) * value)  # type: ignore[no-any-return]


def resized_positions(position: Tensor, height: int, width: int) -> Tensor:
    """Interpolate embeddings of a square of patches (1, N, D) to (1, height * width, D)."""
    side = math.isqrt(position.shape[1])
    square = position.view(1, side, side, -1).permute(0, 3, 1, 2)
    # Antialias and exact sizes, as DINOv2's register models do; v1's offset 0.1 is a legacy.
    resized = F.interpolate(square, (height, width), mode="bicubic", antialias=True)
    return resized.flatten(2).transpose(1, 2)


def kept_rows(draws: Tensor, rate: float) -> tuple[Tensor, float]:
    """Return the rows (k,) that a branch is computed for, and the factor that keeps its mean.

    k = B (1 - rate) rounded, so shapes are fixed and skipped rows cost nothing
    (``drop_add_residual_stochastic_depth`` of DINOv2). Each process skips a share of its rows.
    """
    n = len(draws)
    keep = max(1, round(n * (1 - rate)))
    return draws.topk(keep).indices, n / keep


def transformer_of(encoder: Backbone, method: str) -> VisionTransformer:
    """Return the encoder's transformer.

    Raises
    ------
    ConfigError
        If its body is another network, which has no patch tokens.
    """
    if not isinstance(encoder.body, VisionTransformer):
        raise ConfigError(
            f"{method} needs patch tokens, but the backbone is a "
            f"{type(encoder.body).__name__}; set backbone = 'vit_tiny' or 'vit_small'"
        )
    return encoder.body


def build_variant(name: str, channels: int, image_size: int, width: int) -> Body:
    """Return one of ours with other parts: ``vit_tiny_patch2``, ``vit_small_patch8_reg4_swiglu``.

    ``patchN`` is the side of a patch, ``regN`` the number of registers, ``swiglu`` the kind of
    feed-forward layer; each may be left out, in this order.

    Raises
    ------
    ConfigError
        If the name is none of these.
    """
    found = _VARIANT.fullmatch(name)
    if found is None:
        raise ConfigError(
            f"backbone must be one of {sorted(BACKBONES)}, a transformer's name with parts such as "
            f"'vit_tiny_patch4_reg4_swiglu', or 'timm:NAME', but is {name!r}"
            f"{nearest(name, BACKBONES)}"
        )
    named = {key: text for key, text in found.groupdict().items() if text is not None}
    build = BACKBONES[named.pop("base")]
    parts = {key: int(text) if text.isdigit() else text for key, text in named.items()}
    return build(channels, image_size, width, **parts)


def _build(channels: int, image_size: int, dim: int, heads: int, parts: dict[str, Any]) -> Body:
    # 6 to 14 patches a side: 4 px at 24..47, 8 at 48..95, 16 from 96 on.
    patch = min(16, max(2, 2 ** int(math.log2(image_size / 6))))
    settings: dict[str, Any] = {
        "patch": patch,
        "depth": 7 if image_size < SMALL_SIDE else 12,  # ViT-Lite-7/4 for CIFAR, arXiv:2104.05704
        "layer_scale": 0.1,  # CaiT (arXiv:2103.17239) up to 18 blocks; 1e-5 is for deep ones
        "drop_path": 0.1,  # DINO's student; DINOv2's 0.3 is for ViT-L
    }
    vit = VisionTransformer(
        image_size=image_size, channels=channels, dim=dim, heads=heads, **{**settings, **parts}
    )
    return vit, dim


@register_backbone("vit_tiny")
def vit_tiny(channels: int, image_size: int, width: int, **parts: Any) -> Body:
    """Return a transformer with 3 heads; dim = 6 * width, DeiT-Ti's 192 at width 32."""
    return _build(channels, image_size, 6 * width, 3, parts)


@register_backbone("vit_small")
def vit_small(channels: int, image_size: int, width: int, **parts: Any) -> Body:
    """Return a transformer with 6 heads; dim = 12 * width, DeiT-S's 384 at width 32."""
    return _build(channels, image_size, 12 * width, 6, parts)


@register_backbone("vit_compact")
def vit_compact(channels: int, image_size: int, width: int, **parts: Any) -> Body:
    """Return a conv stem and two blocks for one or two CPU cores; dim = 4 * width, 128 at 32.

    4 to 7 patches a side, 8 to 15 from 64 px on: on a CPU a method gets few tokens. On
    20,000 CIFAR-10 images it takes seven times as many images a second through DINO as
    ``vit_tiny``, and its convolutions need not be learnt from patches first.
    """
    side = 4 if image_size < SMALL_SIDE else 8
    patch = min(16, max(2, 2 ** int(math.log2(image_size / side))))
    plain: dict[str, Any] = {"patch": patch, "depth": 2, "drop_path": 0.0, "stem": "conv"}
    return _build(channels, image_size, 4 * width, 4, plain | parts)

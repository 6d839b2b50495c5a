"""MAE: rebuild three quarters of an image's patches from the quarter that the encoder sees."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ssl_models.augment import Augment, AugmentConfig
from ssl_models.backbones import Backbone, PatchBody, patch_body
from ssl_models.distributed import shared_rows
from ssl_models.methods.base import Method, register_method
from ssl_models.patches import LAYOUT_SETTINGS, geometry
from ssl_models.vit import Block, VisionTransformer
from weaklight.errors import ConfigError

__all__ = ["MAE", "MAEViews", "patch_targets", "sincos_positions"]

HEAD_DIM = 32  # the authors' decoder: 512 in 16 heads


class MAEViews(NamedTuple):
    """Images, and an order of their patches each of which the first ones stay visible."""

    images: Tensor  # (B, C, H, W) in 0..1
    order: Tensor  # (B, N) int64, a permutation of 0..N-1 a row


@register_method("mae")
class MAE(Method):
    """He et al. 2022, "Masked autoencoders are scalable vision learners", arXiv:2111.06377.

    A transformer encodes the visible patches alone and hands their latents to the decoder. A
    convolutional network sees the masked ones painted in the mean colour ("zero-outing" in SparK,
    Tian et al. 2023, arXiv:2301.03580), and hands on its feature vector alone: what the decoder
    needs must pass through what is kept after training.

    Parameters
    ----------
    encoder
        A transformer of ours or a convolutional network.
    augment
        How the image is cropped and flipped; its colour changes are left out, as in table 1e.
    mask_ratio
        Share of the patches that are masked, drawn without structure (table 1f). The paper's 0.75
        is for 196 patches; SparK's 0.6 leaves something to see of the 16 that small images have.
    decoder_dim, decoder_depth
        Width, a multiple of 32, and blocks of the decoder. The paper's 512 and 8 are half as wide
        and a third as deep as its encoder, as these are beside ``vit_tiny``.
    """

    category = "reconstructive"
    principle = "rebuild more than half of an image's patches from the others"
    cost = "one encoder pass, a transformer's on the visible patches alone, and a small decoder"
    when = "scenes and objects with a layout; a transformer: much data, then fine-tuning"
    settings = LAYOUT_SETTINGS
    sees_whole_images = False

    def __init__(
        self,
        encoder: Backbone,
        augment: AugmentConfig,
        *,
        mask_ratio: float = 0.6,
        decoder_dim: int = 96,
        decoder_depth: int = 2,
    ) -> None:
        super().__init__(encoder, augment)
        if not 0 < mask_ratio < 1 or decoder_depth < 1 or decoder_dim < 1 or decoder_dim % HEAD_DIM:
            raise ConfigError(
                f"mae takes mask_ratio between 0 and 1, decoder_dim a multiple of {HEAD_DIM} and "
                f"decoder_depth at least 1, but came {mask_ratio}, {decoder_dim}, {decoder_depth}"
            )
        body = patch_body(encoder)
        self.augment, self.mask_ratio = Augment(geometry(augment)), mask_ratio
        self.decoder = PatchDecoder(
            encoder.dim,
            body.patch_dim,
            decoder_dim,
            decoder_depth,
            n_out=encoder.channels * body.patch**2,
        )

    def views(self, images: Tensor, generator: torch.Generator) -> MAEViews:
        """Return cropped images and a random order of each one's patches."""
        x = self.augment(images, generator=generator)
        rows, columns = self.body.grid(x.shape[-2], x.shape[-1])
        uniforms = shared_rows(len(x), rows * columns, generator)
        return MAEViews(x, uniforms.argsort(1).to(x.device))

    def step(self, views: MAEViews) -> tuple[Tensor, Tensor]:
        """Return the mean squared error on masked patches and the features of the visible ones.

        1 is the error of saying each patch's mean colour.
        """
        images, order = views
        n_visible = max(1, round(order.shape[1] * (1 - self.mask_ratio)))
        visible, masked = order[:, :n_visible], order[:, n_visible:]
        features, latents = self.encode_visible(images, visible)
        grid = self.body.grid(images.shape[-2], images.shape[-1])
        predicted = self.decoder(features, latents, visible, masked, grid)  # (B, M, C P P)
        targets = patch_targets(self.body.padded(images), self.body.patch)
        return (predicted - _take(targets, masked)).square().mean(), features

    def encode_visible(self, images: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (B, D) and latents (B, n, P) of the patches at ``visible`` (B, n).

        n = 0 latents come from a convolutional network.
        """
        body, pixels = self.body, self.encoder.normalised(images)
        rows, columns = body.grid(images.shape[-2], images.shape[-1])
        masked = torch.ones(len(images), rows * columns, dtype=torch.bool, device=images.device)
        masked = masked.scatter(1, visible, False)
        blank = pixels.new_zeros(body.mask_dim)  # the mean colour, for convolutions to look at
        if isinstance(body, VisionTransformer):
            return body.encode(_take(body.embed(pixels, masked, blank), visible))
        features, latents = body.tokens(pixels, masked=masked, mask_token=blank)
        return features, latents[:, :0]

    @property
    def body(self) -> PatchBody:
        """The encoder's body."""
        return patch_body(self.encoder)


class PatchDecoder(nn.Module):
    """From features and visible latents to masked pixels: a narrow transformer, thrown away."""

    def __init__(self, dim: int, patch_dim: int, decoder_dim: int, depth: int, n_out: int) -> None:
        super().__init__()
        self.enter, self.enter_patch = (
            nn.Linear(dim, decoder_dim),
            nn.Linear(patch_dim, decoder_dim),
        )
        self.mask_token = nn.Parameter(torch.zeros(decoder_dim))
        heads = decoder_dim // HEAD_DIM
        self.blocks = nn.Sequential(
            *(Block(decoder_dim, heads, None, 0.0, "mlp") for _ in range(depth))
        )
        self.norm, self.leave = nn.LayerNorm(decoder_dim, eps=1e-6), nn.Linear(decoder_dim, n_out)
        nn.init.trunc_normal_(self.mask_token, std=0.02)

    def forward(
        self,
        features: Tensor,
        latents: Tensor,
        visible: Tensor,
        masked: Tensor,
        grid: tuple[int, int],
    ) -> Tensor:
        """Return what the masked patches hold, (B, M, n_out) fp32.

        The tokens stand in any order, each with its own position: attention does not care.

        Parameters
        ----------
        features, latents
            (B, D) and (B, n, P): n visible patches, or none.
        visible, masked
            (B, n or more) and (B, M) int64: the places of the latents and of what is asked.
        grid
            Rows and columns of patches.
        """
        n = latents.shape[1]
        position = sincos_positions(grid, len(self.mask_token)).to(latents.device)
        hidden = self.mask_token + position[masked]  # (B, M, width)
        seen = self.enter_patch(latents).float() + position[visible[:, :n]]
        x = self.blocks(torch.cat([self.enter(features)[:, None].float(), seen, hidden], 1))
        return self.leave(self.norm(x[:, 1 + n :])).float()  # type: ignore[no-any-return]


def _take(tokens: Tensor, places: Tensor) -> Tensor:
    """Return (B, m, D) of (B, N, D) at (B, m)."""
    return tokens.gather(1, places[..., None].expand(-1, -1, tokens.shape[-1]))


def patch_targets(images: Tensor, patch: int) -> Tensor:
    """Return each patch's pixels with mean 0 and variance 1 (section 4.1, "pixels w/ norm").

    Parameters
    ----------
    images
        (B, C, H, W); ``patch`` divides both sides.

    Returns
    -------
    (B, N, C * patch * patch) in the order of the grid, row by row. A flat patch is all 0.
    """
    grid = images.unfold(2, patch, patch).unfold(3, patch, patch)  # (B, C, h, w, P, P)
    pixels = grid.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)  # (B, N, C P P)
    variance, mean = torch.var_mean(pixels, dim=-1, keepdim=True, correction=0)
    return (pixels - mean) / (variance + 1e-6).sqrt()


def sincos_positions(grid: tuple[int, int], dim: int) -> Tensor:
    """Return (rows * columns, dim) fixed positions: half of ``dim`` for the row, half the column.

    Each half holds sines and cosines of geometric frequencies from 1 to 1 / 10,000 (Vaswani et al.
    2017, arXiv:1706.03762, section 3.5, along both axes). ``dim`` is a multiple of 4.
    """
    frequency = torch.exp(torch.arange(dim // 4) * (-4 * math.log(10_000) / dim))
    axes = torch.meshgrid(*(torch.arange(n) for n in grid), indexing="ij")
    angles = [axis.flatten()[:, None] * frequency for axis in axes]  # 2 x (N, dim / 4)
    return torch.cat([f(angle) for angle in angles for f in (torch.sin, torch.cos)], 1)

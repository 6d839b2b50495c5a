"""CPC: of all patches around, tell the one that lies some rows below what was seen."""

from __future__ import annotations

from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_models.augment import Augment, AugmentConfig
from ssl_models.backbones import Backbone
from ssl_models.distributed import mean_over_processes
from ssl_models.methods.base import Method, register_method
from ssl_models.patches import LAYOUT_SETTINGS, colours, cut, geometry
from weaklight.errors import ConfigError

__all__ = ["CPC", "RowContext", "info_nce"]

MOMENTUM = 0.1  # of the batch norms' statistics, as torch's own
FIRST_STEP = 2  # rows below: the next row shares half of its pixels with this one


@register_method("cpc")
class CPC(Method):
    """Van den Oord et al. 2018, "Contrastive predictive coding", arXiv:1807.03748, section 3.2.

    Parameters
    ----------
    encoder
        g_enc, yields h, one row a patch. Its batch norm, if any, normalises by earlier batches and
        not by the current one, whose statistics would tell the patches of an image from others
        without looking (Henaff et al. 2020, arXiv:1905.09272, appendix A).
    augment
        How the image is cropped and flipped before it is cut, and how each patch is recoloured
        after it: brightness and tint, which the patches of an image share, would tell them from
        those of all other images (the patch-based augmentation of Henaff et al.).
    grid
        Patches a side, each half over the next. The paper's 7 leaves 8 px of a 32 px image, 4
        leaves 12. After four minutes of one core on CIFAR-10 kNN is 0.464 with 4, 0.440 with 5 and
        0.430 with 3, which leaves one number of rows to predict.
    latent_dim
        P, length of z and of the context c.
    """

    category = "contrastive"
    principle = "from the rows above, pick the patch that comes below out of all patches"
    cost = "16 patches of 2/5 of a side an image: 2.3 encoder passes of pixels, (16 B)^2 logits"
    when = "sequences and images with a spatial order; not below 24 px"
    settings = MappingProxyType({**LAYOUT_SETTINGS, "batch_size": 64})  # (16 B)^2 logits
    sees_whole_images = False

    def __init__(
        self, encoder: Backbone, augment: AugmentConfig, *, grid: int = 4, latent_dim: int = 64
    ) -> None:
        super().__init__(encoder, augment)
        if grid <= FIRST_STEP:
            raise ConfigError(f"grid must be at least {FIRST_STEP + 1} patches, but is {grid}")
        self.augment, self.recolour = Augment(geometry(augment)), Augment(colours(augment))
        self.grid = grid
        self.latent = nn.Sequential(nn.Linear(encoder.dim, latent_dim), nn.LayerNorm(latent_dim))
        self.context = RowContext(latent_dim)
        self.predictors = nn.ModuleList(  # W_k, one linear map for each number of rows below
            nn.Linear(latent_dim, latent_dim, bias=False) for _ in range(FIRST_STEP, grid)
        )
        self._seen: list[tuple[nn.BatchNorm2d, Tensor, Tensor]] = []  # statistics of this step
        for norm in self._norms():
            norm.register_forward_pre_hook(self._notice)

    def train(self, mode: bool = True) -> CPC:
        """Set the mode of all but the encoder's batch norm, which never sees its own batch."""
        super().train(mode)
        for norm in self._norms():
            norm.eval()
        return self

    def _norms(self) -> list[nn.BatchNorm2d]:
        return [m for m in self.encoder.modules() if isinstance(m, nn.BatchNorm2d)]

    @torch.no_grad()
    def _notice(self, norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if self.training and not norm.training:
            variance, mean = torch.var_mean(inputs[0].float(), (0, 2, 3), correction=0)
            assert isinstance(norm, nn.BatchNorm2d)
            self._seen.append((norm, mean_over_processes(mean), mean_over_processes(variance)))

    @torch.no_grad()
    def after_step(self, step: int, total_steps: int) -> None:
        """Move the batch norms towards what they saw, for the steps to come."""
        for norm, mean, variance in self._seen:
            assert norm.running_mean is not None and norm.running_var is not None
            norm.running_mean.lerp_(mean, MOMENTUM)
            norm.running_var.lerp_(variance, MOMENTUM)
        self._seen.clear()

    @torch.no_grad()
    def _set_norms(self, patches: Tensor) -> None:
        """Set the batch norm by the first batch, in one pass."""
        norms = self._norms()
        if not norms or int(norms[0].num_batches_tracked or 0):
            return
        for norm in norms:
            norm.train()
            norm.momentum = 1.0  # the statistics become this batch's
        self.encoder(patches)
        self.train(self.training)

    def views(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return overlapping patches (B, G G, C, s, s), row by row."""
        x = self.augment(images, generator=generator)
        stride = min(x.shape[-2:]) // (self.grid + 1)
        if stride < 3:
            raise ConfigError(
                f"a grid of {self.grid} patches needs images of at least {3 * (self.grid + 1)} px, "
                f"but they have {min(x.shape[-2:])}; lower grid or choose rotation"
            )
        number = torch.arange(self.grid**2).expand(len(x), -1)
        patches = cut(x, number // self.grid * stride, number % self.grid * stride, 2 * stride)
        levels = patches.mul(255).round().to(torch.uint8).flatten(0, 1)
        return self.recolour(levels, generator=generator).view_as(patches)

    def step(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """Return InfoNCE averaged over the numbers of rows below, and each image's mean h."""
        patches = views.flatten(0, 1)
        self._set_norms(patches)
        h = self.encoder(patches)  # (B G G, D)
        z = self.latent(h).view(len(views), self.grid, self.grid, -1)  # (B, G, G, P)
        c = self.context(z)
        losses = [
            info_nce(predict(c[:, : self.grid - k]), z, k)
            for k, predict in enumerate(self.predictors, FIRST_STEP)
        ]
        return torch.stack(losses).mean(), h.view(len(views), self.grid**2, -1).mean(1)


class RowContext(nn.Module):
    """c at row i sums up rows 0..i of z: three convolutions that never look down.

    A small stand-in for the paper's PixelCNN; like its, a row's context sees that whole row.
    """

    def __init__(self, dim: int, n_layers: int = 3) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(dim, dim, (2, 3)) for _ in range(n_layers))

    def forward(self, z: Tensor) -> Tensor:
        """Return c (B, G, G, P) of z (B, G, G, P)."""
        c = z.permute(0, 3, 1, 2)  # (B, P, G, G)
        for layer in self.layers:
            c = c + layer(F.pad(F.relu(c), (1, 1, 1, 0)))  # a row above, a column on either side
        return c.permute(0, 2, 3, 1)


def info_nce(predicted: Tensor, z: Tensor, k: int) -> Tensor:
    """Return the cross entropy of picking the true patch out of all patches of all images, eq. 4.

    Parameters
    ----------
    predicted
        (B, G - k, G, P) W_k c of rows 0..G-k-1.
    z
        (B, G, G, P) latents of all patches of this process; all but the true one are negatives.
    k
        Rows between context and target.

    Returns
    -------
    Scalar fp32; ln(B G^2) when nothing is learnt. O((B G^2)^2 P) time, O((B G^2)^2) memory.
    """
    with torch.autocast(z.device.type, enabled=False):
        # Divided by sqrt(P), as in attention: z has length sqrt(P) from its layer norm.
        queries, keys = predicted.float().flatten(0, 2), z.float().flatten(0, 2)
        logits = queries @ keys.T / keys.shape[1] ** 0.5  # (B (G - k) G, B G G)
        place = torch.arange(len(keys), device=z.device).view(z.shape[:3])
        return F.cross_entropy(logits, place[:, k:].flatten())

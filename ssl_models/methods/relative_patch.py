"""Relative patch position: say on which of eight sides of a patch its neighbour lies."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_models.augment import Augment, AugmentConfig
from ssl_models.backbones import Backbone
from ssl_models.distributed import GlobalBatchNorm, shared_rows
from ssl_models.methods.base import Method, register_method
from ssl_models.patches import UNRESAMPLED, cut, geometry, integers, pixelate, standardise
from weaklight.errors import ConfigError

__all__ = ["RelativePatch", "drop_colours", "place_pairs"]

# Row and column steps from a patch to its neighbour; side 7 - k is the opposite of side k.
SIDES = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
SMALLEST = 10  # side of a shrunk patch: "as little as 100 total pixels"; of small ones half
NOISE = 0.01  # of the kept channel's spread, in the channels dropped (section 3.1)


@register_method("relative_patch")
class RelativePatch(Method):
    """Doersch et al. 2015, "Unsupervised visual representation learning by context prediction".

    arXiv:1505.05192.

    Parameters
    ----------
    encoder
        Yields h (2B, D), one row a patch. Convolutional: a patch is smaller than the image.
    augment
        How the image is cropped and flipped; its colour changes are left out.
    drop_colour
        Share of RGB patches that keep one channel, the others noise: a lens's colour fringes tell
        where in the photograph a patch lay. The authors drop always; we leave half of the patches
        alone, so that the encoder knows colour when it meets whole images.
    shrink
        Share of patches that are shrunk and grown back, so that sharpness does not tell what
        belongs together; a third as in the authors' ``train.py``.
    hidden_dim
        Of the layer that joins the two patches.
    """

    category = "predictive"
    principle = "tell on which of eight sides of a patch another patch lies"
    cost = "two patches an image, of nearly half its side: 0.4 encoder passes of pixels"
    when = "objects of several parts, very little compute; not for images below 24 px"
    settings = UNRESAMPLED
    sees_whole_images = False

    sides: Tensor

    def __init__(
        self,
        encoder: Backbone,
        augment: AugmentConfig,
        *,
        drop_colour: float = 0.5,
        shrink: float = 1 / 3,
        hidden_dim: int = 256,
    ) -> None:
        super().__init__(encoder, augment)
        self.augment = Augment(geometry(augment))
        self.drop_colour, self.shrink = drop_colour, shrink
        self.classifier = nn.Sequential(
            nn.Linear(2 * encoder.dim, hidden_dim, bias=False),
            GlobalBatchNorm(hidden_dim),
            nn.ReLU(inplace=True),
            nn.Linear(hidden_dim, len(SIDES)),
        )

    def views(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return pairs of patches (B, 2, C, t, t) and the side of the second (B,) in 0..7."""
        x = self.augment(images, generator=generator)
        tops, lefts, size, side = place_pairs(
            x.shape[-2], x.shape[-1], shared_rows(len(x), 5, generator)
        )
        pairs = cut(x, tops, lefts, size)
        uniforms = shared_rows(len(x), 4, generator).view(-1, 2)  # one row a patch
        smaller = integers(uniforms[:, 1], min(SMALLEST, size // 2), size - 1)
        sides = torch.where(uniforms[:, 0] < self.shrink, smaller, size)
        pairs = pixelate(pairs.flatten(0, 1), sides).view_as(pairs)
        if x.shape[1] == 3:
            uniforms = shared_rows(len(x), 2 * (2 + 3 * size * size), generator)
            uniforms = uniforms.to(x.device).view(2 * len(x), -1)  # one row a patch
            pairs = drop_colours(pairs.flatten(0, 1), uniforms, self.drop_colour).view_as(pairs)
        pairs = standardise(pairs, self.encoder.mean, self.encoder.std)
        return pairs, side.to(x.device)

    def step(self, views: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the cross entropy over both orders of each pair and h of the first patches."""
        pairs, side = views
        h = self.encoder(pairs.flatten(0, 1)).unflatten(0, (-1, 2))  # (B, 2, D)
        both_orders = torch.cat([h.flatten(1), h.flip(1).flatten(1)])  # (2B, 2D)
        answers = torch.cat([side, len(SIDES) - 1 - side])
        return F.cross_entropy(self.classifier(both_orders).float(), answers), h[:, 0]


def place_pairs(height: int, width: int, uniforms: Tensor) -> tuple[Tensor, Tensor, int, Tensor]:
    """Draw where two neighbouring patches lie.

    The two just fit the shorter side, and lie anywhere that they fit: 14 px of 32 each. The
    paper's patches are a fifth of a photograph and hold an object's part; of a small image that
    is 6 px, a blob. After 25 s of training on CIFAR-10 neighbours are right on 0.417 of held-out
    training images; with patches of 8 px grown to 16 on 0.379 after 70 s; with 14 px grown to 32
    on 0.383. The gap keeps lines from running on; the second moves by up to 7/96 of a patch.

    Parameters
    ----------
    height, width
        Of the images, at least 24.
    uniforms
        (N, 5) in [0, 1).

    Returns
    -------
    tops, lefts (N, 2) int64, the size of a patch, and the side (N,) int64 of the second patch.
    """
    if min(height, width) < 24:
        raise ConfigError(
            f"relative_patch needs images of at least 24 px a side, but they have "
            f"{min(height, width)}; choose rotation"
        )
    size = min(height, width) * 7 // 16
    jitter = max(1, round(size * 7 / 96))
    pitch = size + max(jitter + 1, size // 7)
    side = integers(uniforms[:, 0], 0, len(SIDES) - 1)
    corners = []
    for axis, length in enumerate((height, width)):
        moved = integers(uniforms[:, 3 + axis], -jitter, jitter)
        step = torch.tensor(SIDES)[side, axis] * pitch + moved  # from the first to the second
        room = length - size - step.abs()
        first = (-step).clamp(min=0) + (uniforms[:, 1 + axis] * (room + 1)).long()
        corners.append(torch.stack([first, first + step], 1))
    return corners[0], corners[1], size, side


def drop_colours(patches: Tensor, uniforms: Tensor, share: float) -> Tensor:
    """Leave one colour channel of a share of the patches and fill the other two with noise.

    Parameters
    ----------
    patches
        (N, 3, s, s) in 0..1.
    uniforms
        (N, 2 + 3 s^2) in [0, 1): whether, which channel stays, and the noise.
    share
        Of patches changed.
    """
    kept = integers(uniforms[:, 1], 0, 2)
    keep = F.one_hot(kept, 3).bool()[:, :, None, None]  # (N, 3, 1, 1)
    channel = patches[keep[..., 0, 0]]  # (N, s, s)
    mean, spread = (v[:, None] for v in (channel.mean((1, 2)), channel.std((1, 2), correction=0)))
    noise = mean + NOISE * spread * 12**0.5 * (uniforms[:, 2:] - 0.5)  # uniform, of unit variance
    dropped = torch.where(keep, patches, noise.view_as(patches))
    return torch.where((uniforms[:, 0] < share).view(-1, 1, 1, 1), dropped, patches)

"""Backbones by name: from images in 0..1 to feature vectors.

Try it: ``build_backbone("compact", channels=1, image_size=28, width=32).dim``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_models.distributed import GlobalBatchNorm
from weaklight.errors import ConfigError

__all__ = [
    "BACKBONES",
    "FIXED_WIDTHS",
    "Backbone",
    "ConvNet",
    "PatchBody",
    "build_backbone",
    "conv_block",
    "patch_body",
    "per_pixel",
    "register_backbone",
]

SMALL_SIDE = 64  # below this many pixels a stem that shrinks by four leaves nothing to see
TIMM = "timm:"
FIXED_WIDTHS = dict.fromkeys(("resnet18", "resnet34", "resnet50"), 64)  # those that cannot vary

Body = tuple[nn.Module, int]
Builder = Callable[..., Body]
BACKBONES: dict[str, Builder] = {}


def register_backbone(name: str) -> Callable[[Builder], Builder]:
    """Register ``build(channels, image_size, width) -> (module, dim)`` under ``name``."""

    def decorate(build: Builder) -> Builder:
        if name in BACKBONES:
            raise ConfigError(f"a backbone named {name!r} is registered already; pick another name")
        BACKBONES[name] = build
        return build

    return decorate


class Backbone(nn.Module):
    """Normalises pixels, runs a body and yields (B, dim) features.

    Attributes
    ----------
    dim
        Length of a feature vector.
    whitening
        What the body's features go through last: nothing while it is trained, `Whitening` in an
        encoder on disk.
    mirrored
        Whether, in evaluation mode, an image's features are the mean of its own and its mirror
        image's: a better estimate of the same thing where the two were taught to be alike, at twice
        the cost. True in an encoder on disk whose training flipped images.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, body: nn.Module, dim: int, channels: int) -> None:
        super().__init__()
        self.body, self.dim, self.channels = body, dim, channels
        # Not part of the weights: encoder.json holds them, one truth.
        self.register_buffer("mean", torch.zeros(channels, 1, 1), persistent=False)
        self.register_buffer("std", torch.ones(channels, 1, 1), persistent=False)
        self.whitening: nn.Module = nn.Identity()  # until training is over
        self.mirrored = False

    def set_normalisation(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Set the mean and standard deviation per channel of pixels in 0..1."""
        self.mean.copy_(torch.tensor(list(mean)).view_as(self.mean))
        self.std.copy_(torch.tensor(list(std)).view_as(self.std))

    def normalised(self, images: Tensor) -> Tensor:
        """Return what the body takes, from (B, C, H, W) float images in 0..1."""
        x = (images - self.mean).div_(self.std)
        return x.contiguous(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, dim) features of (B, C, H, W) float images in 0..1."""
        x = self.normalised(images)
        features: Tensor = self.body(x)
        if self.mirrored and not self.training:
            features = (features + self.body(x.flip(3))) / 2
        features = self.whitening(features)
        return features


class PatchBody(nn.Module, ABC):
    """A body that also says what it sees at each patch of an image, and takes patches away.

    Attributes
    ----------
    patch
        Side of a patch in pixels. An image has as many rows and columns of them as cover it.
    patch_dim
        Length of a patch token; the class vector may be longer.
    mask_dim
        Length of the learnt token that stands for a masked patch.
    n_branches
        How many branches stochastic depth can skip.
    """

    patch: int
    patch_dim: int
    mask_dim: int
    n_branches: int = 0

    @abstractmethod
    def tokens(
        self,
        images: Tensor,
        *,
        masked: Tensor | None = None,
        mask_token: Tensor | None = None,
        draws: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return class vectors (B, dim) and patch tokens (B, N, patch_dim), row by row.

        Parameters
        ----------
        images
            (B, C, H, W), normalised.
        masked, mask_token
            (B, N) bool and (mask_dim,): this stands for masked patches, whose pixels change
            nothing.
        draws
            (B, n_branches) uniforms in [0, 1) that decide which rows skip which branch; None
            skips nothing.
        """

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Return rows and columns of patches in an image."""
        return -(-height // self.patch), -(-width // self.patch)

    def padded(self, images: Tensor) -> Tensor:
        """Return the images, continued by their border to whole patches."""
        height, width = images.shape[-2:]
        down, right = -height % self.patch, -width % self.patch
        return F.pad(images, (0, right, 0, down), mode="replicate") if down or right else images


def patch_body(encoder: Backbone) -> PatchBody:
    """Return the encoder's body, which knows patches.

    Raises
    ------
    ConfigError
        If it is a network that does not: one of timm's.
    """
    if not isinstance(encoder.body, PatchBody):
        raise ConfigError(
            f"this method needs patch tokens, but the backbone is a {type(encoder.body).__name__}, "
            f"which has none; set backbone to one of {sorted(BACKBONES)}"
        )
    return encoder.body


class ConvNet(PatchBody, nn.Sequential):
    """Layers that end in a feature map and the two, pooling and flattening, that make it a vector.

    The places of the map are the patches. Masked ones are painted in one learnt colour before the
    first convolution: wherever the filters reach, nothing of their pixels comes through, and what
    lies around them still does. (SparK, arXiv:2301.03580, and ConvNeXt V2, arXiv:2301.00808, skip
    masked places in every layer instead and leave it to a decoder to fill them in.)

    Parameters
    ----------
    layers
        By name; the last two pool and flatten.
    channels, patch_dim
        Of the images and of the map.
    patch
        Pixels a place of the map: the product of the strides.
    """

    def __init__(
        self, layers: OrderedDict[str, nn.Module], *, channels: int, patch_dim: int, patch: int
    ) -> None:
        super().__init__(layers)
        self.mask_dim, self.patch_dim, self.patch = channels, patch_dim, patch

    def tokens(
        self,
        images: Tensor,
        *,
        masked: Tensor | None = None,
        mask_token: Tensor | None = None,
        draws: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the pooled map (B, dim) and its places (B, N, patch_dim)."""
        if masked is not None:
            assert mask_token is not None
            hidden = per_pixel(masked, self.patch, images.shape[-2], images.shape[-1])
            images = torch.where(hidden, mask_token.view(-1, 1, 1).to(images.dtype), images)
        *convolutions, pool, flatten = self.children()
        feature_map = images
        for layer in convolutions:
            feature_map = layer(feature_map)  # (B, P, h, w)
        return flatten(pool(feature_map)), feature_map.flatten(2).transpose(1, 2)


def per_pixel(masked: Tensor, patch: int, height: int, width: int) -> Tensor:
    """Return a mask of patches (B, N), row by row, as one of pixels (B, 1, height, width)."""
    square = masked.view(-1, 1, -(-height // patch), -(-width // patch)).float()
    return F.interpolate(square, scale_factor=patch)[..., :height, :width] > 0


def build_backbone(name: str, *, channels: int, image_size: int, width: int) -> Backbone:
    """Return a new backbone; its weights come from torch's global generator.

    Parameters
    ----------
    name
        A key of ``BACKBONES``, a transformer's with other parts
        (:func:`ssl_models.vit.build_variant`), or ``timm:NAME`` for any model of timm.
    channels
        1 for gray, 3 for RGB, any number for multi-channel images.
    image_size
        Shorter side in pixels; decides the stem.
    width
        Channels of the first stage; every stage doubles them. ``FIXED_WIDTHS`` names the only one
        that some take; timm's models have theirs in their name, and this is ignored.

    Raises
    ------
    ConfigError
        If the name is unknown or a number makes no sense.
    """
    if channels < 1 or image_size < 8 or width < 4:
        raise ConfigError(
            "channels must be at least 1, image_size at least 8 and width at least 4, but are "
            f"{channels}, {image_size} and {width}"
        )
    if name.startswith(TIMM):
        from ssl_models.timm_backbones import build_timm

        body, dim = build_timm(name.removeprefix(TIMM), channels, image_size)
    elif name in BACKBONES:
        body, dim = BACKBONES[name](channels, image_size, width)
    else:
        from ssl_models.vit import build_variant

        body, dim = build_variant(name, channels, image_size, width)
    return Backbone(body, dim, channels).to(memory_format=torch.channels_last)


def conv_block(n_in: int, n_out: int, stride: int = 1) -> nn.Sequential:
    """Return a 3 x 3 convolution with batch norm and ReLU.

    The ReLU writes elsewhere: in place it takes 1.7 ms where that takes 1.1 (9 MB in bfloat16 on a
    CPU core), a twentieth of a step at 96 px.
    """
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False),
        GlobalBatchNorm(n_out),
        nn.ReLU(),
    )


@register_backbone("compact")
def compact(channels: int, image_size: int, width: int) -> Body:
    """Return a plain stack of 3 x 3 convolutions for one or two CPU cores; dim = 16 * width.

    Each halves the image until about four pixels remain, one more looks at those, and the largest
    value in each quarter of the map is kept. Measured on 8,000 Fashion-MNIST images:
    residual blocks bought nothing, full-resolution maps cost most of a step, and averaging the map
    away lost two points of kNN accuracy against keeping its quarters.
    """
    halvings = max(1, int(math.log2(image_size / 3.5)))  # 28 -> 3, 64 -> 4, 224 -> 6
    widths = [width * min(4, 2 ** max(0, i - halvings + 3)) for i in range(halvings)]
    layers: list[nn.Module] = [
        conv_block(n_in, n_out, 2) for n_in, n_out in pairwise([channels, *widths])
    ]
    layers += [conv_block(widths[-1], widths[-1]), nn.AdaptiveMaxPool2d(2), nn.Flatten()]
    named = OrderedDict((str(number), layer) for number, layer in enumerate(layers))
    net = ConvNet(named, channels=channels, patch_dim=widths[-1], patch=2**halvings)
    return net, 4 * widths[-1]


def _resnet(name: str, channels: int, image_size: int, width: int) -> Body:
    """Return torchvision's ResNet ``name`` without its classifier.

    Below 64 px the stem is one 3 x 3 convolution without max-pool (SimCLR, appendix B.9): with
    the ImageNet stem SimCLR on CIFAR stops far below its published accuracy.
    """
    from torchvision.models import get_model

    if width != FIXED_WIDTHS[name]:
        raise ConfigError(
            f"{name} has width {FIXED_WIDTHS[name]}, but {width} was asked; take 'compact' for "
            "others"
        )
    net = get_model(name, norm_layer=GlobalBatchNorm)
    if image_size < SMALL_SIDE:
        net.conv1 = nn.Conv2d(channels, 64, 3, padding=1, bias=False)
        net.maxpool = nn.Identity()
    elif channels != 3:
        net.conv1 = nn.Conv2d(channels, 64, 7, 2, padding=3, bias=False)
    dim = net.fc.in_features  # 512; 2,048 of resnet50
    net.fc = nn.Flatten()  # its children, one after the other, are then its forward pass
    layers = OrderedDict(net.named_children())
    patch = 8 if image_size < SMALL_SIDE else 32
    return ConvNet(layers, channels=channels, patch_dim=dim, patch=patch), dim


for _name in FIXED_WIDTHS:
    register_backbone(_name)(partial(_resnet, _name))

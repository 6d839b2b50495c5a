from __future__ import annotations

import pytest
import torch

from ssl_models import BACKBONES, build_backbone
from weaklight.errors import ConfigError


@pytest.mark.parametrize("name", sorted(BACKBONES))
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [28, 64])
def test_shapes(name: str, channels: int, side: int) -> None:
    width = 64 if name == "resnet18" else 8
    backbone = build_backbone(name, channels=channels, image_size=side, width=width)
    out = backbone(torch.rand(2, channels, side, side))
    assert out.shape == (2, backbone.dim)


def test_small_images_get_a_stem_without_pooling() -> None:
    small = build_backbone("resnet18", channels=3, image_size=32, width=64).body
    large = build_backbone("resnet18", channels=3, image_size=96, width=64).body
    assert small.conv1.kernel_size == (3, 3) and small.conv1.stride == (1, 1)
    assert isinstance(small.maxpool, torch.nn.Identity)
    assert large.conv1.kernel_size == (7, 7)


def test_pixels_are_normalised_inside() -> None:
    backbone = build_backbone("compact", channels=3, image_size=16, width=8).eval()
    images = torch.rand(2, 3, 16, 16)
    plain = backbone((images - 0.4) / 0.2)
    backbone.set_normalisation([0.4] * 3, [0.2] * 3)
    torch.testing.assert_close(backbone(images), plain, atol=1e-5, rtol=1e-5)


def test_resnet18_is_torchvisions_by_name() -> None:
    from torchvision.models import resnet18

    ours = build_backbone("resnet18", channels=3, image_size=96, width=64).body.state_dict()
    theirs = {k: v for k, v in resnet18().state_dict().items() if not k.startswith("fc.")}
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}


@pytest.mark.parametrize(
    ("name", "channels", "side", "width"),
    [("vgg", 3, 32, 8), ("compact", 4, 32, 8), ("compact", 3, 4, 8), ("resnet18", 3, 32, 32)],
)
def test_wrong_settings_are_errors(name: str, channels: int, side: int, width: int) -> None:
    with pytest.raises(ConfigError):
        build_backbone(name, channels=channels, image_size=side, width=width)

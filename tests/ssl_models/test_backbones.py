from __future__ import annotations

import sys

import pytest
import torch

from ssl_models import BACKBONES, build_backbone
from ssl_models.backbones import FIXED_WIDTHS
from ssl_models.distributed import GlobalBatchNorm
from weaklight.errors import ConfigError


@pytest.mark.parametrize("name", sorted(BACKBONES))
@pytest.mark.parametrize(("channels", "side"), [(1, 28), (3, 64), (5, 28), (2, 64)])
def test_shapes(name: str, channels: int, side: int) -> None:
    width = FIXED_WIDTHS.get(name, 8)
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


@pytest.mark.parametrize(
    ("name", "dim"), [("resnet18", 512), ("resnet34", 512), ("resnet50", 2048)]
)
def test_resnets_are_torchvisions_by_name(name: str, dim: int) -> None:
    from torchvision.models import get_model

    ours = build_backbone(name, channels=3, image_size=96, width=64)
    theirs = {k: v for k, v in get_model(name).state_dict().items() if not k.startswith("fc.")}
    assert {k: v.shape for k, v in ours.body.state_dict().items()} == {
        k: v.shape for k, v in theirs.items()
    }
    assert ours.dim == dim


@pytest.mark.parametrize(
    ("name", "channels", "side", "width"),
    [("vgg", 3, 32, 8), ("compact", 0, 32, 8), ("compact", 3, 4, 8), ("resnet34", 3, 32, 32)],
)
def test_wrong_settings_are_errors(name: str, channels: int, side: int, width: int) -> None:
    with pytest.raises(ConfigError):
        build_backbone(name, channels=channels, image_size=side, width=width)


@pytest.mark.parametrize(
    ("name", "channels", "side"),
    [("resnet10t", 4, 32), ("vit_tiny_patch16_224", 1, 32), ("mobilenetv3_small_050", 3, 28)],
)
def test_any_model_of_timm(name: str, channels: int, side: int) -> None:
    pytest.importorskip("timm")
    backbone = build_backbone(f"timm:{name}", channels=channels, image_size=side, width=32)
    assert backbone(torch.rand(2, channels, side, side)).shape == (2, backbone.dim)
    assert backbone.training


def test_timm_models_join_their_processes_and_take_crops() -> None:
    pytest.importorskip("timm")
    resnet = build_backbone("timm:resnet10t", channels=3, image_size=32, width=32)
    assert any(isinstance(module, GlobalBatchNorm) for module in resnet.modules())
    vit = build_backbone("timm:vit_tiny_patch16_224", channels=3, image_size=64, width=32)
    assert vit(torch.rand(2, 3, 32, 48)).shape == (2, 192)


@pytest.mark.parametrize(
    ("name", "side", "says"),
    [
        ("resnet1t", 32, "resnet10t"),  # the nearest name
        ("vit_tiny_patch16_224", 28, "drop the last 12"),
        ("inception_v4", 32, "larger"),
    ],
)
def test_what_timm_cannot_do_is_said(name: str, side: int, says: str) -> None:
    pytest.importorskip("timm")
    with pytest.raises(ConfigError, match=says):
        build_backbone(f"timm:{name}", channels=3, image_size=side, width=32)


def test_without_timm_the_install_line_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match=r'pip install "weaklight\[timm\]"'):
        build_backbone("timm:resnet10t", channels=3, image_size=32, width=32)

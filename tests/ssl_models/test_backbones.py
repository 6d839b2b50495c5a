from __future__ import annotations

import sys

import pytest
import torch

from ssl_models import BACKBONES, build_backbone
from ssl_models.backbones import FIXED_WIDTHS, PatchBody, patch_body, per_pixel
from ssl_models.distributed import GlobalBatchNorm
from weaklight.errors import ConfigError


@pytest.mark.parametrize("name", sorted(BACKBONES))
@pytest.mark.parametrize(("channels", "side"), [(1, 28), (3, 64), (5, 28), (2, 64)])
def test_shapes(name: str, channels: int, side: int) -> None:
    width = FIXED_WIDTHS.get(name, 8)
    backbone = build_backbone(name, channels=channels, image_size=side, width=width)
    out = backbone(torch.rand(2, channels, side, side))
    assert out.shape == (2, backbone.dim)


@pytest.mark.parametrize("name", sorted(BACKBONES))
@pytest.mark.parametrize(("side", "height", "width"), [(32, 32, 32), (32, 16, 16), (28, 28, 23)])
def test_tokens_are_the_class_vector_and_a_grid_of_patches(
    name: str, side: int, height: int, width: int
) -> None:
    encoder = build_backbone(name, channels=3, image_size=side, width=FIXED_WIDTHS.get(name, 8))
    body = patch_body(encoder.eval())
    images = torch.rand(2, 3, height, width)
    vector, patches = body.tokens(images)
    rows, columns = body.grid(height, width)
    assert patches.shape == (2, rows * columns, body.patch_dim)
    assert rows == -(-height // body.patch) and columns == -(-width // body.patch)
    assert vector.shape == (2, encoder.dim) and torch.equal(vector, body(images))


def test_compact_pools_its_patch_tokens() -> None:
    """The largest value of each quarter of the 4 x 4 places, a channel at a time."""
    body = build_backbone("compact", channels=3, image_size=32, width=8).body.eval()
    vector, patches = body.tokens(torch.rand(2, 3, 32, 32))
    quarters = patches.view(2, 2, 2, 2, 2, 32).amax((2, 4))  # (B, rows, columns, P)
    assert torch.equal(vector, quarters.permute(0, 3, 1, 2).flatten(1))


def test_a_mask_of_pixels_by_hand() -> None:
    """2 x 2 patches of 4 px; the image ends within the right and the lower ones."""
    masked = torch.tensor([[False, True, False, False], [False, False, True, True]])
    pixels = per_pixel(masked, 4, 6, 7)
    expected = torch.zeros(2, 1, 6, 7, dtype=torch.bool)
    expected[0, :, :4, 4:] = True
    expected[1, :, 4:] = True
    assert torch.equal(pixels, expected)


@pytest.mark.parametrize("name", ["compact", "resnet18", "vit_tiny", "vit_compact"])
def test_nothing_of_a_masked_patch_comes_through(name: str) -> None:
    torch.manual_seed(0)
    encoder = build_backbone(name, channels=3, image_size=32, width=FIXED_WIDTHS.get(name, 8))
    body = encoder.body.eval()
    assert isinstance(body, PatchBody)
    rows, columns = body.grid(32, 32)
    masked = torch.zeros(2, rows * columns, dtype=torch.bool)
    masked[0, columns + 1] = True  # second row, second column of the first image
    changed = torch.rand(2, 3, 32, 32)
    images, place = changed.clone(), slice(body.patch, 2 * body.patch)
    changed[0, :, place, place] += 3
    tokens = torch.zeros(body.mask_dim), torch.ones(body.mask_dim)
    seen = [body.tokens(x, masked=masked, mask_token=t) for t in tokens for x in (images, changed)]
    for before, after in (seen[:2], seen[2:]):
        assert torch.equal(before[0], after[0]) and torch.equal(before[1], after[1])
    plain = body.tokens(images)
    assert not torch.allclose(plain[1][0], body.tokens(changed)[1][0])
    assert not torch.allclose(seen[0][1][0], seen[2][1][0])  # the mask token stands there
    torch.testing.assert_close(seen[0][1][1], plain[1][1])  # the other image has no mask


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
        ("resnet10tt", 32, "did you mean 'resnet10t'"),
        ("zz", 32, r"has no model 'zz'; timm.list_models\(\)"),
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

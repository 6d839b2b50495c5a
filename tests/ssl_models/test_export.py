from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from ssl_models import build_backbone, load_encoder, save_encoder
from ssl_models.export import FORMATS, export_backbone
from ssl_models.graphs import GRAPHS, Names
from ssl_models.public_weights import load_public_weights
from ssl_models.whitening import Whitening
from weaklight.errors import ArtifactError, ConfigError


def encoder(folder: Path, name: str, channels: int, height: int, width: int | None = None) -> Path:
    """Write an encoder whose every weight and statistic differs from its initial value."""
    sides = height, width or height
    backbone_width = 64 if name == "resnet18" else 8
    torch.manual_seed(0)
    backbone = build_backbone(name, channels=channels, image_size=min(sides), width=backbone_width)
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    backbone.set_normalisation([0.4] * channels, [0.2] * channels)
    images = torch.rand(16, channels, *sides)
    backbone(images)  # running statistics
    backbone.mirrored = True
    backbone.whitening = Whitening.fitted(backbone.eval()(images).detach())
    save_encoder(
        backbone,
        folder,
        {
            "backbone": name,
            "width": backbone_width,
            "image_size": sides,
            "channels": channels,
        },
    )
    return folder


@pytest.mark.parametrize("side", [32, 64])  # the stem of small images is another
def test_resnet_weights_load_into_torchvision_and_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: int
) -> None:
    folder = encoder(tmp_path / "encoder", "resnet18", 3, side)
    exported = export_backbone(folder, tmp_path / "resnet18.safetensors", "torchvision")
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "encoders.md").read_text()
    snippet = page.partition("With torchvision alone")[2].split("```python")[1].split("```")[0]
    names: dict[str, Any] = {}
    exec(compile(snippet, "encoders.md", "exec"), names)
    net, says = names["net"], names["says"]
    images = torch.rand(3, 3, side, side)
    x = (images - says["mean"][0]) / says["std"][0]
    features = net(x)
    assert says["mirrored"]
    features = (features + net(x.flip(3))) / 2
    white = load_file(tmp_path / says["whitening"])
    features = (features - white["mean"]) @ white["transform"]
    original = load_encoder(folder)
    torch.testing.assert_close(features, original(images), atol=1e-3, rtol=1e-3)
    again = build_backbone("resnet18", channels=3, image_size=side, width=64)
    load_public_weights(again, str(exported.path))
    assert all(
        torch.equal(a, b)
        for a, b in zip(
            again.body.state_dict().values(), original.body.state_dict().values(), strict=True
        )
    )


@pytest.fixture(scope="module")
def small_resnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encoder(tmp_path_factory.mktemp("small") / "encoder", "resnet18", 1, 28)


def test_the_small_stem_is_described(small_resnet: Path, tmp_path: Path) -> None:
    exported = export_backbone(small_resnet, tmp_path / "a.safetensors", "torchvision")
    says = json.loads(exported.description.read_text())
    assert says["conv1"]["in_channels"] == 1 and says["conv1"]["kernel_size"] == 3
    assert not says["maxpool"] and says["input"]["shape"] == ["batch", 1, 28, 28]


@pytest.mark.parametrize(("height", "width"), [(24, 24), (25, 40)])  # whole and cut patches
def test_our_transformer_loads_into_timm_and_back(tmp_path: Path, height: int, width: int) -> None:
    timm = pytest.importorskip("timm")
    folder = encoder(tmp_path / "encoder", "vit_tiny", 2, height, width)
    exported = export_backbone(folder, tmp_path / "vit.safetensors", "timm")
    says = json.loads(exported.description.read_text())
    net = timm.models.vision_transformer.VisionTransformer(**says["arguments"])
    net.load_state_dict(load_file(exported.path), strict=True)
    assert exported.largest_difference < 1e-4
    if height == width:
        again = build_backbone("vit_tiny", channels=2, image_size=height, width=8).eval()
        load_public_weights(again, str(exported.path))
        images = torch.rand(2, 2, height, width)
        torch.testing.assert_close(again.body(images), load_encoder(folder).body(images))


def test_a_convolutional_stem_has_no_names_in_timm(tmp_path: Path) -> None:
    folder = encoder(tmp_path / "encoder", "vit_compact", 1, 32)
    with pytest.raises(ConfigError, match="convolutional stem"):
        export_backbone(folder, tmp_path / "vit.safetensors", "timm")


def test_timm_backbones_keep_their_names(tmp_path: Path) -> None:
    pytest.importorskip("timm")
    folder = encoder(tmp_path / "encoder", "timm:mobilenetv3_small_050", 1, 32)
    exported = export_backbone(folder, tmp_path / "net.safetensors", "timm")
    says = json.loads(exported.description.read_text())
    assert says["model"] == "mobilenetv3_small_050" and says["arguments"]["in_chans"] == 1


def test_torch_export_needs_nothing_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = encoder(tmp_path / "encoder", "compact", 1, 16)
    exported = export_backbone(folder, tmp_path / "encoder.pt2", "torch_export")
    images = torch.rand(7, 1, 16, 16)
    expected = load_encoder(folder)(images)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "ssl_models", None)  # any import of it fails
        features = torch.export.load(exported.path).module()(images)
    torch.testing.assert_close(features, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "height", "width"),
    [("vit_tiny", 25, 25), ("compact", 40, 48)],  # 5 x 6 places: odd halves overlap
)
def test_onnx_runs_any_number_of_images(tmp_path: Path, name: str, height: int, width: int) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    folder = encoder(tmp_path / "encoder", name, 3, height, width)
    exported = export_backbone(folder, tmp_path / "encoder.onnx", "onnx")
    images = torch.rand(7, 3, height, width)
    session = onnxruntime.InferenceSession(exported.path, providers=["CPUExecutionProvider"])
    (features,) = session.run(["features"], {"images": images.numpy()})
    torch.testing.assert_close(
        torch.from_numpy(features), load_encoder(folder)(images), atol=1e-3, rtol=1e-3
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "encoder",
        "encoder.onnx",
        "encoder.onnx.json",
    ]


@pytest.mark.parametrize("wrong", [0.1, float("nan")])
def test_an_export_that_computes_something_else_is_not_written(
    small_resnet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: float
) -> None:
    kind = FORMATS["torchvision"]
    broken = dataclasses.replace(kind, run=lambda *given: kind.run(*given) + wrong)
    monkeypatch.setitem(FORMATS, "torchvision", broken)
    out = tmp_path / "net.safetensors"
    out.write_text("the one before")
    with pytest.raises(ArtifactError, match="not written"):
        export_backbone(small_resnet, out, "torchvision")
    assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]
    assert out.read_text() == "the one before"


def test_what_onnx_has_no_words_for_is_said(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    uneven = torch.nn.AdaptiveMaxPool2d(2).eval()
    with pytest.raises(ConfigError, match=r"adaptive_max_pool2d.*torch_export"):
        GRAPHS["onnx"].write(uneven, torch.rand(2, 3, 5, 5), Names("input", "out"), tmp_path / "a")


def test_wrong_wishes_are_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = encoder(tmp_path / "encoder", "compact", 1, 16)
    for format, name, says in (
        ("pickle", "a.pkl", "onnx"),
        ("onnx", "a.pt2", r"a\.onnx"),
        ("torchvision", "a.safetensors", "torch_export or onnx"),
        ("timm", "a.safetensors", "torch_export or onnx"),
    ):
        with pytest.raises(ConfigError, match=says):
            export_backbone(folder, tmp_path / name, format)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match=r'pip install "weaklight\[export\]"'):
        export_backbone(folder, tmp_path / "a.onnx", "onnx")
    assert [p.name for p in tmp_path.iterdir()] == ["encoder"]

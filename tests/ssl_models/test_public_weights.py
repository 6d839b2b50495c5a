from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from ssl_models import Backbone, TrainConfig, build_backbone, load_encoder, pretrain
from ssl_models.public_weights import adapt_convolution, load_public_weights, read_weights
from weaklight.errors import ConfigError, DataError, TrainingError


def resnet18(channels: int = 3, side: int = 64) -> Backbone:
    return build_backbone("resnet18", channels=channels, image_size=side, width=64).eval()


def torchvision_net(name: str = "resnet18") -> Any:
    from torchvision.models import get_model

    torch.manual_seed(1)
    net = get_model(name)
    net(torch.rand(4, 3, 64, 64))  # running statistics that are not the initial ones
    return net.eval()


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(torchvision_net().state_dict(), path)
    return path


def test_resnet18_computes_what_torchvision_computes(published: Path) -> None:
    net, images = torchvision_net(), torch.rand(3, 3, 64, 64)
    net.fc = torch.nn.Identity()
    backbone = resnet18()
    notes = load_public_weights(backbone, str(published))
    torch.testing.assert_close(backbone(images), net(images), atol=1e-4, rtol=1e-4)
    assert notes == ("left out the classifier: fc.weight, fc.bias",)


def test_gray_and_five_channels_answer_to_gray_as_rgb_does(published: Path) -> None:
    gray = torch.rand(2, 1, 64, 64)
    answers = []
    for channels in (1, 3, 5):
        backbone = resnet18(channels)
        notes = load_public_weights(backbone, str(published))
        assert len(notes) == (1 if channels == 3 else 2)
        answers.append(backbone(gray.expand(-1, channels, -1, -1)))
    torch.testing.assert_close(answers[0], answers[1], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(answers[2], answers[1], atol=1e-4, rtol=1e-4)


def test_first_convolution_by_hand() -> None:
    weight = torch.tensor([1.0, 2.0, 6.0]).view(1, 3, 1, 1)
    gray, said = adapt_convolution(weight, torch.Size([1, 1, 1, 1]))
    assert gray.flatten().tolist() == [9.0] and "summed" in said[0]
    two, _ = adapt_convolution(weight, torch.Size([1, 2, 1, 1]))
    assert two.flatten().tolist() == [4.5, 4.5]
    same, said = adapt_convolution(weight, weight.shape)
    assert same is weight and said == []


def test_the_small_stem_answers_as_the_large_one_does_to_the_image_doubled() -> None:
    weight = torch.randn(4, 3, 7, 7, generator=torch.Generator().manual_seed(0))
    weight[:, :, 0], weight[:, :, :, 0] = 0, 0  # the lone tap, which the fold has to move
    images = torch.rand(2, 3, 9, 9)
    doubled = images.repeat_interleave(2, 2).repeat_interleave(2, 3)
    folded, _ = adapt_convolution(weight, torch.Size([4, 3, 3, 3]))
    torch.testing.assert_close(
        F.conv2d(images, folded, padding=1),
        F.conv2d(doubled, weight, stride=2, padding=3),
        atol=1e-4,
        rtol=1e-4,
    )
    small = resnet18(channels=1, side=32)
    assert small.body.conv1.weight.shape == (64, 1, 3, 3)


def test_small_gray_resnet_starts_from_rgb_weights(published: Path) -> None:
    backbone = resnet18(channels=1, side=28)
    notes = load_public_weights(backbone, str(published))
    stored = torchvision_net().conv1.weight
    assert backbone.body.conv1.weight[0].sum().item() == pytest.approx(
        stored[0].sum().item(), rel=1e-4
    )
    assert [note.split(":")[0] for note in notes] == ["left out the classifier"] + 2 * [
        "conv1.weight"
    ]


def test_training_starts_from_them(published: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 16, 1), dtype=np.uint8)
    config = TrainConfig(
        backbone="resnet18", width=64, init=str(published), steps=1, batch_size=8, lr=1e-9
    )
    pretrain(pixels, config, tmp_path / "encoder", tmp_path / "scratch")
    trained = load_encoder(tmp_path / "encoder").body.layer4[1].conv2.weight
    stored = read_weights(str(published))["layer4.1.conv2.weight"]
    torch.testing.assert_close(trained, stored, atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", ["missing", "unexpected", "another shape"])
def test_weights_that_do_not_fit_are_refused(published: Path, tmp_path: Path, kind: str) -> None:
    tensors = read_weights(str(published))
    if kind == "missing":
        del tensors["layer1.0.conv1.weight"]
    elif kind == "unexpected":
        tensors["head.weight"] = torch.zeros(3, 512)  # a classifier, but not this model's
    else:
        tensors["layer4.1.bn2.bias"] = torch.zeros(7)
    save_file(tensors, tmp_path / "bad.safetensors")
    backbone = resnet18()
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    with pytest.raises(TrainingError, match=kind):
        load_public_weights(backbone, str(tmp_path / "bad.safetensors"))
    assert all(torch.equal(before[n], t) for n, t in backbone.state_dict().items())


def test_old_files_have_no_batch_counters(published: Path, tmp_path: Path) -> None:
    tensors = read_weights(str(published))
    old = {k: t for k, t in tensors.items() if not k.endswith("num_batches_tracked")}
    torch.save({"state_dict": old, "epoch": 90}, tmp_path / "old.pth")
    backbone = resnet18()
    load_public_weights(backbone, str(tmp_path / "old.pth"))
    assert torch.equal(backbone.body.bn1.weight, tensors["bn1.weight"])


def test_torchvisions_own_weights_come_through_its_cache(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    (cache / "resnet18-f37072fd.pth").write_bytes(published.read_bytes())
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    backbone = resnet18()
    load_public_weights(backbone, "torchvision:resnet18")
    assert torch.equal(backbone.body.bn1.weight, read_weights(str(published))["bn1.weight"])
    with pytest.raises(ConfigError, match="resnet18000"):
        read_weights("torchvision:resnet18000")


class _Runs:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return print, ("a file ran code",)


def test_files_are_data_and_run_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"x": _Runs()}, tmp_path / "bad.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    (tmp_path / "cut.safetensors").write_bytes(b"\x00")
    for name in ("bad.pth", "list.pth", "cut.safetensors"):
        with pytest.raises(DataError, match=name):
            read_weights(str(tmp_path / name))
    for name in ("missing.pth", "weights.npz"):
        with pytest.raises(ConfigError, match=name):
            read_weights(str(tmp_path / name))
    assert "ran code" not in capsys.readouterr().out


# timm -----------------------------------------------------------------------------------------


def save_timm(path: Path, name: str, **options: Any) -> Any:
    timm = pytest.importorskip("timm")
    torch.manual_seed(2)
    net = timm.create_model(name, **options).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    save_file(net.state_dict(), path)
    net.reset_classifier(0)
    return net


@pytest.mark.parametrize(
    "options",
    [
        {},  # no LayerScale
        {"init_values": 0.1},
        {"init_values": 0.1, "no_embed_class": True},
    ],
)
def test_our_transformer_computes_what_timms_computes(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    path = tmp_path / "vit.safetensors"
    net = save_timm(path, "vit_tiny_patch16_224", img_size=96, **options)
    backbone = build_backbone("vit_tiny", channels=3, image_size=96, width=32).eval()
    load_public_weights(backbone, str(path))
    images = torch.rand(2, 3, 96, 96)
    torch.testing.assert_close(backbone(images), net(images), atol=1e-4, rtol=1e-4)


def test_positions_are_interpolated_to_the_grid(tmp_path: Path) -> None:
    path = tmp_path / "vit.safetensors"
    net = save_timm(path, "vit_tiny_patch16_224", img_size=128, class_token=True)
    with torch.no_grad():
        net.pos_embed[:, 1:] = 0.5
    state = {**net.state_dict(), "pos_embed": net.pos_embed.detach()}
    save_file({name: t.contiguous() for name, t in state.items()}, path)
    for name in ("vit_tiny", "timm:vit_tiny_patch16_224"):
        backbone = build_backbone(name, channels=1, image_size=96, width=32)
        load_public_weights(backbone, str(path))
        body = backbone.body
        grid = body.position if name == "vit_tiny" else body.pos_embed[:, 1:]
        torch.testing.assert_close(grid, torch.full((1, 36, 192), 0.5))


def test_timm_backbones_take_their_own_weights(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    net = save_timm(path, "resnet10t", num_classes=7)
    backbone = build_backbone("timm:resnet10t", channels=3, image_size=32, width=32).eval()
    notes = load_public_weights(backbone, str(path))
    images = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(backbone(images), net(images), atol=1e-4, rtol=1e-4)
    assert notes == ("left out the classifier: fc.weight, fc.bias",)


def test_timms_own_weights_come_through_its_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("timm")
    constants = pytest.importorskip("huggingface_hub.constants")
    repo = tmp_path / "models--timm--resnet10t.c3_in1k"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text("0" * 40)
    (repo / "snapshots" / ("0" * 40)).mkdir(parents=True)
    net = save_timm(repo / "snapshots" / ("0" * 40) / "model.safetensors", "resnet10t")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    backbone = build_backbone("timm:resnet10t", channels=3, image_size=32, width=32)
    load_public_weights(backbone, "timm:resnet10t.c3_in1k")
    assert torch.equal(backbone.body.conv1[0].weight, net.conv1[0].weight)
    with pytest.raises(DataError, match="download"):
        read_weights("timm:resnet14t.c3_in1k")
    with pytest.raises(ConfigError, match=r"did you mean 'resnet10t\.c3_in1k'"):
        read_weights("timm:resnet10t.nothing")


def test_a_transformer_of_another_depth_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vit.safetensors"
    save_timm(path, "vit_tiny_patch16_224", img_size=96, depth=2)
    backbone = build_backbone("vit_tiny", channels=3, image_size=96, width=32)
    with pytest.raises(TrainingError, match=r"missing blocks\.10\..* and \d+ more"):
        load_public_weights(backbone, str(path))

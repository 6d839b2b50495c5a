from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from ssl_models import Backbone, build_backbone, embed
from ssl_models.evaluation import Task, layer_features, layer_sweep
from ssl_models.evaluation.layers import pool, stages
from weaklight.errors import ConfigError


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)


def build(name: str, width: int) -> Backbone:
    torch.manual_seed(0)
    return build_backbone(name, channels=3, image_size=16, width=width).eval()


def test_pool_by_hand() -> None:
    maps = torch.arange(16.0).view(1, 1, 4, 4)
    assert pool(maps, 4).tolist() == [[2.5, 4.5, 10.5, 12.5]]
    assert pool(maps, 3).tolist() == [[7.5]] and pool(maps, 0).tolist() == [[7.5]]
    assert pool(maps, 99).tolist() == [list(range(16))]
    tokens = torch.tensor([[[1.0], [2.0], [4.0]]])
    assert pool(tokens, 1).tolist() == [[1.0, 3.0]]


@pytest.mark.parametrize(
    ("name", "width", "shapes"),
    [
        # 16 channels of 8 x 8 places are averaged to 5 x 5, 32 of 4 x 4 stay
        ("compact", 8, {"layer0": 16 * 25, "layer1": 32 * 16, "layer2": 32 * 16, "output": 128}),
        (
            "resnet18",
            64,
            {"layer1": 64 * 4, "layer2": 128 * 4, "layer3": 256, "layer4": 512, "output": 512},
        ),
        ("vit_tiny", 8, {**{f"blocks.{i}": 2 * 48 for i in range(7)}, "output": 48}),
    ],
)
def test_every_backbone_has_its_layers(
    name: str, width: int, shapes: dict[str, int], pixels: np.ndarray
) -> None:
    encoder = build(name, width)
    features = layer_features(encoder, pixels, dim=512, batch_size=4)
    assert list(features) == list(shapes)
    assert {layer: f.shape for layer, f in features.items()} == {
        layer: (5, d) for layer, d in shapes.items()
    }
    np.testing.assert_array_equal(features["output"], embed(encoder, pixels, batch_size=4))
    assert not any(part._forward_hooks for part in encoder.modules())


def test_the_first_layer_and_the_last_block_by_hand(pixels: np.ndarray) -> None:
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    compact = build("compact", 8)
    with torch.no_grad():
        first = nn.functional.avg_pool2d(compact.body[0](images), 2).flatten(1)
    features = layer_features(compact, pixels, dim=256)
    np.testing.assert_allclose(features["layer0"], first, atol=1e-5)
    vit = build("vit_tiny", 8)
    features = layer_features(vit, pixels)
    with torch.no_grad():
        output = vit.body.norm(torch.from_numpy(features["blocks.6"][:, :48]))
    np.testing.assert_allclose(features["output"], output, atol=1e-4)


class FlatOutput(nn.Sequential):
    """A layer that keeps the images and an output that forgets them."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(1, 1, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        nn.init.ones_(self[0].weight)
        nn.init.zeros_(self[0].bias)


def test_the_sweep_finds_the_layer_that_knows() -> None:
    """The class is where the image is bright, which the mean over the image forgets."""
    generator = np.random.default_rng(0)
    labels = np.arange(120) % 2
    images = generator.integers(0, 100, (120, 8, 8, 1))
    images[labels == 0, :4] += 100
    images[labels == 1, 4:] += 100
    rows = images.astype(np.uint8)
    task = Task(rows[:60], labels[:60], rows[60:], labels[60:], 2)
    scores = layer_sweep(Backbone(FlatOutput(), 1, 1), task, k=5)
    assert list(scores) == ["layer0", "output"]
    assert scores["layer0"].linear.successes == scores["layer0"].knn.successes == 60
    assert scores["output"].linear.successes < 50 and scores["output"].linear.n == 60


def test_a_body_without_known_stages_is_named() -> None:
    with pytest.raises(ConfigError, match="Identity"):
        stages(nn.Identity())

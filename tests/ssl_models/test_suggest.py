from __future__ import annotations

import pytest

from ssl_models import suggest_settings
from weaklight.errors import ConfigError, DataError


def test_gray_silhouettes() -> None:
    config, reasons = suggest_settings(n=8000, size=28, channels=1)
    assert (config.epochs, config.batch_size, config.threads) == (20, 64, 1)
    assert config.augment.gray == 0 and config.augment.crop_scale[0] >= 0.5
    for word in ("epochs", "batch_size", "lr", "backbone", "augmentation"):
        assert any(reason.startswith(word) for reason in reasons)


@pytest.mark.parametrize(("size", "blur"), [(32, 0.0), (96, 0.5)])
def test_colour_images(size: int, blur: float) -> None:
    config, _ = suggest_settings(n=8000, size=size, channels=3)
    assert config.augment.blur == blur and config.augment.gray == 0.2


@pytest.mark.parametrize("n", [2, 3, 9, 100, 5_000_000])
def test_any_number_of_images_fits(n: int) -> None:
    config, _ = suggest_settings(n=n, size=28, channels=1)
    assert 2 <= config.batch_size <= n and 4 <= config.epochs <= 200


@pytest.mark.parametrize(("n", "batch_size"), [(8000, 64), (10_000, 128), (20_000, 256)])
def test_batches_grow_with_the_number_of_images(n: int, batch_size: int) -> None:
    assert suggest_settings(n=n, size=28, channels=1)[0].batch_size == batch_size


def test_few_images_make_one_batch_and_it_is_called_so() -> None:
    config, reasons = suggest_settings(n=40, size=28, channels=1)
    assert config.batch_size == 40
    assert "batch_size = 40: all images at once, as there are fewer than 64." in reasons


def test_a_method_brings_what_it_needs_and_says_so() -> None:
    config, reasons = suggest_settings(n=8000, size=32, channels=3, method="ibot")
    assert config.method == "ibot" and config.clip_grad == 3
    assert any(reason.startswith("clip_grad = 3.0: what ibot needs") for reason in reasons)


def test_a_transformer_learns_slower_and_says_so() -> None:
    given = {"n": 8000, "size": 32, "channels": 3, "method": "dino"}
    convolutions, _ = suggest_settings(**given, backbone="compact")
    transformer, reasons = suggest_settings(**given, backbone="vit_compact")
    assert (convolutions.lr, transformer.lr) == (3e-3, 5e-4)
    assert (convolutions.weight_decay_end, transformer.weight_decay_end) == (None, 0.4)
    assert transformer.backbone == "vit_compact"
    assert any(reason.startswith("lr = 0.0005: what dino needs") for reason in reasons)
    assert not any(reason.startswith("backbone") for reason in reasons)


def test_long_training_gets_a_wider_network_and_says_why() -> None:
    short, _ = suggest_settings(n=20_000, size=32, channels=3, steps=1000)
    long, reasons = suggest_settings(n=20_000, size=32, channels=3, steps=10_000)
    assert (short.steps, short.width, long.width) == (1000, 32, 48)
    assert any(reason.startswith("width = 48: 2,560,000 images") for reason in reasons)
    assert not any(reason.startswith("epochs") for reason in reasons)
    of_dino, _ = suggest_settings(n=20_000, size=32, channels=3, steps=10_000, method="dino")
    assert (of_dino.batch_size, of_dino.width) == (64, 32)  # a quarter as many images


@pytest.mark.parametrize(("backbone", "width"), [("resnet18", 64), ("timm:resnet10t", 32)])
def test_a_network_that_has_its_width_keeps_it(backbone: str, width: int) -> None:
    config, reasons = suggest_settings(
        n=20_000, size=32, channels=3, steps=10_000, backbone=backbone
    )
    assert config.width == width and not any(reason.startswith("width") for reason in reasons)


def test_one_image_no_channel_or_no_such_method_is_refused() -> None:
    with pytest.raises(DataError, match="at least 2"):
        suggest_settings(n=1, size=28, channels=1)
    with pytest.raises(DataError, match="channels"):
        suggest_settings(n=9, size=28, channels=0)
    with pytest.raises(ConfigError, match="simclr"):
        suggest_settings(n=9, size=28, channels=1, method="simcrl")

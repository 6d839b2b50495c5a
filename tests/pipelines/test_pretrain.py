from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.encoders import beyond_defaults, checked_options
from pipelines.fingerprints import starting_weights
from pipelines.pin import settings_digest
from pipelines.pixels import write_pixels
from pipelines.project import Project
from pipelines.sections import PretrainConfig
from pipelines.stages.base import Work
from pipelines.stages.pretrain import PretrainInputs, pretrain, training_settings
from ssl_models import METHODS, build_backbone
from ssl_models.audio import AudioCPC, suggest_audio
from ssl_models.methods import build_method, options_of
from weaklight.errors import ConfigError, DataError

SHAPE = (8000, 28, 28, 1)


@pytest.mark.parametrize("backbone", ["auto", "compact", "resnet18"])
def test_every_backbone_can_be_named_in_the_settings(backbone: str) -> None:
    settings, reasons = training_settings(PretrainConfig(backbone=backbone), SHAPE, 0)
    build_backbone(settings.backbone, channels=1, image_size=28, width=settings.width)
    assert reasons


def test_what_is_stated_wins_over_what_would_be_chosen() -> None:
    stated = PretrainConfig(
        steps=7,
        batch_size=32,
        learning_rate=0.5,
        width=40,
        accumulate=2,
        precision="fp32",
        options={"temperature": 1},
    )
    settings, reasons = training_settings(stated, SHAPE, 3)
    named = ("batch_size", "lr", "epochs", "width")
    assert not any(reason.startswith(named) for reason in reasons)
    assert (settings.steps, settings.batch_size, settings.lr, settings.seed) == (7, 32, 0.5, 3)
    assert (settings.width, settings.accumulate, settings.precision) == (40, 2, "fp32")
    assert settings.method_options == {"temperature": 1.0}


def test_options_that_hold_anyway_are_told_from_those_that_change_something() -> None:
    stated = {"temperature": 0.1, "n_prototypes": 256.0, "local_scale": [0.1, 0.4], "queue_size": 9}
    assert beyond_defaults("swav", stated) == {"queue_size": 9}
    assert beyond_defaults("auto", {"temperature": 0.2, "no_such": 1}) == {"no_such": 1}
    # what the clips decide is stated even where it is what the class has
    of_clips = {name: options_of(AudioCPC)[name].default for name in ("n_steps", "excerpt")}
    assert beyond_defaults("cpc", {"grid": 4, **of_clips}) == of_clips
    assert {*suggest_audio([np.zeros(8000, np.int16)], 8000)[0].method_options} == {*of_clips}


def test_a_method_s_options_are_checked_by_name_and_type() -> None:
    assert checked_options(
        "image", "dino", {"teacher_temperature": [0.02, 0.04], "n_small": 6}
    ) == {
        "teacher_temperature": (0.02, 0.04),
        "n_small": 6,
    }
    koleo = {"koleo_weight": 0.1, "mask_crops": 0.5, "momentum": 0.9}  # its own and its parents'
    assert checked_options("image", "dinov2", koleo) == koleo
    wrong = "temprature: simclr has no such option; did you mean 'temperature'"
    with pytest.raises(ConfigError, match=wrong):
        checked_options("image", "simclr", {"temprature": 0.1})
    with pytest.raises(ConfigError, match=r"valid number.*'hot'; simclr has 0.2"):
        training_settings(PretrainConfig(options={"temperature": "hot"}), SHAPE, 0)
    with pytest.raises(ConfigError, match="it takes none"):
        checked_options("image", "context_encoder", {"temperature": 0.1})
    assert checked_options("audio", "cpc", {"n_steps": 9}) == {"n_steps": 9}
    with pytest.raises(ConfigError, match=r"grid: cpc has no such option.*n_anchors"):
        checked_options("audio", "cpc", {"grid": 4})  # of the method for images
    with pytest.raises(ConfigError, match="it takes none"):
        checked_options("text", "word2vec", {"n_steps": 9})


def test_a_batch_larger_than_all_images_is_cut_and_told() -> None:
    settings, reasons = training_settings(PretrainConfig(batch_size=512), (300, 28, 28, 1), 0)
    assert settings.batch_size == 300
    assert "batch_size = 300: there are no more images, 512 is stated." in reasons
    _, reasons = training_settings(PretrainConfig(batch_size=300), (300, 28, 28, 1), 0)
    assert not any(reason.startswith("batch_size") for reason in reasons)


def test_a_network_of_one_width_is_given_no_reason_for_another() -> None:
    long = PretrainConfig(backbone="resnet18", steps=10**6)
    settings, reasons = training_settings(long, SHAPE, 0)
    assert settings.width == 64 and not any(reason.startswith("width") for reason in reasons)


def test_digits_are_not_mirrored_where_the_project_says_so() -> None:
    mirrored, reasons = training_settings(PretrainConfig(), SHAPE, 0)
    plain, others = training_settings(PretrainConfig(flip=False), SHAPE, 0)
    assert plain == replace(mirrored, augment=replace(mirrored.augment, flip=0.0)) != mirrored
    assert [reason for reason in reasons if reason not in others] == [
        reason for reason in reasons if reason.startswith("flip = True")
    ]


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_can_be_named_in_the_settings(method: str) -> None:
    settings, _ = training_settings(PretrainConfig(method=method), (64, 32, 32, 3), 0)
    encoder = build_backbone(settings.backbone, channels=3, image_size=32, width=settings.width)
    build_method(settings.method, encoder, settings.augment, settings.method_options)


def inputs(root: Path, n: int, split: str = "unlabeled") -> PretrainInputs:
    folder = root / "state" / "artifacts" / "ingest" / "d"
    folder.mkdir(parents=True)
    images = np.random.default_rng(0).integers(0, 256, (n, 16, 16, 1), dtype=np.uint8)
    write_pixels(images, folder / "pixels.json")
    pd.DataFrame({"split": [split] * n}).to_parquet(folder / "items.parquet")
    return PretrainInputs(folder / "items.parquet", folder / "pixels.json")


def work(root: Path) -> Work:
    for name in ("out", "scratch"):
        (root / name).mkdir()
    return Work(root / "out", root / "scratch", root / "cache", root, 0, ("a", "b"))


def test_two_devices_learn_what_one_learns(tmp_path: Path) -> None:
    given = inputs(tmp_path, 48)
    losses = []
    for devices in (1, 2):
        place = tmp_path / str(devices)
        place.mkdir()
        config = PretrainConfig(
            steps=3, batch_size=16, devices=devices, device="cpu", precision="fp32"
        )
        losses.append(pretrain(given, config, work(place)).metrics["final_loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)  # bf16 keeps eight bits: 1e-2 there


def test_without_unlabelled_images_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="split column"):
        pretrain(inputs(tmp_path, 20, "test"), PretrainConfig(steps=1), work(tmp_path))


def test_other_weights_to_start_from_train_anew(tmp_path: Path) -> None:
    settings = 'classes = ["a", "b"]\n[items]\nsource = "x"\n[pretrain]\ninit = "{}"\n'
    found = []
    for init, content in (("w.pth", b"1"), ("w.pth", b"2"), ("torchvision:resnet18", b"")):
        (tmp_path / "w.pth").write_bytes(content)
        (tmp_path / "weaklight.toml").write_text(settings.format(init))
        project = Project.open(tmp_path)
        found.append((starting_weights(project, {}), settings_digest(project)))
    assert found[0][0] != found[1][0] and found[0][1] != found[1][1]
    assert found[2][0] == {}

"""Resume is exact, settings decide the bytes, and what cannot go on says so."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ssl_models import AugmentConfig, TrainConfig, embed, load_encoder, pretrain
from ssl_models import trainer as trainer_module
from ssl_models.stopping import held_back
from weaklight.errors import ConfigError, DataError, TrainingError

CONFIG = TrainConfig(
    width=8,
    steps=10,
    batch_size=16,
    checkpoint_every=3,
    log_every=4,
    augment=AugmentConfig(gray=0.0, blur=0.5),
)


class KilledError(Exception):
    pass


def kill_at(step: int):
    def progress(done: int, total: int, message: str) -> None:
        if done == step:
            raise KilledError

    return progress


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """40 images: 2 batches an epoch and 8 left over, so that epochs end inside a run."""
    return np.random.default_rng(0).integers(0, 256, (40, 16, 16, 1), dtype=np.uint8)


@pytest.fixture(scope="module")
def undisturbed(pixels: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("undisturbed")
    pretrain(pixels, CONFIG, folder / "out", folder / "scratch")
    return digests(folder / "out")


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def test_outputs(pixels: np.ndarray, undisturbed: dict[str, str], tmp_path: Path) -> None:
    summary = pretrain(pixels, CONFIG, tmp_path / "out", tmp_path / "scratch")
    assert digests(tmp_path / "out") == undisturbed
    assert sorted(undisturbed) == [
        "encoder.json",
        "encoder.safetensors",
        "heads.safetensors",
        "history.json",
    ]
    history = json.loads((tmp_path / "out" / "history.json").read_text())
    assert [entry["step"] for entry in history["steps"]] == [4, 8, 10]
    assert summary["final_loss"] == history["steps"][-1]["loss"]
    assert summary["steps"] == 10 and isinstance(summary["verdict"], str)
    json.dumps(summary, allow_nan=False)
    encoder = load_encoder(tmp_path / "out")
    features = embed(encoder, pixels)
    assert features.shape == (40, summary["dim"]) and np.isfinite(features).all()
    assert encoder.mirrored


def test_features_are_mirrored_only_where_training_flipped(
    pixels: np.ndarray, tmp_path: Path
) -> None:
    augment = replace(CONFIG.augment, flip=0.0)
    pretrain(pixels, replace(CONFIG, steps=2, augment=augment), tmp_path / "out", tmp_path / "s")
    assert not load_encoder(tmp_path / "out").mirrored


@pytest.mark.parametrize("step", [1, 3, 5, 8, 10])
def test_killed_and_resumed_gives_the_same_bytes(
    pixels: np.ndarray, undisturbed: dict[str, str], tmp_path: Path, step: int
) -> None:
    with pytest.raises(KilledError):
        pretrain(pixels, CONFIG, tmp_path / "out", tmp_path / "scratch", kill_at(step))
    done: list[int] = []
    pretrain(
        pixels, CONFIG, tmp_path / "out", tmp_path / "scratch", lambda now, *_: done.append(now)
    )
    assert digests(tmp_path / "out") == undisturbed
    expected = step - step % 3 if step < 10 else 10  # the last step is always saved
    assert done == list(range(expected + 1, 11))


@pytest.fixture
def hears_ctrl_c() -> Iterator[None]:
    """A test run in the background ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("hears_ctrl_c")
def test_ctrl_c_ends_the_step_and_keeps_it(
    pixels: np.ndarray, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    config = replace(CONFIG, checkpoint_every=1000)

    def press(done: int, total: int, message: str) -> None:
        if done == 4:
            signal.raise_signal(signal.SIGINT)  # goes on to the end of what holds it back

    pretrain(pixels, config, tmp_path / "whole", tmp_path / "elsewhere")
    with pytest.raises(KeyboardInterrupt):
        pretrain(pixels, config, tmp_path / "out", tmp_path / "scratch", press)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert [p.name for p in (tmp_path / "scratch").iterdir()] == ["checkpoint-00000004"]
    done: list[int] = []
    pretrain(
        pixels, config, tmp_path / "out", tmp_path / "scratch", lambda now, *_: done.append(now)
    )
    assert done == [*range(5, 11)] and digests(tmp_path / "out") == digests(tmp_path / "whole")
    assert digests(tmp_path / "out") == undisturbed


@pytest.mark.usefixtures("hears_ctrl_c")
def test_a_second_ctrl_c_does_not_wait() -> None:
    with pytest.raises(KeyboardInterrupt), held_back(signal.SIGINT) as came:
        signal.raise_signal(signal.SIGINT)
        assert came == [signal.SIGINT]
        signal.raise_signal(signal.SIGINT)
        pytest.fail("the second was held back, too")


def test_sigkill_gives_the_same_bytes(
    pixels: np.ndarray, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    np.save(tmp_path / "pixels.npy", pixels)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG.as_dict()))
    script = (
        "import json, sys, time; import numpy as np; from pathlib import Path\n"
        "from ssl_models import TrainConfig, pretrain\n"
        "d = Path(sys.argv[1])\n"
        "c = TrainConfig.from_dict(json.loads((d/'config.json').read_text()))\n"
        "pretrain(np.load(d/'pixels.npy'), c, d/'out', d/'scratch', lambda *_: time.sleep(0.05))\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)])
    deadline = time.monotonic() + 60
    while not list((tmp_path / "scratch").glob("checkpoint-*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    pretrain(pixels, CONFIG, tmp_path / "out", tmp_path / "scratch")
    assert digests(tmp_path / "out") == undisturbed


def test_damaged_newest_checkpoint_falls_back_to_the_same_bytes(
    pixels: np.ndarray, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    with pytest.raises(KilledError):
        pretrain(pixels, CONFIG, tmp_path / "out", tmp_path / "scratch", kill_at(7))
    newest = tmp_path / "scratch" / "checkpoint-00000006" / "state.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    pretrain(pixels, CONFIG, tmp_path / "out", tmp_path / "scratch")
    assert digests(tmp_path / "out") == undisturbed


def test_nothing_global_is_seeded_and_nothing_global_matters(
    pixels: np.ndarray, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    torch.manual_seed(123)
    before = torch.get_rng_state()
    pretrain(pixels, CONFIG, tmp_path / "out", tmp_path / "scratch")
    assert torch.equal(before, torch.get_rng_state())
    assert digests(tmp_path / "out") == undisturbed


def test_another_seed_gives_another_encoder(
    pixels: np.ndarray, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    pretrain(pixels, replace(CONFIG, seed=1), tmp_path / "out", tmp_path / "scratch")
    name = "encoder.safetensors"
    assert digests(tmp_path / "out")[name] != undisturbed[name]


def test_each_epoch_sees_every_image_once(pixels: np.ndarray, tmp_path: Path) -> None:
    config = replace(CONFIG, batch_size=8, accumulate=2)
    trainer = trainer_module.ImageTrainer(pixels, config, tmp_path)
    rows = [trainer._indices(step) for step in range(5)]  # 5 batches of 8
    assert rows[0].shape == (2, 4)
    assert sorted(np.concatenate(rows).ravel()) == list(range(40))
    assert not np.array_equal(trainer._indices(5), rows[0])


@pytest.mark.parametrize("method", ["instance_discrimination", "mae", "mocov2", "pirl"])
def test_micro_batches_change_nothing(pixels: np.ndarray, tmp_path: Path, method: str) -> None:
    """Without batch norm and negatives from the batch: the draws, the sum and the step are left."""
    small = replace(CONFIG, method=method, backbone="vit_tiny", precision="fp32", steps=3)
    curves = []
    for accumulate in (1, 4):
        config = replace(small, accumulate=accumulate, log_every=1)
        trainer = trainer_module.ImageTrainer(pixels, config, tmp_path / str(accumulate))
        for _ in range(3):
            trainer.train_step()
        curves.append([entry["loss"] for entry in trainer.history])
    assert curves[1] == pytest.approx(curves[0], rel=1e-5)


def test_on_a_gpu_nothing_is_saved_unread(pixels: np.ndarray, tmp_path: Path) -> None:
    """There the loss is read where it is logged; a checkpoint in between must be sound, too."""
    trainer = trainer_module.ImageTrainer(pixels, CONFIG, tmp_path)
    trainer.device, trainer.loss_sum = torch.device("cuda"), torch.tensor(float("nan"))
    trainer._check_finite()  # neither is due
    trainer.step = CONFIG.checkpoint_every - 1
    with pytest.raises(TrainingError, match="step 2"):
        trainer._check_finite()


def test_nan_loss_names_the_step_and_keeps_the_last_checkpoint(
    pixels: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    original = trainer_module.mean_over_processes

    def poisoned(loss: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return original(loss) * (float("nan") if calls == 6 else 1.0)

    monkeypatch.setattr(trainer_module, "mean_over_processes", poisoned)
    with pytest.raises(TrainingError, match=r"step 5 of 10.*lower lr"):
        pretrain(pixels, CONFIG, tmp_path / "out", tmp_path / "scratch")
    assert json.loads((tmp_path / "scratch" / "failure.json").read_text())["step"] == 5
    assert [p.name for p in tmp_path.glob("scratch/checkpoint-*")] == ["checkpoint-00000003"]
    assert not (tmp_path / "out").exists()


def test_scratch_of_another_run_is_refused(pixels: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        pretrain(pixels, CONFIG, tmp_path / "out", tmp_path / "scratch", kill_at(4))
    with pytest.raises(TrainingError, match="other settings or images"):
        pretrain(pixels, replace(CONFIG, lr=1e-4), tmp_path / "out", tmp_path / "scratch")
    with pytest.raises(TrainingError, match="other settings or images"):
        pretrain(255 - pixels, CONFIG, tmp_path / "out", tmp_path / "scratch")


def test_colour_images_and_resnet18(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (8, 16, 20, 3), dtype=np.uint8)
    config = TrainConfig(backbone="resnet18", width=64, steps=1, batch_size=4)
    summary = pretrain(images, config, tmp_path / "out", tmp_path / "scratch")
    assert summary["dim"] == 512
    description = json.loads((tmp_path / "out" / "encoder.json").read_text())
    assert description["image_size"] == [16, 20] and len(description["mean"]) == 3


def test_fewer_images_than_a_batch_and_constant_images(tmp_path: Path) -> None:
    images = np.zeros((6, 16, 16, 1), np.uint8)
    summary = pretrain(images, CONFIG, tmp_path / "out", tmp_path / "scratch")
    assert summary["verdict"].startswith("Collapsed")


@pytest.mark.parametrize(
    ("images", "error"),
    [
        (np.zeros((1, 16, 16, 1), np.uint8), ConfigError),
        (np.zeros((4, 16, 16), np.uint8), DataError),
        (np.zeros((4, 16, 16, 1), np.float32), DataError),
    ],
)
def test_images_that_cannot_be_trained_on(images: np.ndarray, error: type, tmp_path: Path) -> None:
    with pytest.raises(error):
        pretrain(images, CONFIG, tmp_path / "out", tmp_path / "scratch")


def test_batch_must_share_out(pixels: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="divide"):
        pretrain(pixels, replace(CONFIG, accumulate=3), tmp_path / "out", tmp_path / "scratch")


def test_config_survives_json_and_refuses_unknown_keys() -> None:
    config = TrainConfig(method_options={"temperature": 0.3}, augment=AugmentConfig(blur=0.4))
    assert TrainConfig.from_dict(json.loads(json.dumps(config.as_dict()))) == config
    with pytest.raises(ConfigError, match="learning_rate"):
        TrainConfig.from_dict({"learning_rate": 1})
    with pytest.raises(ConfigError, match="precision"):
        TrainConfig(precision="fp8")


def test_bytes_do_not_depend_on_the_number_of_cores(
    pixels: np.ndarray, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3 - min(before, 2))
    try:
        ambient = torch.get_num_threads()
        pretrain(pixels, CONFIG, tmp_path / "out", tmp_path / "scratch")
        assert torch.get_num_threads() == ambient
    finally:
        torch.set_num_threads(before)
    assert digests(tmp_path / "out") == undisturbed


def test_each_gradient_is_shortened_by_itself() -> None:
    long, short = torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(3, 2))
    long.grad, short.grad = torch.tensor([3.0, 4.0]), torch.full((3, 2), 0.5)
    trainer_module._clip_each([long, short, torch.nn.Parameter(torch.zeros(1))], 2.0)
    torch.testing.assert_close(long.grad, torch.tensor([1.2, 1.6]))
    assert torch.equal(short.grad, torch.full((3, 2), 0.5))


def test_weight_decay_moves_along_a_cosine(pixels: np.ndarray, tmp_path: Path) -> None:
    config = replace(CONFIG, steps=4, weight_decay=0.04, weight_decay_end=0.4)
    trainer = trainer_module.ImageTrainer(pixels, config, tmp_path)
    seen = []
    for _ in range(4):
        trainer.train_step()
        decayed, free = trainer.optimiser.param_groups
        seen.append(decayed["weight_decay"])
        assert free["weight_decay"] == 0
    assert seen[::2] == pytest.approx([0.04, 0.22]) and sorted(seen) == seen


def test_parts_of_images_too_small_for_a_foreign_network_are_told(tmp_path: Path) -> None:
    """ConvNeXt shrinks by 32 without a border: small crops of 16 px leave it nothing."""
    pytest.importorskip("timm")
    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    config = TrainConfig(method="dino", backbone="timm:convnext_atto", batch_size=4, steps=1)
    with pytest.raises(ConfigError, match=r"dino shows .* parts .*convnext_atto .*of 32 px"):
        pretrain(images, config, tmp_path / "out", tmp_path / "scratch")

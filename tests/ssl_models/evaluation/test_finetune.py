from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ssl_models import Augment, AugmentConfig, Backbone, build_backbone, embed
from ssl_models.evaluation import FinetuneConfig, Finetuned, finetune, linear_probe
from weaklight.errors import ConfigError, DataError, TrainingError

CONFIG = FinetuneConfig(epochs=2, batch_size=16, encoder_lr=3e-3, head_lr=3e-2, checkpoint_every=2)


class KilledError(Exception):
    pass


def stripes(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Horizontal or vertical stripes of one pixel, light first or dark first, under noise."""
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    wave = (np.arange(16)[None] + generator.integers(0, 2, (n, 1))) % 2  # (n, 16)
    rows = np.broadcast_to(wave[:, :, None], (n, 16, 16))
    flat = np.where(labels[:, None, None], rows, rows.swapaxes(1, 2))
    return (40 + 60 * flat + generator.integers(0, 100, flat.shape))[..., None].astype(
        np.uint8
    ), labels


def blind_encoder() -> Backbone:
    """An encoder whose first layer only averages: stripes of either kind look the same to it."""
    torch.manual_seed(0)
    encoder = build_backbone("compact", channels=1, image_size=16, width=8)
    with torch.no_grad():
        encoder.body[0][0].weight.fill_(1 / 9)
    return encoder.eval()


def state(tuned: Finetuned) -> list[bytes]:
    tensors = {**tuned.encoder.state_dict(), **tuned.head.state_dict()}
    return [tensor.numpy().tobytes() for tensor in tensors.values()]


def test_it_learns_what_the_frozen_features_lack() -> None:
    (train, labels), (test, gold) = stripes(128, 0), stripes(200, 1)
    encoder = blind_encoder()
    before = embed(encoder, test).tobytes()
    probe = linear_probe(embed(encoder, train), labels, embed(encoder, test), 2)
    tuned = finetune(
        encoder, train, labels, 2, config=replace(CONFIG, epochs=6), valid=(test[:50], gold[:50])
    )
    frozen = (probe.proba.argmax(1) == gold).mean()
    proba = tuned.predict_proba(test)
    assert frozen < 0.8 and (proba.argmax(1) == gold).mean() > frozen + 0.15
    np.testing.assert_allclose(proba.sum(1), 1, atol=1e-5)
    assert embed(encoder, test).tobytes() == before  # the encoder handed in stays as it is
    assert len(tuned.losses) == len(tuned.validation) == 6
    assert tuned.losses[-1] < tuned.losses[0] and tuned.validation[-1].n == 50
    assert tuned.validation[-1].successes == (proba[:50].argmax(1) == gold[:50]).sum()


def test_the_first_loss_is_that_of_no_knowledge() -> None:
    pixels, labels = stripes(32, 0)
    messages: list[str] = []
    finetune(
        blind_encoder(),
        pixels,
        labels,
        2,
        config=CONFIG,
        progress=lambda done, total, message: messages.append(f"{done}/{total} {message}"),
    )
    assert messages[0] == "1/4 loss 0.693"  # ln 2: the head starts at zero


def test_seed_decides_the_bytes_and_one_hot_rows_are_hard_labels() -> None:
    pixels, labels = stripes(40, 0)
    augment = Augment(AugmentConfig(flip=0.5, blur=0.5))

    def run(targets: np.ndarray, **changes: object) -> list[bytes]:
        config = replace(CONFIG, **changes)
        return state(finetune(blind_encoder(), pixels, targets, 3, augment=augment, config=config))

    before = torch.get_rng_state()
    hard = run(labels)
    assert run(np.eye(3)[labels]) == hard
    assert run(labels, seed=1) != hard
    assert torch.equal(torch.get_rng_state(), before)


def test_items_of_weight_0_are_left_out_and_only_ratios_matter() -> None:
    pixels, labels = stripes(40, 0)
    weights = np.where(np.arange(40) < 32, 1.0, 0.0)
    poisoned = pixels.copy()
    poisoned[32:] = 255 - poisoned[32:]
    runs = [
        state(finetune(blind_encoder(), rows, labels, 2, weights=w, config=CONFIG))
        for rows, w in ((pixels, weights), (poisoned, 5 * weights))
    ]
    assert runs[0] == runs[1]


@pytest.mark.parametrize("step", [1, 4, 5])
def test_killed_and_resumed_gives_the_same_bytes(step: int, tmp_path: Path) -> None:
    pixels, labels = stripes(40, 0)
    augment = Augment(AugmentConfig())

    def run(progress: object = None, scratch: Path | None = tmp_path) -> Finetuned:
        return finetune(
            blind_encoder(),
            pixels,
            labels,
            2,
            augment=augment,
            config=replace(CONFIG, epochs=3),
            valid=(pixels[:8], labels[:8]),
            scratch=scratch,
            progress=progress,
        )

    def kill(done: int, total: int, message: str) -> None:
        if done == step:
            raise KilledError

    with pytest.raises(KilledError):
        run(kill)
    steps: list[int] = []
    resumed = run(lambda done, *_: steps.append(done))
    undisturbed = run(scratch=None)
    assert steps[0] == step - step % 2 + 1 and steps[-1] == 6
    assert state(resumed) == state(undisturbed)
    assert resumed.losses == undisturbed.losses and resumed.validation == undisturbed.validation
    with pytest.raises(TrainingError, match="other settings"):
        finetune(blind_encoder(), pixels, 1 - labels, 2, config=CONFIG, scratch=tmp_path)


def test_wrong_input_is_named() -> None:
    pixels, labels = stripes(8, 0)
    encoder = blind_encoder()
    with pytest.raises(DataError, match="abstains"):
        finetune(encoder, pixels, labels - 1, 2)
    with pytest.raises(DataError, match="sum to 1"):
        finetune(encoder, pixels, np.full((8, 2), 0.7), 2)
    with pytest.raises(DataError, match="one row of targets"):
        finetune(encoder, pixels, np.eye(2), 2)
    with pytest.raises(DataError, match="two images"):
        finetune(encoder, pixels, labels, 2, weights=np.eye(8)[0])
    with pytest.raises(DataError, match="not negative"):
        finetune(encoder, pixels, labels, 2, weights=-np.ones(8))
    with pytest.raises(DataError, match="one label a row"):
        finetune(encoder, pixels, labels, 2, valid=(pixels, labels[:3]))
    with pytest.raises(ConfigError, match="linear_probe"):
        FinetuneConfig(encoder_lr=0)

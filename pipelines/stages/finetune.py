"""Fine-tuning as ``[train] head = "finetune"`` asks: encoder and head learn from pixels.

The library rooms do not know one another: here an encoder of :mod:`ssl_models` and its views are
handed to the training loop of :mod:`weak_supervision`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipelines.epoch_store import EpochStore
from pipelines.pixels import Pixels
from pipelines.sections import TrainConfig
from ssl_models import load_encoder, save_encoder, suggest_settings
from ssl_models.augment import Augment, AugmentConfig
from ssl_models.backbones import Backbone
from ssl_models.embed import embed
from ssl_models.hardware import (
    autocast,
    cpu_threads,
    keep_freed_memory,
    resolve_device,
    resolve_precision,
)
from weak_supervision.classifiers import LinearHead, balanced_weights
from weak_supervision.hybrid.fixmatch import FixMatch
from weak_supervision.noise.robust_head import noise_for
from weak_supervision.noise.robust_training import Stateful, TrainingConfig, train_robustly
from weak_supervision.noise.strategies import STRATEGIES
from weaklight.seeds import derive_seed, numpy_generator

__all__ = ["Labelled", "finetune"]

EPOCHS, BATCH_SIZE, PREDICT_BATCH = 10, 64, 256
# The encoder starts from something worth keeping. At 0.1, 0.3 and 1 of the head's rate: 0.702,
# 0.713, 0.715 with 16,000 labelled CIFAR-10 images, 0.596, 0.598, 0.579 with 1,000 (SimCLR, ten
# epochs, 4,000 other training images).
HEAD_LR, ENCODER_SHARE = 3e-3, 0.3
THREADS = 1  # as in pretraining: other programs on the machine do not stall it


@dataclass(frozen=True)
class Labelled:
    """What is learnt from, row-aligned with the images.

    Attributes
    ----------
    features
        (n, d) float32 of the encoder as it is; finite where there is weight.
    targets, weights
        (n, K) float32 and (n,) float32; 0 leaves a row out.
    by_hand
        (n,) bool: the rows whose labels people gave.
    unlabelled
        (n,) bool: the rows whose views must agree where ``consistency`` is on.
    dev, calibrators
        Rows (n_dev,) and their class ids (n_dev,), or None: to stop by, and to set the temperature.
    """

    features: NDArray[np.float32]
    targets: NDArray[np.float32]
    weights: NDArray[np.float32]
    by_hand: NDArray[np.bool_]
    unlabelled: NDArray[np.bool_]
    dev: tuple[NDArray[np.intp], NDArray[np.integer]] | None
    calibrators: tuple[NDArray[np.intp], NDArray[np.integer]] | None


class _Tunable(nn.Module):
    """An encoder under the layer of a linear probe; takes uint8 images, or views in 0..1.

    The encoder runs in bfloat16 where the device multiplies it.
    """

    def __init__(self, encoder: Backbone, probe: LinearHead, device: torch.device) -> None:
        super().__init__()
        self.device, self.precision = device, resolve_precision("auto", device)
        self.encoder = deepcopy(encoder).requires_grad_(True)
        head = LinearHead.from_layer(*probe.layer(), probe.class_prior_, probe.classes_)
        (layer,) = head.networks()
        assert isinstance(layer, nn.Linear)
        self.layer = layer
        self.to(device)

    def forward(self, images: Tensor) -> Tensor:
        pixels = images.float().div(255) if images.dtype == torch.uint8 else images
        with autocast(self.device, self.precision):
            features = self.encoder(pixels)
        logits: Tensor = self.layer(features.float())
        return logits


@cpu_threads(THREADS)
def finetune(
    folder: Path,
    pixels: Pixels,
    labelled: Labelled,
    config: TrainConfig,
    *,
    classes: tuple[str, ...],
    seed: int,
    out: Path,
    scratch: Path,
) -> tuple[LinearHead, NDArray[np.float32]]:
    """Train a copy of the encoder in ``folder`` with its head and write the encoder to ``out``.

    Parameters
    ----------
    scratch
        Survives a kill: training goes on after the last whole epoch that was kept there.

    Returns
    -------
    The head, calibrated where there is gold, and the tuned encoder's features (n, d) of all images.

    Raises
    ------
    ConfigError, TrainingError
        As `train_robustly`.

    Notes
    -----
    The head starts as a linear probe on the encoder's features: a random one would push good
    features about before it has learnt what they say (Kumar et al. 2022, arXiv:2202.10054). Of two
    networks each starts from the probe of one half of the rows, as equal networks would stay equal;
    the first is kept.
    """
    encoder = load_encoder(folder)
    rows = np.flatnonzero(labelled.weights > 0)
    x, y = labelled.features[rows], labelled.targets[rows]
    w = labelled.weights[rows].astype(np.float64)
    trusted = labelled.by_hand[rows]
    device = resolve_device(config.device)
    n_networks = STRATEGIES[config.strategy].n_networks
    order = numpy_generator(seed, "finetune", "halves").permutation(len(rows))
    probes = [
        LinearHead(l2=config.l2, balance=config.balance).fit(
            x[part], y[part], w[part], classes=classes
        )
        for part in np.array_split(order, n_networks)
    ]
    keep_freed_memory()
    networks = [_Tunable(encoder, probe, device) for probe in probes]
    flips = 0.5 if encoder.mirrored else 0.0  # as its training did: a mirrored 3 is no 3
    weak = _Views(_mild(flips), seed, "weak")
    stateful: dict[str, Stateful] = {"weak views": weak}
    consistency = None
    if config.consistency:
        strong = _Views(_strong(pixels, flips), seed, "strong")
        consistency = _consistency(pixels, labelled, weak, strong, config, seed)
        stateful |= {"strong views": strong, "consistency": consistency}
    trained = train_robustly(
        networks,
        _tensor(pixels, rows),
        torch.from_numpy(y),
        torch.from_numpy(
            (balanced_weights(y, w) if config.balance == "classes" else w).astype(np.float32)
        ),
        strategy=config.strategy,
        noise=noise_for(config.strategy, x[~trusted], y[~trusted], config.noise_rate, seed),
        trusted=torch.from_numpy(trusted),
        config=TrainingConfig(
            epochs=config.epochs or EPOCHS,
            batch_size=config.batch_size or BATCH_SIZE,
            lr=config.learning_rate or HEAD_LR,
            mixup=config.mixup,
            ema=config.ema,
            patience=config.patience,
            predict_batch=PREDICT_BATCH,
            seed=seed,
        ),
        augment=weak,
        dev=_dev(pixels, labelled),
        also=consistency,
        groups=_groups(config.learning_rate or HEAD_LR),
        checkpoints=EpochStore(scratch / "finetune"),
        stateful=stateful,
    )
    kept = trained[0].to("cpu")
    assert isinstance(kept, _Tunable)
    out.mkdir(parents=True)
    save_encoder(kept.encoder, out, json.loads((folder / "encoder.json").read_bytes()))
    features = embed(load_encoder(out), pixels, device=config.device)
    head = LinearHead.from_layer(
        kept.layer.weight.detach().numpy().T.copy(),
        kept.layer.bias.detach().numpy(),
        np.average(y, axis=0, weights=w).astype(np.float32),
        classes,
    )
    if labelled.calibrators is not None:
        known, labels = labelled.calibrators
        head.calibrate(features[known], labels)
    return head, features


def _tensor(pixels: Pixels, rows: NDArray[np.intp]) -> Tensor:
    return torch.from_numpy(pixels[rows]).permute(0, 3, 1, 2)  # (n, H, W, C) -> (n, C, H, W)


def _dev(pixels: Pixels, labelled: Labelled) -> tuple[Tensor, Tensor] | None:
    if labelled.dev is None:
        return None
    return _tensor(pixels, labelled.dev[0]), torch.tensor(labelled.dev[1])


def _mild(flip: float) -> AugmentConfig:
    """Return FixMatch's weak view: flips, and crops that move the image a little."""
    return replace(
        AugmentConfig.identity(),
        flip=flip,
        crop_scale=(0.6, 1.0),
        crop_ratio=(3 / 4, 4 / 3),
    )


def _strong(pixels: Pixels, flip: float) -> AugmentConfig:
    """Return an SSL method's own augmentation for these images."""
    n, height, width, channels = pixels.shape
    suggested, _ = suggest_settings(n=n, size=min(height, width), channels=channels)
    return replace(suggested.augment, flip=flip)


class _Views:
    """Random views, the next ones at each call."""

    def __init__(self, config: AugmentConfig, seed: int, name: str) -> None:
        self._augment = Augment(config)
        self._generator = torch.Generator().manual_seed(derive_seed(seed, "finetune", name))

    def __call__(self, images: Tensor) -> Tensor:
        return self._augment(images, generator=self._generator)

    def state_dict(self) -> dict[str, Any]:
        return {"generator": self._generator.get_state()}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        self._generator.set_state(state["generator"])


def _consistency(
    pixels: Pixels,
    labelled: Labelled,
    weak: _Views,
    strong: _Views,
    config: TrainConfig,
    seed: int,
) -> FixMatch:
    return FixMatch(
        _tensor(pixels, np.flatnonzero(labelled.unlabelled)),
        weak,
        strong,
        batch_size=config.batch_size or BATCH_SIZE,
        seed=seed,
    )


def _groups(head_lr: float) -> Callable[[nn.Module], list[dict[str, Any]]]:
    def of(network: nn.Module) -> list[dict[str, Any]]:
        assert isinstance(network, _Tunable)
        return [
            {"params": list(network.encoder.parameters()), "lr": ENCODER_SHARE * head_lr},
            {"params": list(network.layer.parameters()), "lr": head_lr},
        ]

    return of

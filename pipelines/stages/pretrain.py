"""Pretrain: learn an encoder from the unlabelled items of the pinned snapshot.

Try it: ``weaklight pretrain``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.encoders import checked_options, choose_method, fit_encoder, stated_settings
from pipelines.payload import load_payload
from pipelines.pixels import Pixels
from pipelines.sections import PretrainConfig
from pipelines.stages.base import StageResult, Work
from pipelines.store import digest_json
from ssl_models import LaunchSpec, TrainConfig, launch, suggest_settings
from ssl_models import pretrain as train_encoder
from weaklight.errors import DataError

__all__ = ["PretrainInputs", "pretrain"]

_MIN_ITEMS = 8


@dataclass(frozen=True)
class PretrainInputs:
    """Upstream files of the stage."""

    items: Path
    pixels: Path | None = None
    signals: Path | None = None


def pretrain(inputs: PretrainInputs, config: PretrainConfig, work: Work) -> StageResult:
    """Train on the unlabelled items alone; dev and test items stay unseen.

    Training of images and of CPC goes on from its checkpoint after a kill; several devices run
    under ``torchrun``. What takes seconds starts again: word2vec, TF-IDF, scales.

    Raises
    ------
    DataError
        If there are too few unlabelled items.
    ConfigError
        If the method does not suit this kind of items.
    TrainingError
        If the loss stops being finite; the checkpoints stay for a look.
    """
    split = pd.read_parquet(inputs.items, columns=["split"])["split"]
    rows = np.flatnonzero(split == "unlabeled")
    payload = load_payload(inputs.items, inputs.pixels, inputs.signals)
    if len(rows) < _MIN_ITEMS:
        raise DataError(
            f"pretraining needs at least {_MIN_ITEMS} unlabelled items, but there are "
            f"{len(rows)}; check the split column of [items]"
        )
    out = work.out / "encoder"
    out.mkdir()
    if isinstance(payload, Pixels):
        summary, reasons = _train_on_images(payload[rows], config, work, out)
        metrics = {"n_images": len(rows), **summary}
    else:
        summary, reasons = fit_encoder(payload, rows, config, work, out)
        metrics = {"n_items": len(rows), **summary}
    return StageResult(
        outputs={"encoder": "encoder"},
        metrics=metrics,
        notes=(*reasons, str(summary["verdict"])),
    )


def _train_on_images(
    images: NDArray[np.uint8], config: PretrainConfig, work: Work, out: Path
) -> tuple[dict[str, Any], list[str]]:
    settings, reasons = training_settings(config, images.shape, work.seed)
    # Another device or checkpoint interval starts afresh; the same settings go on.
    scratch = work.scratch / digest_json(settings.as_dict())
    scratch.mkdir(exist_ok=True)
    file = config.init_file(work.project_root)
    located = replace(settings, init=config.init if file is None else str(file))
    if config.devices > 1:
        np.save(scratch / "pixels.npy", images)
        spec = LaunchSpec(scratch / "pixels.npy", located, out, scratch)
        summary = launch(spec, config.devices, progress=work.progress)
    else:
        summary = train_encoder(images, located, out, scratch, progress=work.progress)
    (out / "settings.json").write_text(
        json.dumps({"settings": _portable(settings), "reasons": reasons}, indent=1) + "\n",
        encoding="utf-8",
    )
    return summary, reasons


def training_settings(
    config: PretrainConfig, shape: tuple[int, ...], seed: int
) -> tuple[TrainConfig, list[str]]:
    """Return the settings: what ``[pretrain]`` states, and for the rest what suits the data.

    Parameters
    ----------
    shape
        (n, H, W, C) of the training images.

    Returns
    -------
    The settings, and one sentence for each value that was chosen.

    Raises
    ------
    ConfigError
        If the method is none for images, or does not take its options.
    """
    n, height, width, channels = shape
    method = choose_method(config, "image")[0]
    options = checked_options("image", method, config.options)
    settings, reasons = suggest_settings(
        n=n,
        size=min(height, width),
        channels=channels,
        method=method,
        steps=config.steps or None,
        backbone=None if config.backbone == "auto" else config.backbone,
    )
    stated = stated_settings(config, seed) | {
        "init": config.init,
        "method_options": {**settings.method_options, **options},
    }
    reasons = [reason for reason in reasons if reason.split(" = ")[0] not in stated]
    if config.batch_size > n:
        stated["batch_size"] = n
        reasons.append(
            f"batch_size = {n}: there are no more images, {config.batch_size} is stated."
        )
    if not config.flip:
        stated["augment"] = replace(settings.augment, flip=0.0)
    elif settings.augment.flip:
        reasons.append(
            "flip = True: views are mirrored at random; set flip = false under [pretrain] where a "
            "mirror image is something else, as of digits, letters and road signs."
        )
    return replace(settings, **stated), reasons


def _portable(settings: TrainConfig) -> dict[str, Any]:
    """Return the settings without where and how often it trained: machines differ in those."""
    hidden = ("device", "checkpoint_every")
    return {k: v for k, v in settings.as_dict().items() if k not in hidden}

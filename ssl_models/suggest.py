"""Settings chosen from the data, each with its reason; ``weaklight run --dry-run`` prints them."""

from __future__ import annotations

import math
from dataclasses import replace

from ssl_models.augment import AugmentConfig
from ssl_models.backbones import FIXED_WIDTHS, TIMM
from ssl_models.config import TrainConfig
from ssl_models.methods import METHODS
from ssl_models.vit import TRANSFORMERS
from weaklight.errors import ConfigError, DataError
from weaklight.words import nearest

__all__ = ["suggest_settings"]

BLUR_FROM_SIDE = 64
IMAGES_SEEN = 160_000  # over all epochs: under two minutes on one CPU core at 28 px
MIN_EPOCHS, MAX_EPOCHS = 4, 200
MIN_BATCH, MAX_BATCH = 64, 256
STEPS_AN_EPOCH = 64
LONG, WIDE = 2_000_000, 48  # images seen from which a wider network pays, and its width


def suggest_settings(
    n: int,
    size: int,
    channels: int,
    method: str = "simclr",
    steps: int | None = None,
    backbone: str | None = None,
) -> tuple[TrainConfig, list[str]]:
    """Return settings for ``n`` images of ``size`` pixels and the reasons for them.

    Parameters
    ----------
    n
        Images to train on.
    size
        Shorter side in pixels.
    channels
        1 for gray; others count as colours.
    method
        A key of ``METHODS``; its own ``settings`` replace what suits most of them.
    steps
        How many a person asked for, None where it is left to the data: long training pays for a
        wider network.
    backbone
        Which one a person asked for, None where it is left to the data.

    Returns
    -------
    The settings, and one sentence for each choice.

    Raises
    ------
    ConfigError
        If no method has this name.
    DataError
        If there are fewer than two images, or no channel.

    Examples
    --------
    >>> config, reasons = suggest_settings(n=8000, size=28, channels=1)
    >>> config.epochs, config.batch_size, config.augment.gray
    (20, 64, 0.0)
    """
    if method not in METHODS:
        near = nearest(method.lower(), METHODS)
        raise ConfigError(f"method must be one of {sorted(METHODS)}, but is {method!r}{near}")
    if n < 2:
        raise DataError(f"an encoder needs at least 2 images to tell apart, but {n} came")
    if channels < 1:
        raise DataError(f"images must have 1 or more channels, but have {channels}")
    augment, why_augment = _gray() if channels == 1 else _colour(size)
    epochs = min(MAX_EPOCHS, max(MIN_EPOCHS, round(IMAGES_SEEN / n)))
    batch_size = _batch_size(n)
    config = TrainConfig(
        method=method, augment=augment, epochs=epochs, batch_size=batch_size, steps=steps, lr=3e-3
    )
    reasons = {
        "epochs": f"{epochs * n:,} images seen; on 8,000 gray images of 28 px SimCLR takes under "
        "two minutes of one CPU core for that.",
        "batch_size": f"about {STEPS_AN_EPOCH} steps an epoch, within {MIN_BATCH} to {MAX_BATCH}. "
        "Few images want many steps (8,000 gray ones: kNN 0.785 at 64, 0.773 at 128), many want "
        "negatives (20,000 colour ones: 0.566 at 256, 0.553 at 64).",
        "lr": "with AdamW; for SimCLR 0.002 learns slower, 0.006 no better.",
        "backbone": "compact is built for a CPU core; with a GPU, or for photographs, resnet18.",
        "threads": "equal bytes on any number of cores, and a busy machine does not stall it.",
    }
    if batch_size < MIN_BATCH:
        reasons["batch_size"] = f"all images at once, as there are fewer than {MIN_BATCH}."
    if steps is not None:
        del reasons["epochs"]  # steps say how long
    own = dict(METHODS[method].settings)
    if backbone is not None:
        del reasons["backbone"]
        config = replace(config, backbone=backbone, width=FIXED_WIDTHS.get(backbone, config.width))
        if backbone.startswith(TRANSFORMERS):
            own |= METHODS[method].transformer_settings
    config = replace(config, **own)
    reasons |= {name: f"what {method} needs on small data." for name in own}
    seen = (steps or 0) * config.batch_size
    has_width = backbone is None or not (backbone in FIXED_WIDTHS or backbone.startswith(TIMM))
    if seen >= LONG and has_width:
        config = replace(config, width=WIDE)
        reasons["width"] = (
            f"{seen:,} images seen fill a network of width {config.width}, "
            "at twice the time an image (SimCLR on CIFAR-10, 20 minutes of one core: kNN 0.643 "
            "against 0.636, linear 0.687 against 0.671)."
        )
    return config, [
        *(f"{name} = {getattr(config, name)}: {reason}" for name, reason in reasons.items()),
        *([] if "augment" in own else [why_augment]),
    ]


def _batch_size(n: int) -> int:
    wanted = 1 << int(math.log2(max(1, n / STEPS_AN_EPOCH)))
    return min(max(wanted, MIN_BATCH), MAX_BATCH, n // 2 * 2)


def _gray() -> tuple[AugmentConfig, str]:
    config = AugmentConfig(
        crop_scale=(0.5, 1.0),
        jitter=1.0,
        brightness=0.8,
        contrast=0.8,
        gray=0.0,
        blur=0.8,
        solarize=0.2,
    )
    return config, (
        "augmentation for gray silhouettes: crops keep at least half, as the outline is what "
        "tells classes apart; strong brightness, contrast, blur and some solarize, as shade and "
        "texture do not; no cutout, no rotation, which cost accuracy."
    )


def _colour(size: int) -> tuple[AugmentConfig, str]:
    blur = 0.5 if size >= BLUR_FROM_SIDE else 0.0
    return AugmentConfig(crop_scale=(0.08, 1.0), blur=blur), (
        "augmentation for colour images: SimCLR's crops (from 0.08 of the area: kNN on CIFAR-10 "
        "0.570; from 0.2: 0.553), jitter at half strength (at full strength 0.544) and gray"
        + (", with blur" if blur else ", without blur, which erases images below 64 px")
        + "."
    )

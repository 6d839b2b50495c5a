"""What a clip must be, and clips of several lengths side by side in one batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weaklight.errors import DataError

__all__ = ["Clips", "check_clips", "pad", "unit_power"]

Clips = Sequence[NDArray[np.int16] | NDArray[np.floating]]


def check_clips(clips: Clips, least: int) -> None:
    """Say what is wrong with ``clips``, if anything.

    Parameters
    ----------
    least
        Samples that every clip must have.

    Raises
    ------
    DataError
        If one is not (T,) int16 or finite float with T >= ``least``.
    """
    for number, clip in enumerate(clips):
        if clip.ndim != 1 or (clip.dtype.kind != "f" and clip.dtype != np.int16):
            raise DataError(
                f"each clip must be (T,) int16 or float, but clip {number} came as {clip.shape} "
                f"{clip.dtype}; average stereo channels"
            )
        if len(clip) < least or not np.isfinite(clip).all():
            raise DataError(
                f"each clip must hold at least {least} finite samples, but clip {number} holds "
                f"{len(clip)}; leave it out"
            )


def unit_power(clip: NDArray[np.int16] | NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the clip with mean square 1, so that how loud it was recorded tells nothing.

    Examples
    --------
    >>> [f"{x:.3f}" for x in unit_power(np.array([300, -400], np.int16))]
    ['0.849', '-1.131']
    """
    wave = clip.astype(np.float32)
    return wave / np.float32(max(np.sqrt(np.mean(wave.astype(np.float64) ** 2)), 1e-8))


def pad(clips: Clips) -> tuple[Tensor, Tensor]:
    """Return waves (B, T) float32 of unit power, zeros behind short ones, and lengths (B,) int64.

    T is the length of the longest; powers are those of the clips without their padding.
    """
    lengths = torch.tensor([len(clip) for clip in clips])
    waves = torch.zeros(len(clips), int(lengths.max()))
    for row, clip in zip(waves, clips, strict=True):
        row[: len(clip)] = torch.from_numpy(unit_power(clip))
    return waves, lengths

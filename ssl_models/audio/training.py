"""Train an audio encoder in the loop that trains image encoders.

Try it: ``pretrain_audio(clips, AudioConfig(epochs=1), out=Path("encoder"), scratch=Path("s"))``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ssl_models.audio.clips import Clips, check_clips, pad
from ssl_models.audio.cpc import AudioCPC
from ssl_models.audio.encoder import AudioEncoder, save_audio_encoder
from ssl_models.config import TrainConfig
from ssl_models.hardware import cpu_threads
from ssl_models.trainer import Trainer
from weaklight.progress import Progress
from weaklight.seeds import seeded_torch

__all__ = ["AudioConfig", "pretrain_audio"]


@dataclass(frozen=True, kw_only=True)
class AudioConfig(TrainConfig):
    """Everything that decides the bytes of an audio encoder, beside the clips.

    ``method_options`` are those of :class:`~ssl_models.audio.cpc.AudioCPC`; ``augment``, which is
    for images, is not read. The defaults suit some ten minutes of 8 kHz speech on one CPU core.
    """

    method: str = "cpc"
    backbone: str = "waveform"
    width: int = 256
    context_dim: int = 256
    sample_rate: int = 8000  # hertz, for log_mel
    epochs: int = 40
    batch_size: int = 32
    lr: float = 1e-3
    weight_decay: float = 1e-2


def pretrain_audio(
    clips: Clips,
    config: AudioConfig,
    out: Path,
    scratch: Path,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train an audio encoder with CPC and write it to ``out``.

    Parameters
    ----------
    clips
        Each (T,) int16 or float, of one sampling rate and any lengths, n >= 2.
    config, out, scratch, progress
        As for :func:`ssl_models.pretrain`, which see for what is returned and raised.

    Raises
    ------
    DataError
        If a clip is shorter than one frame and the frames after it that are predicted.
    """
    with cpu_threads(config.threads):
        return _ClipTrainer(clips, config, scratch).run(out, progress)


class _ClipTrainer(Trainer):
    """The trainer's loop, checkpoints and history round clips instead of images."""

    method: AudioCPC

    def __init__(self, clips: Clips, config: AudioConfig, scratch: Path) -> None:
        with seeded_torch(config.seed, "pretrain", "weights"):
            encoder = AudioEncoder(
                backbone=config.backbone,
                width=config.width,
                context_dim=config.context_dim,
                sample_rate=config.sample_rate,
            )
            method = AudioCPC(encoder, **config.method_options)
        check_clips(clips, method.shortest)
        encoder.front.fit(clips)
        self.clips = clips
        digest = hashlib.sha256()
        for clip in clips:
            digest.update(np.ascontiguousarray(clip).tobytes())
        data = {"clips": digest.hexdigest()}
        super().__init__(method, config, scratch, len(clips), data)

    def batch(self, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Return padded waves (B, T) and their lengths (B,)."""
        waves, lengths = pad([self.clips[row] for row in rows])
        return waves.to(self.device), lengths.to(self.device)

    def write_encoder(self, out: Path) -> None:
        """Write the encoder."""
        save_audio_encoder(self.method.encoder, out)

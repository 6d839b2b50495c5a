"""Spoken digits: a linear classifier on CPC features, on log-mel statistics, on a random encoder.

Run it alone: ``python -m benchmarks.audio``. The takes 0 to 9 of each speaker and digit are held
out: no encoder and no classifier sees them before the end. Prints one flat JSON object as its
last line.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import describe
from ssl_models.audio import (
    AudioConfig,
    embed_audio,
    load_audio_encoder,
    log_mel_statistics,
    pretrain_audio,
    suggest_audio,
)
from ssl_models.evaluation.linear import linear_probe
from weaklight.intervals import Proportion

__all__ = ["CLIPS", "SpokenDigits", "load_spoken_digits", "measure_audio"]

CLIPS = Path(__file__).parents[2] / "shared/data/spoken_digits/spoken_digits.npz"
SAMPLE_RATE = 8000
HELD_OUT_TAKES = 10  # of 50: 300 clips, where the data set's own five leave 150


@dataclass(frozen=True)
class SpokenDigits:
    """Clips with their digit, and which of them are held out."""

    clips: list[NDArray[np.int16]]
    digit: NDArray[np.int64]
    held_out: NDArray[np.bool_]


def load_spoken_digits(path: Path = CLIPS) -> SpokenDigits:
    """Return the clips of the Free Spoken Digit Dataset in ``path``."""
    with np.load(path, allow_pickle=False) as raw:
        clips = np.split(raw["samples"], raw["offsets"][1:-1])
        return SpokenDigits(clips, raw["digit"].astype(np.int64), raw["take"] < HELD_OUT_TAKES)


def measure_audio(
    data: SpokenDigits, scratch: Path, config: AudioConfig | None = None
) -> dict[str, Any]:
    """Return the accuracies on held-out takes, with their Wilson intervals.

    Parameters
    ----------
    scratch
        Gets encoder and checkpoints; a run that was killed goes on from there.
    config
        Of the training; what `suggest_audio` says where None. Its front and width were chosen on
        takes 10 to 19 with an encoder trained on 20 to 49, never on the held-out ones.

    Returns
    -------
    ``cpc_audio_linear``, ``cpc_audio_untrained_linear`` (the same encoder after one step),
    ``logmel_linear`` and ``NAME_interval`` of each; ``audio_train_s``, ``audio_held_out``.
    """
    training = [clip for clip, held in zip(data.clips, data.held_out, strict=True) if not held]
    if config is None:
        config = suggest_audio(training, SAMPLE_RATE)[0]
    started = time.perf_counter()
    pretrain_audio(training, config, scratch / "encoder", scratch / "checkpoints")
    seconds = time.perf_counter() - started
    one_step = replace(config, steps=1, lr=1e-12)
    pretrain_audio(training, one_step, scratch / "untrained", scratch / "untrained-checkpoints")
    results: dict[str, Any] = {
        "audio_train_s": round(seconds, 1),
        "audio_held_out": int(data.held_out.sum()),
    }
    features = {
        "cpc_audio": embed_audio(load_audio_encoder(scratch / "encoder"), data.clips),
        "cpc_audio_untrained": embed_audio(load_audio_encoder(scratch / "untrained"), data.clips),
        "logmel": log_mel_statistics(data.clips, sample_rate=SAMPLE_RATE),
    }
    for name, x in features.items():
        seen, held = ~data.held_out, data.held_out
        probe = linear_probe(x[seen], data.digit[seen], x[held], n_classes=10)
        right = Proportion(int((probe.proba.argmax(1) == data.digit[held]).sum()), int(held.sum()))
        results[f"{name}_linear"] = round(right.value, 4)
        results[f"{name}_linear_interval"] = [round(end, 4) for end in right.interval]
    return results


def main() -> int:
    """Measure in a fresh folder."""
    if not CLIPS.exists():
        keys = ("cpc_audio_linear", "logmel_linear")
        missing = {k: None for k in keys} | {f"{k}_reason": f"no {CLIPS}" for k in keys}
        print(json.dumps(missing | describe()))
        return 0
    with tempfile.TemporaryDirectory(prefix="weaklight-audio-") as folder:
        print(json.dumps(measure_audio(load_spoken_digits(), Path(folder)) | describe()))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Settings of CPC chosen from the clips, each with its reason.

Try it: ``suggest_audio(clips, sample_rate=8000)``.
"""

from __future__ import annotations

from dataclasses import replace

from ssl_models.audio.clips import Clips
from ssl_models.audio.cpc import shortest_clip
from ssl_models.audio.fronts import FRONTS
from ssl_models.audio.training import AudioConfig
from weaklight.errors import ConfigError
from weaklight.words import nearest

__all__ = ["FROM_CLIPS", "suggest_audio"]

LEARN_FILTERS_S = 3600  # seconds of sound from which filters are learnt rather than given
N_STEPS = 12  # frames ahead, the paper's
EXCERPT_S = 0.5
FROM_CLIPS = ("n_steps", "excerpt")  # options that the clips decide where nobody states them
CLIPS_HEARD, MAX_EPOCHS = 12_000, 200  # of log_mel; ten epochs of the 1,200 spoken digits
WIDTHS = {"log_mel": 128, "waveform": AudioConfig.width}


def suggest_audio(
    clips: Clips, sample_rate: int, backbone: str | None = None
) -> tuple[AudioConfig, list[str]]:
    """Return settings for these clips and the reasons for them.

    Parameters
    ----------
    clips
        Each (T,) at ``sample_rate`` hertz.
    backbone
        A key of ``FRONTS`` that a person asked for, None where it is left to the data.

    Raises
    ------
    ConfigError
        If no front has this name.

    Notes
    -----
    Front, width and epochs of ``log_mel`` were chosen on spoken digits, by takes that no encoder
    learnt from: ``benchmarks/audio.py``.
    """
    reasons = []
    seconds = sum(map(len, clips)) / sample_rate
    if backbone is None:
        backbone = "waveform" if seconds >= LEARN_FILTERS_S else "log_mel"
        reasons.append(
            f"backbone = {backbone}: {seconds / 60:,.0f} minutes of sound; from "
            f"{LEARN_FILTERS_S // 60} on filters are learnt, below the ear's scale is better."
        )
    elif backbone not in FRONTS:
        raise ConfigError(
            f"for cpc backbone must be one of {sorted(FRONTS)}, but is {backbone!r}"
            f"{nearest(backbone, FRONTS)}"
        )
    epochs = AudioConfig.epochs
    if backbone == "log_mel":
        epochs = min(MAX_EPOCHS, max(1, round(CLIPS_HEARD / max(1, len(clips)))))
        reasons.append(f"epochs = {epochs}: about {CLIPS_HEARD:,} clips heard.")
    config = AudioConfig(
        backbone=backbone,
        width=WIDTHS[backbone],
        sample_rate=sample_rate,
        epochs=epochs,
    )
    front = FRONTS[backbone](config.width, sample_rate=sample_rate)
    shortest = min(map(len, clips), default=0)
    fitting = (n for n in range(N_STEPS, 1, -1) if shortest_clip(front, n) <= shortest)
    n_steps = next(fitting, 1)
    if n_steps < N_STEPS:
        reasons.append(
            f"n_steps = {n_steps}: the shortest clip of {shortest / sample_rate:.2f} s has no more "
            "frames ahead."
        )
    options = dict(zip(FROM_CLIPS, (n_steps, round(EXCERPT_S * sample_rate)), strict=True))
    return replace(config, method_options=options), reasons

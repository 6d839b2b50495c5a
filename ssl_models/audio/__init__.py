"""Contrastive predictive coding on waveforms, and the plain log-mel baseline beside it.

Try it::

    pretrain_audio(clips, AudioConfig(), out=Path("encoder"), scratch=Path("scratch"))
    features = embed_audio(load_audio_encoder(Path("encoder")), clips)
"""

from ssl_models.audio.cpc import AudioCPC
from ssl_models.audio.encoder import (
    AudioEncoder,
    embed_audio,
    load_audio_encoder,
    save_audio_encoder,
)
from ssl_models.audio.logmel import log_mel, log_mel_statistics
from ssl_models.audio.suggest import suggest_audio
from ssl_models.audio.training import AudioConfig, pretrain_audio

__all__ = [
    "AudioCPC",
    "AudioConfig",
    "AudioEncoder",
    "embed_audio",
    "load_audio_encoder",
    "log_mel",
    "log_mel_statistics",
    "pretrain_audio",
    "save_audio_encoder",
    "suggest_audio",
]

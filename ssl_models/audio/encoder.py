"""From a waveform to features: strided convolutions, and a recurrent net that sums up the past.

Try it: ``embed_audio(load_audio_encoder(Path("encoder")), clips).shape``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ssl_models.audio.clips import Clips, check_clips, pad
from ssl_models.audio.fronts import FRONTS
from ssl_models.checkpoints import strict_load, write_json, write_tensors
from weaklight.errors import ArtifactError, ConfigError
from weaklight.words import nearest

__all__ = ["AudioEncoder", "embed_audio", "load_audio_encoder", "save_audio_encoder"]

SHAPE = ("backbone", "width", "context_dim", "sample_rate")  # what builds an encoder again


class AudioEncoder(nn.Module):
    """Van den Oord et al. 2018, "Contrastive predictive coding", arXiv:1807.03748, section 3.1.

    Parameters
    ----------
    backbone
        ``waveform``: learnt filters, as in the paper. ``log_mel``: learnt layers on log-mel bands.
    width
        P, channels of z.
    context_dim
        D, length of c; the paper's 256.
    sample_rate
        In hertz; ``waveform`` does not ask for it.

    Attributes
    ----------
    dim
        Length of a clip's feature vector.
    hop, reach
        Samples from one latent to the next, and samples that one latent sees.
    """

    def __init__(
        self,
        *,
        backbone: str = "waveform",
        width: int = 256,
        context_dim: int = 256,
        sample_rate: int = 8000,
    ) -> None:
        super().__init__()
        if backbone not in FRONTS:
            near = nearest(backbone, FRONTS)
            raise ConfigError(
                f"backbone must be one of {sorted(FRONTS)}, but is {backbone!r}{near}"
            )
        if width < 4 or width % 4 or context_dim < 1:
            raise ConfigError(
                "width must be a multiple of 4 and context_dim at least 1, but are "
                f"{width} and {context_dim}"
            )
        self.backbone, self.sample_rate = backbone, sample_rate
        self.width, self.context_dim = width, context_dim
        self.front = FRONTS[backbone](width, sample_rate=sample_rate)
        self.context = nn.GRU(width, context_dim, batch_first=True)
        self.hop, self.reach = self.front.hop, self.front.reach
        self.dim = 3 * (width + context_dim)

    def forward(self, waves: Tensor) -> tuple[Tensor, Tensor]:
        """Return latents z (B, F, P) and contexts c (B, F, D) of waves (B, T).

        z at frame f sees samples f * hop to f * hop + reach, c sees all up to there: neither sees
        what follows, so zeros behind a short clip change none of its own frames.
        """
        z = self.front(waves)
        return z, self.context(z)[0]

    def n_frames(self, lengths: Tensor) -> Tensor:
        """Return how many frames clips of these lengths have."""
        return (lengths - self.reach) // self.hop + 1

    def pooled(self, waves: Tensor, lengths: Tensor) -> Tensor:
        """Return (B, dim): mean, standard deviation and maximum over time of z and of c."""
        tokens = torch.cat(self(waves), -1).float()  # (B, F, P + D)
        count = self.n_frames(lengths)[:, None]
        inside = (torch.arange(tokens.shape[1], device=tokens.device) < count)[..., None]
        mean = (tokens * inside).sum(1) / count
        spread = (((tokens - mean[:, None]) * inside).square().sum(1) / count).sqrt()
        largest = tokens.masked_fill(~inside, -torch.inf).amax(1)
        return torch.cat([mean, spread, largest], 1)


@torch.inference_mode()
def embed_audio(
    encoder: AudioEncoder, clips: Clips, *, batch_size: int = 16
) -> NDArray[np.float32]:
    """Return one feature vector a clip, whatever the clips beside it.

    Parameters
    ----------
    encoder
        What :func:`load_audio_encoder` returned.
    clips
        Each (T,) int16 or float at the rate that the encoder was trained at. Loudness is taken
        out.
    batch_size
        Clips a pass; those of like length go together.

    Returns
    -------
    (n, dim) float32, not normalised: mean, standard deviation and maximum over time. Equal to
    about 1e-5 in other company, as kernels depend on the shape.

    Raises
    ------
    DataError
        If a clip is not one-dimensional, not finite or shorter than one frame.
    """
    check_clips(clips, encoder.reach)
    encoder = encoder.eval()
    out = np.empty((len(clips), encoder.dim), np.float32)
    order = np.argsort([len(clip) for clip in clips], kind="stable")
    for start in range(0, len(clips), batch_size):
        rows = order[start : start + batch_size]
        out[rows] = encoder.pooled(*pad([clips[row] for row in rows])).numpy()
    return out


def save_audio_encoder(encoder: AudioEncoder, folder: Path, **description: Any) -> None:
    """Write ``encoder.safetensors`` and the ``encoder.json`` that says how to build it."""
    write_tensors(folder / "encoder.safetensors", encoder.state_dict())
    shape = {name: getattr(encoder, name) for name in SHAPE}
    write_json(folder / "encoder.json", {**shape, "dim": encoder.dim, **description})


def load_audio_encoder(folder: Path) -> AudioEncoder:
    """Return the encoder in ``folder``, in evaluation mode on the CPU.

    Raises
    ------
    ArtifactError
        If a file is missing or damaged.
    TrainingError
        If a weight is missing, unexpected or of another shape.
    """
    try:
        description = json.loads((folder / "encoder.json").read_bytes())
        tensors = load_file(folder / "encoder.safetensors")
        encoder = AudioEncoder(**{name: description[name] for name in SHAPE})
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise ArtifactError(
            f"{folder} holds no readable audio encoder ({type(error).__name__}: {error}); train "
            "it again"
        ) from error
    strict_load(encoder, tensors, str(folder / "encoder.safetensors"))
    return encoder.eval()

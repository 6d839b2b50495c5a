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
from ssl_models.checkpoints import strict_load, write_json, write_tensors
from weaklight.errors import ArtifactError, ConfigError

__all__ = ["AudioEncoder", "embed_audio", "load_audio_encoder", "save_audio_encoder"]

# The paper's five layers are (10, 5), (8, 4), (4, 2), (4, 2), (4, 2) at 16 kHz. At 8 kHz the first
# four already give a latent every 10 ms.
KERNELS, STRIDES = (10, 8, 4, 4), (5, 4, 2, 2)


class AudioEncoder(nn.Module):
    """Van den Oord et al. 2018, "Contrastive predictive coding", arXiv:1807.03748, section 3.1.

    Parameters
    ----------
    width
        P, channels of z; the first two layers have a quarter and a half, as they run at up to 16
        times the rate. The paper has 512 in all.
    context_dim
        D, length of c; the paper's 256.

    Attributes
    ----------
    dim
        Length of a clip's feature vector.
    hop, reach
        Samples from one latent to the next, and samples that one latent sees.

    Notes
    -----
    Layers are normalised over channels, each moment by itself (Riviere et al. 2020,
    arXiv:2002.02848, section 3): batch norm would tell moments of a clip from others without
    listening, and would let padding leak into what is not padding.
    """

    hop = int(np.prod(STRIDES))
    reach = 1 + sum((kernel - 1) * int(np.prod(STRIDES[:i])) for i, kernel in enumerate(KERNELS))

    def __init__(self, *, width: int = 256, context_dim: int = 256) -> None:
        super().__init__()
        if width < 4 or width % 4 or context_dim < 1:
            raise ConfigError(
                "width must be a multiple of 4 and context_dim at least 1, but are "
                f"{width} and {context_dim}"
            )
        self.width, self.context_dim = width, context_dim
        widths = [1, width // 4, width // 2, width, width]
        self.layers = nn.ModuleList(
            nn.Conv1d(widths[i], widths[i + 1], KERNELS[i], STRIDES[i]) for i in range(len(KERNELS))
        )
        self.norms = nn.ModuleList(nn.LayerNorm(n) for n in widths[1:])
        self.context = nn.GRU(width, context_dim, batch_first=True)
        self.dim = 3 * (width + context_dim)

    def forward(self, waves: Tensor) -> tuple[Tensor, Tensor]:
        """Return latents z (B, F, P) and contexts c (B, F, D) of waves (B, T).

        z at frame f sees samples f * hop to f * hop + reach, c sees all up to there: neither sees
        what follows, so zeros behind a short clip change none of its own frames.
        """
        x = waves[:, None]
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = norm(layer(x).relu().transpose(1, 2)).transpose(1, 2)
        z = x.transpose(1, 2)
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
    shape = {"width": encoder.width, "context_dim": encoder.context_dim, "dim": encoder.dim}
    write_json(folder / "encoder.json", {"backbone": "waveform", **shape, **description})


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
        encoder = AudioEncoder(width=description["width"], context_dim=description["context_dim"])
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise ArtifactError(
            f"{folder} holds no readable audio encoder ({type(error).__name__}: {error}); train "
            "it again"
        ) from error
    strict_load(encoder, tensors, str(folder / "encoder.safetensors"))
    return encoder.eval()

"""CPC on audio: of all moments around, tell the one that comes some steps after what was heard."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_models.audio.encoder import AudioEncoder
from ssl_models.distributed import shared_rows
from ssl_models.methods import Objective
from weaklight.errors import ConfigError

__all__ = ["AudioCPC", "AudioViews", "excerpts", "info_nce", "shortest_clip"]

SPEED = 1.15


class AudioViews(NamedTuple):
    """Excerpts of a batch of clips, and the moments from which their future is predicted."""

    waves: Tensor  # (B, T) float32, zeros behind short clips
    lengths: Tensor  # (B,) int64
    anchors: Tensor  # (B, A) int64 frames


class AudioCPC(Objective):
    """Van den Oord et al. 2018, "Contrastive predictive coding", arXiv:1807.03748, section 3.1.

    Parameters
    ----------
    encoder
        g_enc and g_ar: latents z and contexts c.
    n_steps
        K, frames ahead that are predicted; the paper's 12.
    excerpt
        Samples of a clip that a step hears, from a random place on.
    n_anchors
        A, moments of an excerpt whose future is predicted: every one would cost a step's time
        several times over in logits, and neighbours ask nearly the same.
    speed
        Excerpts are played up to so much faster or slower, in ratio; 1 changes nothing. It moves
        pitch and tempo, which tell speakers apart and not words.

    Notes
    -----
    Negatives are all frames of the batch, of the same clip and of others ("mixed speaker" of the
    paper's table 2). Frames of padding are neither asked for nor offered.
    """

    encoder: AudioEncoder

    def __init__(
        self,
        encoder: AudioEncoder,
        *,
        n_steps: int = 12,
        excerpt: int = 4000,
        n_anchors: int = 8,
        speed: float = SPEED,
    ) -> None:
        super().__init__()
        shortest = encoder.reach + n_steps * encoder.hop
        if n_steps < 1 or n_anchors < 1 or speed < 1 or excerpt < shortest * speed:
            raise ConfigError(
                "n_steps, n_anchors and speed must be at least 1 and excerpt at least "
                f"{shortest} * speed samples, but are {n_steps}, {n_anchors}, {speed} and {excerpt}"
            )
        self.encoder = encoder
        self.n_steps, self.excerpt, self.n_anchors, self.speed = n_steps, excerpt, n_anchors, speed
        self.predictors = nn.ModuleList(  # W_k, eq. 3
            nn.Linear(encoder.context_dim, encoder.width, bias=False) for _ in range(n_steps)
        )

    @property
    def shortest(self) -> int:
        """Samples that a clip must have; see :func:`shortest_clip`."""
        return shortest_clip(self.encoder, self.n_steps, self.speed)

    def views(self, clips: tuple[Tensor, Tensor], generator: torch.Generator) -> AudioViews:
        """Return an excerpt of each clip, from padded waves (B, T) and lengths (B,)."""
        waves, lengths = clips
        uniforms = shared_rows(len(waves), 2 + self.n_anchors, generator).to(waves.device)
        rate = self.speed ** (2 * uniforms[:, 0] - 1)
        heard, lengths = excerpts(waves, lengths, rate, uniforms[:, 1], self.excerpt)
        choices = self.encoder.n_frames(lengths) - self.n_steps  # frames with a whole future
        return AudioViews(heard, lengths, (uniforms[:, 2:] * choices[:, None]).long())

    def step(self, views: AudioViews) -> tuple[Tensor, Tensor]:
        """Return InfoNCE averaged over the numbers of steps, and each excerpt's mean c."""
        waves, lengths, anchors = views
        z, c = self.encoder(waves)  # (B, F, P), (B, F, D)
        inside = torch.arange(z.shape[1], device=z.device) < self.encoder.n_frames(lengths)[:, None]
        heard = c.gather(1, anchors[..., None].expand(-1, -1, c.shape[-1]))  # (B, A, D)
        predicted = torch.stack([predict(heard) for predict in self.predictors], 2)  # (B, A, K, P)
        ahead = torch.arange(1, self.n_steps + 1, device=z.device)
        loss = info_nce(predicted.flatten(1, 2), z, (anchors[..., None] + ahead).flatten(1), inside)
        mean = (c * inside[..., None]).sum(1) / inside.sum(1, keepdim=True)
        return loss, mean


class Frames(Protocol):
    """What cuts a wave into frames: samples from one to the next, and samples that one sees."""

    hop: int
    reach: int


def shortest_clip(frames: Frames, n_steps: int, speed: float = SPEED) -> int:
    """Return the samples of a clip that has one frame and its future at the highest speed."""
    return int((frames.reach + n_steps * frames.hop) * speed) + 2


def excerpts(
    waves: Tensor, lengths: Tensor, rate: Tensor, place: Tensor, size: int
) -> tuple[Tensor, Tensor]:
    """Return ``size`` samples of each wave, played at ``rate``, from ``place`` on.

    Parameters
    ----------
    waves, lengths
        (B, T) and (B,) as :func:`~ssl_models.audio.clips.pad` returns.
    rate
        (B,) samples of the clip per sample of the excerpt; linear interpolation between them.
    place
        (B,) in [0, 1): 0 is the earliest start, 1 the latest that fills the excerpt.

    Returns
    -------
    (B, size), zeros behind clips that are too short, and lengths (B,).
    """
    played = ((lengths - 1) / rate).long()  # samples that the whole clip yields
    kept = played.clamp(max=size)
    start = place * (lengths - 1 - kept * rate).clamp(min=0) * (played > size)
    at = start[:, None] + torch.arange(size, device=waves.device) * rate[:, None]
    left = at.long().clamp(max=waves.shape[1] - 2)
    here, there = waves.gather(1, left), waves.gather(1, left + 1)
    heard = here + (at - left) * (there - here)
    inside = torch.arange(size, device=waves.device) < kept[:, None]
    return heard.where(inside, 0.0), kept


def info_nce(predicted: Tensor, z: Tensor, targets: Tensor, inside: Tensor) -> Tensor:
    """Return the cross entropy of picking the true frame out of all frames of all clips, eq. 4.

    Parameters
    ----------
    predicted
        (B, Q, P) W_k c.
    z
        (B, F, P) latents of this process's clips; all but the true one are negatives.
    targets
        (B, Q) int64, the true frame of each prediction in its own clip.
    inside
        (B, F) bool; the others are padding and left out.

    Returns
    -------
    Scalar fp32; ln of the number of frames when nothing is learnt. O(B^2 Q F P).
    """
    with torch.autocast(z.device.type, enabled=False):
        keys = z.float()[inside]  # (N, P)
        column = inside.flatten().cumsum(0).view_as(inside) - 1  # of each frame among the keys
        # Divided by sqrt(P), as in attention: z has length sqrt(P) from its layer norm.
        logits = predicted.float().flatten(0, 1) @ keys.T / keys.shape[1] ** 0.5  # (B Q, N)
        return F.cross_entropy(logits, column.gather(1, targets).flatten())

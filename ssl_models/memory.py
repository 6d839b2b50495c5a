"""What a method remembers of earlier batches: a queue of the newest, or a bank of every image.

Both collect what a step brings and take it in only after the optimiser step: all micro-batches of
a step meet the same negatives, and nothing that a gradient still needs is overwritten.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_models.distributed import gather
from weaklight.seeds import derive_seed

__all__ = ["Bank", "Queue", "contrast_with_bank"]


class Queue(nn.Module):
    """The newest ``size`` embeddings of all processes; the oldest leave first.

    Parameters
    ----------
    size
        K; any number, it need not be a multiple of the batch.
    dim
        Length of an embedding.

    Attributes
    ----------
    entries
        (K, dim) float32 unit rows; random directions until the first K came.
    """

    entries: Tensor
    seen: Tensor

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("entries", _random_directions(size, dim, "queue"))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        self._fresh: list[Tensor] = []

    @property
    def is_full(self) -> bool:
        """Whether no random direction is left."""
        return int(self.seen) >= len(self.entries)

    def add(self, embeddings: Tensor) -> None:
        """Remember this process's unit rows (B, dim) until :meth:`turn`."""
        self._fresh.append(gather(embeddings.detach().float()))

    def turn(self) -> None:
        """Take in what was added since the last turn."""
        if not self._fresh:
            return
        size = len(self.entries)
        fresh = torch.cat(self._fresh)[-size:]
        self._fresh.clear()
        places = (self.seen + torch.arange(len(fresh), device=fresh.device)) % size
        self.entries[places] = fresh
        self.seen += len(fresh)


class Bank(nn.Module):
    """One embedding for each image of the data set, a moving average over epochs.

    Parameters
    ----------
    n_images, dim
        Rows and columns.
    momentum
        Share of the old entry that stays; 0.5 in ``lemniscate.pytorch`` and in vissl's PIRL. An
        image's first embedding replaces the random one whole: half of noise would stay for epochs.

    Attributes
    ----------
    entries
        (n_images, dim) float32 unit rows; random directions until an image came by.
    seen
        (n_images,) bool, whether it did.
    """

    entries: Tensor
    seen: Tensor

    def __init__(self, n_images: int, dim: int, momentum: float = 0.5) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("entries", _random_directions(n_images, dim, "bank"))
        self.register_buffer("seen", torch.zeros(n_images, dtype=torch.bool))
        self._fresh: list[tuple[Tensor, Tensor]] = []

    def add(self, rows: Tensor, embeddings: Tensor) -> None:
        """Remember the unit rows (B, dim) of the images ``rows`` (B,) until :meth:`turn`."""
        self._fresh.append((gather(rows), gather(embeddings.detach().float())))

    def turn(self) -> None:
        """Average what was added into the entries and bring these back to unit length."""
        for rows, embeddings in self._fresh:
            kept = self.momentum * self.seen[rows, None]  # (B, 1)
            mixed = torch.lerp(embeddings, self.entries[rows], kept)
            self.entries[rows] = F.normalize(mixed, dim=1)
            self.seen[rows] = True
        self._fresh.clear()


def contrast_with_bank(
    embeddings: Tensor, bank: Tensor, rows: Tensor, temperature: float
) -> Tensor:
    """Return the cross entropy of finding each image's own entry among those of all images.

    Parameters
    ----------
    embeddings
        (B, dim) unit rows.
    bank
        (n, dim) unit rows.
    rows
        (B,) int64, which entry belongs to which embedding.
    temperature
        tau > 0.

    Returns
    -------
    Scalar fp32; ln n when nothing is learnt.

    Notes
    -----
    The exact non-parametric softmax. Noise-contrastive estimation samples it for a million images;
    up to some 100,000 one matrix product of O(B n dim) is cheaper than drawing the samples, and has
    neither a constant to estimate nor a chance of drawing the positive as a negative.

    References
    ----------
    Wu et al. 2018, arXiv:1805.01978, eq. 2.
    """
    with torch.autocast(embeddings.device.type, enabled=False):
        return F.cross_entropy(embeddings.float() @ bank.T / temperature, rows)


def _random_directions(n: int, dim: int, name: str) -> Tensor:
    generator = torch.Generator().manual_seed(derive_seed(0, name))
    return F.normalize(torch.randn(n, dim, generator=generator), dim=1)

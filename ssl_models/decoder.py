"""From a feature vector back to a picture: the decoder of the reconstructive pretext tasks."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from ssl_models.distributed import GlobalBatchNorm

__all__ = ["Decoder"]

START_SIDE = 4  # of the map that the feature vector becomes; 4, 8, 16, 32


class Decoder(nn.Module):
    """Doubles a 4 x 4 map until it is a picture.

    It sees the feature vector alone and no inner map of the encoder: all that the picture needs
    must pass through what is kept after training, and every backbone has such a vector. It is
    small: half of the compact encoder's work, so that the encoder gets the larger share of a step.

    Parameters
    ----------
    dim
        d, length of the feature vector.
    n_out
        Channels of the picture.
    doublings
        The picture has 4 * 2**doublings pixels a side; 3 gives 32.
    width
        Channels of the 4 x 4 map; each doubling halves them.
    """

    def __init__(self, dim: int, n_out: int, *, doublings: int = 3, width: int = 64) -> None:
        super().__init__()
        self.start = nn.Linear(dim, width * START_SIDE**2)
        blocks: list[nn.Module] = []
        for _ in range(doublings - 1):
            blocks += [
                nn.Upsample(scale_factor=2),
                nn.Conv2d(width, width // 2, 3, padding=1, bias=False),
                GlobalBatchNorm(width // 2),
                nn.ReLU(inplace=True),
            ]
            width //= 2
        # The last doubling by sub-pixel convolution (Shi et al. 2016, arXiv:1609.05158): a quarter
        # of the work of a convolution at full size.
        self.grow = nn.Sequential(
            *blocks, nn.Conv2d(width, 4 * n_out, 3, padding=1), nn.PixelShuffle(2)
        )

    def forward(self, features: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """Return (B, n_out, h, w) float32 of (B, d), resized to ``size`` where that is given."""
        start = F.relu(self.start(features)).unflatten(1, (-1, START_SIDE, START_SIDE))
        picture: Tensor = self.grow(start).float()
        if size is None or picture.shape[-2:] == size:
            return picture
        return F.interpolate(picture, size, mode="bilinear", align_corners=False)

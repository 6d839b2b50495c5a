"""KoLeo: push each embedding away from its nearest neighbour, so that a batch fills the sphere.

Try it: ``koleo(torch.randn(8, 4))``.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["koleo"]


def koleo(x: Tensor, eps: float = 1e-8) -> Tensor:
    """Return minus the mean log distance of each unit-length row to its nearest other row.

    Parameters
    ----------
    x
        (n, d) of different images, never two views of one; not normalised. A single row has no
        neighbour and gives 0.
    eps
        Added to the distances. A duplicate gives a loss of -log(eps) and a gradient of 1 / eps.

    Returns
    -------
    Scalar fp32. In fp32 whatever comes: 1e-8 is 0 in fp16, and one duplicate then gives infinity.

    Notes
    -----
    O(n^2 d) time, O(n^2) memory.

    References
    ----------
    Sablayrolles et al. 2019, arXiv:1806.03198, eq. 2.
    """
    with torch.autocast(x.device.type, enabled=False):
        z = F.normalize(x.float(), dim=1, eps=1e-8)
        if len(z) < 2:
            return z.sum() * 0
        with torch.no_grad():
            nearest = (z @ z.T).fill_diagonal_(-2).argmax(1)
        return -(F.pairwise_distance(z, z[nearest], eps=eps) + eps).log().mean()

"""Sinkhorn-Knopp: share a batch out over prototypes evenly, instead of centering.

Try it: ``sinkhorn_knopp(torch.randn(8, 4), temperature=0.07).sum(0)`` is about 2 everywhere.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ssl_models.distributed import gather

__all__ = ["sinkhorn_knopp"]


@torch.no_grad()
def sinkhorn_knopp(logits: Tensor, temperature: float | Tensor, iterations: int = 3) -> Tensor:
    """Return soft assignments of rows to prototypes, each prototype used about equally.

    Parameters
    ----------
    logits
        (n, K) of this process; processes may bring different n. Any size: the exponents are
        never taken before the largest of them is subtracted (exp(x / 0.04) overflows fp32 above
        x = 3.5).
    temperature
        tau > 0.
    iterations
        3 in SwAV and DINOv2.

    Returns
    -------
    (n, K) fp32, rows sum to 1.

    Notes
    -----
    O(iterations n K). Alternating scalings of columns and rows in logarithms; the divisions by n
    and K of the published form cancel, as the last scaling is that of the rows.

    References
    ----------
    Cuturi 2013, arXiv:1306.0895; Caron et al. 2020, arXiv:2006.09882, section 3.1.
    """
    with torch.autocast(logits.device.type, enabled=False):
        log_q = logits.float() / temperature
        for _ in range(iterations):
            mine = log_q.logsumexp(0, keepdim=True)  # (1, K)
            log_q = log_q - gather(mine).logsumexp(0, keepdim=True)
            log_q = log_q.log_softmax(1)
        return log_q.exp()

"""Schedules: pure functions of the step, so that a resumed run needs nothing but its number."""

from __future__ import annotations

import math

__all__ = ["cosine", "warmup_cosine"]


def warmup_cosine(step: int, total: int, warmup: int) -> float:
    """Return the factor on the learning rate at ``step`` of ``total``, in 0..1.

    Rises linearly over ``warmup`` steps, then falls along half a cosine, to reach 0 one step after
    the last.

    References
    ----------
    Loshchilov and Hutter 2017, "SGDR", arXiv:1608.03983, eq. 5 without restarts.

    Examples
    --------
    >>> [round(warmup_cosine(step, 6, 2), 2) for step in range(6)]
    [0.5, 1.0, 1.0, 0.85, 0.5, 0.15]
    """
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


def cosine(start: float, end: float, share: float) -> float:
    """Return the value after a ``share`` (0..1) of the way from ``start`` to ``end``.

    Slow at both ends, along half a cosine: weight decay and momenta of teachers move like this.

    Examples
    --------
    >>> [round(cosine(0.04, 0.4, share), 2) for share in (0, 0.5, 1)]
    [0.04, 0.22, 0.4]
    """
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2

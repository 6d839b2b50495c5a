"""Intervals for proportions: every accuracy we print carries n and one of these.

Try it: ``python -c "from weaklight.intervals import Proportion; print(Proportion(90, 100))"``.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

from weaklight.errors import DataError

__all__ = ["Proportion", "wilson", "wilson_share"]


def wilson(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval of a proportion.

    Parameters
    ----------
    successes
        How many of the ``n`` trials succeeded, 0 <= successes <= n.
    n
        Number of independent trials; 0 gives the interval (0, 1), which says nothing.
    level
        Nominal coverage, 0 < level < 1.

    Raises
    ------
    DataError
        If the counts or the level are out of range.

    References
    ----------
    Wilson 1927, "Probable inference, the law of succession, and statistical inference", JASA 22.

    Examples
    --------
    >>> low, high = wilson(90, 100)
    >>> f"{low:.3f} {high:.3f}"
    '0.826 0.945'
    """
    if not 0 <= successes <= n:
        raise DataError(f"successes must lie in 0..n, but came {successes} of {n}")
    if not 0 < level < 1:
        raise DataError(f"level must lie between 0 and 1, but is {level}; 0.95 is usual")
    return wilson_share(successes / n, n, level) if n else (0.0, 1.0)


def wilson_share(share: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Return Wilson's interval of a share, 0..1, whose sample size ``n`` need not be whole.

    For weighted samples, whose effective size seldom is (Korn and Graubard 1998); else use
    :func:`wilson`.
    """
    z = NormalDist().inv_cdf(0.5 + level / 2)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)


@dataclass(frozen=True)
class Proportion:
    """A proportion with its n and its 95 % Wilson interval.

    Examples
    --------
    >>> print(Proportion(45, 50))
    0.900 [0.786, 0.957] n=50
    """

    successes: int
    n: int

    @property
    def value(self) -> float | None:
        """The proportion itself, None where n is 0."""
        return self.successes / self.n if self.n else None

    @property
    def effective_n(self) -> float:
        """The rows that the interval is worth: all of them, as each counts alike."""
        return float(self.n)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval."""
        return wilson(self.successes, self.n)

    def as_dict(self) -> dict[str, float | int | None]:
        """Return ``value``, ``low``, ``high`` and ``n`` for a JSON file."""
        low, high = self.interval
        return {"value": self.value, "low": low, "high": high, "n": self.n}

    def __str__(self) -> str:
        if self.value is None:
            return "no rows"
        low, high = self.interval
        return f"{self.value:.3f} [{low:.3f}, {high:.3f}] n={self.n}"

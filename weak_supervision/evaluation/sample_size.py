"""How many items to label by hand, before anybody labels one.

Try it: ``python -c "from weak_supervision.evaluation import rows_for_width as r; print(r(0.1))"``.
"""

from __future__ import annotations

from weaklight.errors import DataError
from weaklight.intervals import wilson_share

__all__ = ["rows_for_width"]


def rows_for_width(width: float, *, guess: float = 0.5, level: float = 0.95) -> int:
    """Return the fewest gold rows whose Wilson interval is at most ``width`` wide.

    Parameters
    ----------
    width
        Upper end minus lower end, 0 < width < 1: 0.1 means give or take five points.
    guess
        The accuracy to expect, 0..1. 0.5 needs the most rows and is safe; 0.9 about a third.
    level
        Nominal coverage of the interval.

    Raises
    ------
    DataError
        If width or guess is out of range.

    Examples
    --------
    >>> rows_for_width(0.1), rows_for_width(0.1, guess=0.9), rows_for_width(0.04, guess=0.9)
    (381, 141, 868)
    """
    if not 0 < width < 1:
        raise DataError(f"width must lie between 0 and 1, but is {width}; 0.1 is ten points")
    if not 0 <= guess <= 1:
        raise DataError(f"the guessed accuracy must lie between 0 and 1, but is {guess}")

    def too_wide(n: int) -> bool:
        low, high = wilson_share(guess, n, level)
        return high - low > width

    most = 1
    while too_wide(most):
        most *= 2
    fewest = most // 2
    while most - fewest > 1:
        middle = (most + fewest) // 2
        fewest, most = (middle, most) if too_wide(middle) else (fewest, middle)
    return most

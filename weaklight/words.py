"""Counts as people say them.

Try it: ``python -c "from weaklight.words import counted; print(counted(1, 'item'))"``.
"""

from __future__ import annotations

__all__ = ["counted"]


def counted(n: int, one: str, many: str | None = None) -> str:
    """Return a number and what it counts.

    Parameters
    ----------
    n
        How many.
    one, many
        What follows the number 1, and any other; left out, ``many`` is ``one`` with an s.

    Examples
    --------
    >>> counted(1, "text holds", "texts hold")
    '1 text holds'
    >>> counted(1200, "row")
    '1,200 rows'
    """
    return f"{n:,} {one if n == 1 else many or f'{one}s'}"

"""Counts as people say them, and the name that somebody meant.

Try it: ``python -c "from weaklight.words import nearest; print(nearest('bot', ['bag', 'boot']))"``.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["counted", "nearest"]


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


def nearest(name: str, known: Iterable[str]) -> str:
    """Return what ends a message about an unknown name: the known one that is closest, or nothing.

    Examples
    --------
    >>> nearest("simcler", ["byol", "simclr"])
    "; did you mean 'simclr'?"
    >>> nearest("vote", ["byol", "simclr"])
    ''
    """
    match = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {match[0]!r}?" if match else ""

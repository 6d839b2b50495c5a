"""How long work tells whoever watches how far it is.

Try it: ``def told(done, total, message): print(f"{done}/{total} {message}")``.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Progress", "no_progress"]

Progress = Callable[[int, int, str], None]  # how much is done, of how much, and what comes next


def no_progress(done: int, total: int, message: str) -> None:
    """Ignore progress; the default where nobody watches."""

"""Small problems on one thread.

Try it: ``with one_thread(): cho_factor(matrix)``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache

import scipy.linalg  # noqa: F401  its BLAS must be there to be found
from threadpoolctl import ThreadpoolController

__all__ = ["one_thread", "threads_for"]

CELLS_FOR_THREADS = 1_000_000  # numbers in a step, which takes some 10 ms


@cache
def _pools() -> ThreadpoolController:
    return ThreadpoolController()


@contextmanager
def one_thread() -> Iterator[None]:
    """Run NumPy's and SciPy's linear algebra, and torch where it is imported, on one thread.

    For steps that take milliseconds and come by the hundred: of two threads one waits for the other
    at each of them. That gains little on idle cores; where other programs keep them busy it costs
    twenty to a hundred times what the step does (a Cholesky factor of 512 x 512: 540 ms for 4).
    """
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch is not None else 0
    with _pools().limit(limits=1, user_api="blas"):
        try:
            if torch is not None:
                torch.set_num_threads(1)
            yield
        finally:
            if torch is not None:
                torch.set_num_threads(threads)


def threads_for(cells: float) -> AbstractContextManager[None]:
    """Return the context for training steps on ``cells`` numbers: one thread where they are few."""
    return one_thread() if cells < CELLS_FOR_THREADS else nullcontext()

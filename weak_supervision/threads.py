"""Small linear algebra on one thread.

Try it: ``with one_thread(): cho_factor(matrix)``.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache

import scipy.linalg  # noqa: F401  its BLAS must be there to be found
from threadpoolctl import ThreadpoolController

__all__ = ["one_thread"]


@cache
def _pools() -> ThreadpoolController:
    return ThreadpoolController()


def one_thread() -> AbstractContextManager[object]:
    """Return a context in which NumPy's and SciPy's linear algebra runs on one thread.

    For problems that take milliseconds and come by the hundred: of two threads one waits for the
    other at each of them. That gains little on idle cores, and where other programs keep them busy
    it costs a hundred times what the problem does (a Cholesky factor of 512 x 512: 540 ms for 4).
    """
    return _pools().limit(limits=1, user_api="blas")  # type: ignore[no-any-return]

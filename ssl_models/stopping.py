"""Ctrl-C and SIGTERM wait for the end of what must not be torn apart, such as a training step.

Try it: ``with held_back(signal.SIGINT) as came: ...``.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ssl_models.distributed import world_size

__all__ = ["held_back"]


@contextmanager
def held_back(*signals: signal.Signals) -> Iterator[list[signal.Signals]]:
    """Yield a list into which these signals go instead of stopping the process; send them after.

    A second one of a kind acts at once, and what is ignored stays so. In a thread, where Python
    hears no signals, and among several processes, which would stop at different steps, nothing is
    held back.
    """
    came: list[signal.Signals] = []
    if threading.current_thread() is not threading.main_thread() or world_size() > 1:
        yield came
        return
    handlers = {number: signal.getsignal(number) for number in signals}
    # None is a handler that is not Python's, which could not be put back.
    before = {n: each for n, each in handlers.items() if each not in (None, signal.SIG_IGN)}

    def hold(number: int, frame: object) -> None:
        signal.signal(number, before[signal.Signals(number)])
        came.append(signal.Signals(number))

    for number in before:
        signal.signal(number, hold)
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for number in came:
        signal.raise_signal(number)

"""Randomness: every stochastic thing derives its own generator from seed, stage and step.

Try it: ``numpy_generator(0, "demo").random()``.
"""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

__all__ = ["derive_seed", "numpy_generator", "preserve_global_rng", "seeded_torch"]


def derive_seed(seed: int, *names: str | int) -> int:
    """Return a 63-bit seed that depends on ``seed`` and on every name, in order.

    Examples
    --------
    >>> derive_seed(0, "pretrain", 1) == derive_seed(0, "pretrain", 1)
    True
    >>> derive_seed(0, "pretrain", 1) == derive_seed(0, "pretrain", 2)
    False
    """
    text = "\x1f".join([str(int(seed)), *map(str, names)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def numpy_generator(seed: int, *names: str | int) -> np.random.Generator:
    """Return a numpy generator of its own for this seed and these names."""
    return np.random.default_rng(derive_seed(seed, *names))


@contextmanager
def preserve_global_rng() -> Iterator[None]:
    """Run a library that seeds globally (Snorkel's ``fit``) and put every global state back."""
    python_state = random.getstate()
    numpy_state = np.random.get_state()  # noqa: NPY002  saved and restored, never drawn from
    torch = sys.modules.get("torch")
    torch_state = torch.get_rng_state() if torch is not None else None
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        if torch is not None and torch_state is not None:
            torch.set_rng_state(torch_state)


@contextmanager
def seeded_torch(seed: int, *names: str | int) -> Iterator[None]:
    """Lend torch's global generator, seeded by these names, and put every global state back.

    For what takes no generator of its own: torch's layers draw their first weights from the
    global one only.
    """
    import torch

    with preserve_global_rng():
        torch.manual_seed(derive_seed(seed, *names))
        yield

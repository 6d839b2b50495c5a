"""Teachers: frozen copies of a student that follow it by an exponential moving average.

Try it: ``teacher = frozen_copy(head)``, then ``follow(teacher, [head], 0.99)`` after each step.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import nn

from ssl_models.schedules import cosine

__all__ = ["cosine_momentum", "follow", "frozen_copy"]

M = TypeVar("M", bound=nn.Module)


def frozen_copy(module: M) -> M:
    """Return a copy that no optimiser moves.

    Buffers that are not part of the weights stay shared: the trainer sets the pixel normalisation
    of the student after its method is built, and the teacher must see the same pixels.
    """
    shared = {
        id(buffer): buffer
        for part in module.modules()
        for name, buffer in part._buffers.items()
        if name in part._non_persistent_buffers_set
    }
    return copy.deepcopy(module, shared).requires_grad_(False)


@torch.no_grad()
def follow(teacher: nn.Module, students: Sequence[nn.Module], momentum: float) -> None:
    """Move the teacher's parameters: ``momentum`` of the old, the rest of the students'.

    Buffers are left alone: batch norm statistics of a teacher in training mode are its own, as in
    the code of MoCo and BYOL.

    Parameters
    ----------
    students
        The modules whose parameters, one after the other, are those of ``teacher``.
    momentum
        0 copies, 1 stands still.
    """
    mine: list[torch.Tensor] = list(teacher.parameters())
    theirs: list[torch.Tensor] = [p for student in students for p in student.parameters()]
    torch._foreach_lerp_(mine, theirs, 1 - momentum)


def cosine_momentum(start: float, step: int, total_steps: int) -> float:
    """Return the momentum after ``step`` steps: rises along half a cosine from ``start`` to 1.

    References
    ----------
    Grill et al. 2020, "Bootstrap your own latent", arXiv:2006.07733, section 3.2.

    Examples
    --------
    >>> [round(cosine_momentum(0.9, step, 4), 3) for step in range(5)]
    [0.9, 0.915, 0.95, 0.985, 1.0]
    """
    return cosine(start, 1, step / total_steps)

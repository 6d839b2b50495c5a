"""What several processes share: rank, collectives with gradient, batch norm over all of them.

Every function is right for one process too, so callers ask nothing. Two processes on half a batch
each compute what one process computes on the whole: draws come from one shared table
(:func:`shared_rows`), losses see every embedding (:func:`gather`), and batch statistics are those
of the whole batch (:class:`GlobalBatchNorm`), as SimCLR asks (Chen et al. 2020, section 2.1). We
use global statistics and not those of fixed small groups ("ghost" batch norm) because one
process, the usual case, then runs torch's fused kernel and pays nothing for the option.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

__all__ = [
    "GlobalBatchNorm",
    "agree_on",
    "barrier",
    "gather",
    "local_rank",
    "mean_over_processes",
    "micro_batch",
    "parallel",
    "rank",
    "shared_rows",
    "world_size",
]


def world_size() -> int:
    """Return how many processes train together, 1 outside ``torchrun``."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return this process's number, 0 outside ``torchrun``."""
    return dist.get_rank() if world_size() > 1 else 0


def local_rank() -> int:
    """Return this process's number on its machine, which is the number of its CUDA device."""
    return int(os.environ.get("LOCAL_RANK", "0")) if world_size() > 1 else 0


_micro_batch = (0, 1)  # which of how many is being drawn


@contextmanager
def micro_batch(number: int, n_micro_batches: int) -> Iterator[None]:
    """Let :func:`shared_rows` hand out the rows of one of the micro-batches of a step."""
    global _micro_batch
    _micro_batch = number, n_micro_batches
    try:
        yield
    finally:
        _micro_batch = 0, 1


def shared_rows(n_local: int, n_columns: int, generator: torch.Generator) -> Tensor:
    """Return this process's (n_local, n_columns) share of a table of uniforms in [0, 1).

    Each process draws the whole table, for each micro-batch anew from an equal generator, and keeps
    its rows: an image's row depends on the number of neither.
    """
    number, n_micro_batches = _micro_batch
    n_shares, share = n_micro_batches * world_size(), number * world_size() + rank()
    table = torch.rand(n_local * n_shares, n_columns, generator=generator)
    return table[share * n_local : (share + 1) * n_local]


class _AllReduce(torch.autograd.Function):
    """Sum over processes; the gradient is summed too, as every process's loss uses the sum."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        total = grad.contiguous().clone()
        dist.all_reduce(total)
        return total


def gather(x: Tensor) -> Tensor:
    """Return the rows (N, d) of all processes in rank order (world * N, d), with gradient."""
    if world_size() == 1:
        return x
    padded = x.new_zeros(world_size(), *x.shape).index_put((torch.tensor(rank()),), x)
    return _AllReduce.apply(padded).flatten(0, 1)  # type: ignore[no-any-return]


def mean_over_processes(x: Tensor) -> Tensor:
    """Return the mean of ``x`` over processes, without gradient."""
    if world_size() == 1:
        return x.detach()
    total = x.detach().clone()
    dist.all_reduce(total)
    return total / world_size()


def agree_on(number: int) -> int:
    """Return the first process's number in every process."""
    if world_size() == 1:
        return number
    box = [number]
    dist.broadcast_object_list(box)
    return box[0]


def barrier() -> None:
    """Wait until every process is here."""
    if world_size() > 1:
        dist.barrier()


def parallel(module: nn.Module, device: torch.device) -> nn.Module:
    """Return the module that averages gradients over processes; itself where there is one."""
    if world_size() == 1:
        return module
    ids = [device.index] if device.type == "cuda" else None
    return nn.parallel.DistributedDataParallel(module, device_ids=ids)


class GlobalBatchNorm(nn.BatchNorm2d):
    """Batch norm of (N, d) or (N, C, H, W) by the statistics of all processes' rows.

    torch's ``SyncBatchNorm`` does this on CUDA alone; this one runs wherever ``all_reduce`` does.
    Processes may bring different numbers of rows, as of masked patches.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        return None  # 2-D rows and 4-D images alike

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised rows; in training they also update the running statistics."""
        if not self.training or world_size() == 1:
            return super().forward(x)
        axes = [axis for axis in range(x.ndim) if axis != 1]
        shape = [1, -1] + [1] * (x.ndim - 2)
        wide = x.float()
        n_local = wide.new_tensor([wide.numel() // wide.shape[1]])
        total = _AllReduce.apply(torch.cat([wide.sum(axes), n_local]))  # (C + 1,)
        n = total[-1].detach()
        mean = total[:-1] / n
        centred = wide - mean.view(shape)
        variance = _AllReduce.apply(centred.square().sum(axes)) / n
        self._remember(mean.detach(), variance.detach() * (n / (n - 1).clamp(min=1)))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        out: Tensor = centred * scale.view(shape) + self.bias.view(shape)
        return out.to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)

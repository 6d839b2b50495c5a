"""Two processes against one: statistics and gradients are those of the whole batch."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
import torch.distributed as dist
from torch import multiprocessing, nn

from ssl_models.distributed import GlobalBatchNorm, micro_batch, shared_rows

ROWS = (3, 7)  # of each process: of masked patches none knows how many the others have


def draw(seed: int) -> torch.Tensor:
    return torch.randn(sum(ROWS), 4, generator=torch.Generator().manual_seed(seed))


def normalise(norm: nn.Module, x: torch.Tensor, weight: torch.Tensor) -> dict[str, torch.Tensor]:
    x = x.clone().requires_grad_()
    out = norm(x)
    (out * weight).sum().backward()
    return {"out": out.detach(), "grad": x.grad, **norm.state_dict()}


def worker(rank: int, folder: Path) -> None:
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=len(ROWS))
    x, weight = (draw(seed).split(ROWS)[rank] for seed in (0, 1))
    torch.save(normalise(GlobalBatchNorm(4), x, weight), folder / f"{rank}.pt")
    dist.destroy_process_group()


def test_batch_norm_of_unequal_shares_is_that_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Children would run the main module, which pages that were tested before may have replaced.
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    multiprocessing.spawn(worker, (tmp_path,), nprocs=len(ROWS))
    parts = [torch.load(tmp_path / f"{rank}.pt") for rank in range(len(ROWS))]
    whole = normalise(nn.BatchNorm1d(4), draw(0), draw(1))
    for name in ("out", "grad"):
        torch.testing.assert_close(torch.cat([part[name] for part in parts]), whole[name])
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        for part in parts:
            torch.testing.assert_close(part[name], whole[name])


def test_micro_batches_share_out_one_table() -> None:
    whole = shared_rows(6, 2, torch.Generator().manual_seed(0))
    parts = []
    for number in range(3):
        with micro_batch(number, 3):
            parts.append(shared_rows(2, 2, torch.Generator().manual_seed(0)))
    assert torch.equal(torch.cat(parts), whole)
    assert torch.equal(shared_rows(6, 2, torch.Generator().manual_seed(0)), whole)

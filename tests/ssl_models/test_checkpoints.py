from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch

from ssl_models.checkpoints import CheckpointStore, pack, unpack, write_json
from weaklight.errors import StorageError, TrainingError


def save(store: CheckpointStore, step: int) -> None:
    store.save(step, {"x": torch.full((3,), float(step))}, {"history": [step]})


def test_newest_of_two_kept(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "scratch")
    assert store.newest() is None
    for step in (5, 10, 15):
        save(store, step)
    assert store.steps() == [10, 15]
    newest = store.newest()
    assert newest is not None and newest.step == 15 and newest.meta["history"] == [15]
    assert newest.tensors["x"].tolist() == [15.0] * 3


@pytest.mark.parametrize("file", ["state.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["cut", "gone", "flipped"])
def test_a_damaged_newest_falls_back(tmp_path: Path, file: str, damage: str) -> None:
    store = CheckpointStore(tmp_path)
    save(store, 5)
    save(store, 10)
    path = tmp_path / "checkpoint-00000010" / file
    payload = path.read_bytes()
    if damage == "cut":
        path.write_bytes(payload[:-10])
    elif damage == "flipped":
        path.write_bytes(payload[:-8] + bytes([payload[-8] ^ 1]) + payload[-7:])
    else:
        path.unlink()
    newest = store.newest()
    assert newest is not None and newest.step == 5
    save(store, 10)  # the run comes by again and replaces it
    assert store.load(10).step == 10


def test_a_write_that_was_killed_leaves_no_trace(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    save(store, 5)
    (tmp_path / ".writing").mkdir()
    (tmp_path / ".writing" / "state.safetensors").write_bytes(b"half")
    assert store.steps() == [5]
    save(store, 10)
    assert store.steps() == [5, 10] and not (tmp_path / ".writing").exists()


def test_full_disk_is_named_and_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_json(tmp_path / "a.json", {"v": 1})

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="disk is full"):
        write_json(tmp_path / "a.json", {"v": 2})
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    assert '"v": 1' in (tmp_path / "a.json").read_text()


def test_optimiser_state_comes_back_in_the_layout_of_its_parameter() -> None:
    def make() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
        generator = torch.Generator().manual_seed(0)
        module = torch.nn.Conv2d(2, 3, 3)
        for parameter in module.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator)
        module.to(memory_format=torch.channels_last)
        return module, torch.optim.AdamW(module.parameters(), fused=True)

    def step(module: torch.nn.Module, optimiser: torch.optim.Optimizer) -> None:
        module(torch.ones(1, 2, 5, 5)).square().sum().backward()
        optimiser.step()
        optimiser.zero_grad()

    first, second = make(), make()
    step(*first)
    stored = {
        name: t.clone(memory_format=torch.contiguous_format) for name, t in pack(*first).items()
    }
    unpack(*second, stored, "test")
    weight = second[0].weight
    assert second[1].state[weight]["exp_avg"].stride() == weight.stride()
    step(*first)
    step(*second)
    for a, b in zip(first[0].parameters(), second[0].parameters(), strict=True):
        assert torch.equal(a, b)


def test_weights_that_do_not_fit_are_refused() -> None:
    module = torch.nn.Linear(2, 2)
    optimiser = torch.optim.AdamW(module.parameters())
    with pytest.raises(TrainingError, match=r"missing .*bias"):
        unpack(module, optimiser, {"module.weight": torch.zeros(2, 2)}, "test")


@pytest.mark.parametrize(
    ("gone", "new"),
    [
        ("optimiser.1.exp_avg_sq", None),
        (None, "optimiser.2.exp_avg"),
        (None, "optimiser.0.momentum_buffer"),
    ],
)
def test_an_optimiser_that_does_not_fit_is_refused(gone: str | None, new: str | None) -> None:
    module = torch.nn.Linear(2, 2)
    optimiser = torch.optim.AdamW(module.parameters())
    module(torch.ones(1, 2)).sum().backward()
    optimiser.step()
    tensors = pack(module, optimiser)
    unpack(module, optimiser, tensors, "test")
    if gone:
        del tensors[gone]
    if new:
        tensors[new] = torch.zeros(2)
    with pytest.raises(TrainingError, match="optimiser in test"):
        unpack(module, optimiser, tensors, "test")

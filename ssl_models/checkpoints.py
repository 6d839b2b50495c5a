"""Checkpoints that survive a kill: written aside, synced, renamed; damaged ones are passed over.

::

    scratch/checkpoint-00000050/state.safetensors    model, optimiser
    scratch/checkpoint-00000050/state.json           step, history, fingerprint, sha256 of the above
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from weaklight.errors import StorageError, TrainingError

__all__ = [
    "Checkpoint",
    "CheckpointStore",
    "pack",
    "strict_load",
    "unpack",
    "write_json",
    "write_tensors",
]

logger = logging.getLogger(__name__)
PREFIX = "checkpoint-"


@dataclass(frozen=True)
class Checkpoint:
    """What one checkpoint holds."""

    step: int
    tensors: dict[str, Tensor]
    meta: dict[str, Any]


class CheckpointStore:
    """The checkpoints of one run, newest last.

    Parameters
    ----------
    folder
        Where they lie; created when missing.
    keep
        How many are kept; two, so that one damaged file costs one interval and not the run.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder, self.keep = folder, keep
        folder.mkdir(parents=True, exist_ok=True)

    def steps(self) -> list[int]:
        """Return the steps that have a checkpoint, in rising order; some may be damaged."""
        return sorted(
            int(path.name.removeprefix(PREFIX)) for path in self.folder.glob(PREFIX + "*")
        )

    def save(self, step: int, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Write a checkpoint and drop those beyond ``keep``; a kill at any moment loses none.

        Raises
        ------
        StorageError
            If the disk is full or cannot be written.
        """
        final, aside = self._path(step), self.folder / ".writing"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        digest = write_tensors(aside / "state.safetensors", tensors)
        write_json(aside / "state.json", {**meta, "step": step, "sha256": digest})
        shutil.rmtree(final, ignore_errors=True)  # a damaged one that was passed over
        aside.rename(final)
        _sync_folder(self.folder)
        for old in self.steps()[: -self.keep]:
            shutil.rmtree(self._path(old), ignore_errors=True)

    def load(self, step: int) -> Checkpoint:
        """Return the checkpoint of ``step``.

        Raises
        ------
        TrainingError
            If a file is missing or damaged.
        """
        path = self._path(step)
        try:
            meta = json.loads((path / "state.json").read_bytes())
            payload = (path / "state.safetensors").read_bytes()
            if hashlib.sha256(payload).hexdigest() != meta["sha256"]:
                raise ValueError("its sha256 differs")
            return Checkpoint(step, load(payload), meta)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise TrainingError(
                f"checkpoint {path} is damaged ({error}); delete it to go on from the one before"
            ) from error

    def newest(self) -> Checkpoint | None:
        """Return the newest checkpoint that is whole, None when there is none."""
        for step in reversed(self.steps()):
            try:
                return self.load(step)
            except TrainingError as error:
                logger.warning("%s; passing over it", error)
        return None

    def _path(self, step: int) -> Path:
        return self.folder / f"{PREFIX}{step:08d}"


def write_bytes(path: Path, payload: bytes) -> None:
    """Write a file whole or not at all.

    Raises
    ------
    StorageError
        If the disk is full or cannot be written.
    """
    aside = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        aside.unlink(missing_ok=True)
        reason = "the disk is full" if error.errno == errno.ENOSPC else str(error)
        raise StorageError(
            f"{path} could not be written: {reason}; make room and run again, training goes on "
            "from its last checkpoint"
        ) from error


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON with sorted keys: equal content gives equal bytes."""
    text = json.dumps(content, indent=1, sort_keys=True, allow_nan=False)
    write_bytes(path, text.encode() + b"\n")


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write tensors as safetensors and return the sha256 of the file."""
    payload = save({name: t.detach().cpu().contiguous() for name, t in tensors.items()})
    write_bytes(path, payload)
    return hashlib.sha256(payload).hexdigest()


def pack(module: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return weights, buffers and optimiser state under flat names."""
    tensors = {f"module.{name}": tensor for name, tensor in module.state_dict().items()}
    for index, parameter in enumerate(_parameters(optimiser)):
        for key, value in optimiser.state[parameter].items():
            tensors[f"optimiser.{index}.{key}"] = value
    return tensors


def unpack(
    module: nn.Module, optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor], source: str
) -> None:
    """Put back what :func:`pack` returned.

    Raises
    ------
    TrainingError
        If a weight or an entry of the optimiser is missing, unexpected or of another shape.
    """
    weights = {k.removeprefix("module."): t for k, t in tensors.items() if k.startswith("module.")}
    strict_load(module, weights, source)
    parameters = _parameters(optimiser)
    state: dict[int, dict[str, Tensor]] = {index: {} for index in range(len(parameters))}
    for name, value in tensors.items():
        if name.startswith("optimiser."):
            _, number, key = name.split(".", 2)
            state.setdefault(int(number), {})[key] = value
    complete = set().union(*state.values())
    broken = [
        index
        for index, entries in state.items()
        # A parameter that never had a gradient has no entries.
        if index >= len(parameters) or (entries and entries.keys() != complete)
    ]
    if broken:
        raise TrainingError(
            f"the optimiser in {source} does not fit: {len(parameters)} parameters should each "
            f"have {sorted(complete)} or nothing, but {broken} do not; were they trained with "
            "other settings?"
        )
    for index, parameter in enumerate(parameters):
        for key, value in state[index].items():
            if value.shape == parameter.shape:
                # The fused kernel walks parameter and state side by side in memory: the state
                # must have the parameter's strides (channels_last), which files do not keep.
                value = torch.empty_like(parameter).copy_(value)
            optimiser.state[parameter][key] = value.to(parameter.device)


def _parameters(optimiser: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]


def strict_load(module: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Load tensors into a module, every one of them into a place of its name and shape.

    Raises
    ------
    TrainingError
        If a key is missing or unexpected, or a shape differs.
    """
    expected = {name: tensor.shape for name, tensor in module.state_dict().items()}
    came = {name: tensor.shape for name, tensor in tensors.items()}
    if expected != came:
        differ = [n for n in expected.keys() & came.keys() if expected[n] != came[n]]
        raise TrainingError(
            f"the weights in {source} do not fit the model: missing "
            f"{_first_few(expected.keys() - came.keys())}, unexpected "
            f"{_first_few(came.keys() - expected.keys())}, of another shape {_first_few(differ)}; "
            "were they trained with other settings?"
        )
    # torch's own strict mode would let a missing batch norm counter pass.
    module.load_state_dict(dict(tensors), strict=True)


def _first_few(names: Collection[str], n: int = 4) -> str:
    listed = ", ".join(sorted(names)[:n]) or "nothing"
    return listed if len(names) <= n else f"{listed} and {len(names) - n} more"


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Checkpoints of a training by epochs: nested state as tensors and JSON, kept by `CheckpointStore`.

Try it: ``train_robustly(..., checkpoints=EpochStore(work.scratch / "finetune"))``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from ssl_models.checkpoints import CheckpointStore

__all__ = ["EpochStore"]


class EpochStore:
    """What `train_robustly` keeps after each epoch.

    Parameters
    ----------
    folder
        Of one training alone: other settings, labels or images need another folder.
    """

    def __init__(self, folder: Path) -> None:
        self._store = CheckpointStore(folder)

    def save(self, epoch: int, state: dict[str, Any]) -> None:
        """Write tensors, plain JSON and dicts and lists of them; a kill at any moment loses none.

        Raises
        ------
        StorageError
            If the disk is full or cannot be written.
        """
        tensors: dict[str, Tensor] = {}
        plain = _split(state, tensors)
        self._store.save(epoch, tensors, {"state": plain})

    def newest(self) -> tuple[int, dict[str, Any]] | None:
        """Return epochs done and the state of the newest whole checkpoint, None without one."""
        kept = self._store.newest()
        return None if kept is None else (kept.step, _join(kept.meta["state"], kept.tensors))


def _split(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Move tensors out; dicts become lists of pairs, since JSON would turn number keys to text."""
    if isinstance(value, Tensor):
        name = f"{len(tensors):06d}"
        tensors[name] = value.clone()  # safetensors refuses two names for one memory
        return {"tensor": name}
    if isinstance(value, dict):
        return {"dict": [[key, _split(inner, tensors)] for key, inner in value.items()]}
    if isinstance(value, list | tuple):
        return {"list": [_split(inner, tensors) for inner in value]}
    return {"plain": value}


def _join(value: dict[str, Any], tensors: dict[str, Tensor]) -> Any:
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {key: _join(inner, tensors) for key, inner in content}
    if kind == "list":
        return [_join(inner, tensors) for inner in content]
    return content

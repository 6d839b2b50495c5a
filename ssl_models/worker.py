"""The worker that :func:`ssl_models.launch.launch` starts.

It can also be started by hand::

    torchrun --nproc-per-node 2 -m ssl_models.worker --spec spec.json

where ``spec.json`` holds ``pixels`` (a .npy), ``config``, ``out`` and ``scratch``.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from ssl_models.distributed import local_rank, rank
from ssl_models.hardware import resolve_device
from ssl_models.launch import MARK, LaunchSpec
from ssl_models.trainer import pretrain
from weaklight.errors import WeaklightError

PR_SET_PDEATHSIG = 1


def _agent(spec: str, processes: int, parent: int) -> None:
    """Become torchrun, and end when the launcher does, however it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it ended before the line above
            return
    from torch.distributed.run import main as torchrun

    torchrun(
        ["--standalone", f"--nproc-per-node={processes}", "-m", "ssl_models.worker", "--spec", spec]
    )


def _worker(path: Path) -> int:
    """Train as one of several processes; speak to the launcher on stdout."""
    spec = LaunchSpec.read(path)
    device = resolve_device(spec.config.device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    if device.type == "cuda":
        torch.cuda.set_device(local_rank())
    try:
        pixels = np.load(spec.pixels, mmap_mode="r", allow_pickle=False)
        result = pretrain(
            pixels,
            spec.config,
            spec.out,
            spec.scratch,
            progress=lambda *step: _say({"progress": step}),
        )
        _say({"result": result})
        return 0
    except WeaklightError as error:
        _say({"error": type(error).__name__, "message": str(error)})
        return error.exit_code
    finally:
        dist.destroy_process_group()


def _say(word: dict[str, Any]) -> None:
    if rank() == 0 or "error" in word:
        sys.stdout.write(MARK + json.dumps(word) + "\n")
        sys.stdout.flush()


def main() -> int:
    """Start torchrun (with ``--processes``) or be one of its workers."""
    parser = argparse.ArgumentParser(prog="python -m ssl_models.worker")
    parser.add_argument("--spec", type=Path, required=True)
    parser.add_argument("--processes", type=int, help="start so many workers and wait for them")
    parser.add_argument("--parent", type=int, default=os.getppid(), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.processes:
        _agent(str(arguments.spec), arguments.processes, arguments.parent)
        return 0
    return _worker(arguments.spec)


if __name__ == "__main__":
    sys.exit(main())

"""Images per second of a full training step, ours against lightly's recipe.

Run it alone: ``python -m benchmarks.ssl_throughput``. It needs no network; its last line is one
flat JSON object. ``docs/benchmarks.md`` says what each key means.

Both sides train the same backbone on the same batch and view sizes with two threads. Ours is a
step of the trainer: augmentation, bf16 where the hardware has it, optimiser, teacher, monitor and
checkpoints. The peer's images are augmented by two worker processes, which share the cores with
its step. The sides take turns (ours, peer, peer in bf16, ours, ...), each in a process of its own,
as a training has: workers that a process forks turn its huge pages into small ones, which slowed
whoever shared it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import metadata
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.machine import describe
from ssl_models import TrainConfig, build_backbone, suggest_settings
from ssl_models.hardware import autocast, resolve_device, resolve_precision
from ssl_models.trainer import ImageTrainer

METHODS = ("simclr", "mocov2", "byol", "dino")
SIZES = (32, 96)
WIDTHS = {"compact": 32, "resnet18": 64}
PEERS = {"lightly": "fp32", "lightly_bf16": "bf16"}
THREADS = 2
WORKERS = 2
N_IMAGES = 2048
ROUNDS = 5
MATMUL_SIDE = 2048

Step = Callable[[], object]


class Side(NamedTuple):
    """One of those who take turns: what starts a turn and returns its step; steps to warm up."""

    begin: Callable[[], Step]
    warm_up: int
    device: torch.device
    trainer: ImageTrainer | None = None  # ours has one


class Work(NamedTuple):
    """What a turn did. ``cpu_seconds`` counts this process and its children."""

    steps: int
    seconds: float
    cpu_seconds: float


def main() -> None:
    """Measure every cell and print the results."""
    options = _options()
    torch.set_num_threads(THREADS)
    peak = _matmul_peak(resolve_device("auto"))
    results: dict[str, Any] = {}
    for size in options.sizes:
        for method in options.methods:
            cell = _measure(method, size, options, peak)
            print(f"{method} {size}: {json.dumps(cell)}", flush=True)
            results |= {f"{method}_{size}_{key}": value for key, value in cell.items()}
    shares = [value for key, value in results.items() if key.endswith("_matmul_peak_share")]
    versions = {name: metadata.version(name) for name in ("torchvision", "lightly") if _has(name)}
    machine: dict[str, Any] = describe()
    print(json.dumps(results | {
        "matmul_peak_share": round(median(shares), 3),
        "matmul_peak_gflops": round(peak / 1e9),
        "backbone": options.backbone,
        "batch_size": options.batch_size,
        **machine,
        "versions": machine["versions"] | versions,
    }))  # fmt: skip


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Training speed against lightly.")
    parser.add_argument("--methods", default=",".join(METHODS), help="comma-separated")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="pixels a side")
    parser.add_argument("--seconds", type=float, default=60, help="of measuring each cell")
    parser.add_argument("--batch-size", type=int, default=64, help="64 is the trainer's own")
    parser.add_argument("--backbone", choices=WIDTHS, default="compact")
    options = parser.parse_args()
    options.methods = options.methods.split(",")
    options.sizes = [int(size) for size in options.sizes.split(",")]
    return options


def _measure(method: str, size: int, options: argparse.Namespace, peak: float) -> dict[str, Any]:
    """Return the keys of one cell, without its prefix."""
    reasons = {name: _why_not(precision) for name, precision in PEERS.items()}
    names = ["ours", *(name for name, reason in reasons.items() if reason is None)]
    seconds = options.seconds / len(names) / ROUNDS
    works: dict[str, list[Work]] = {name: [] for name in names}
    with ExitStack() as stack:
        ask = {name: stack.enter_context(_process(name, method, size, options)) for name in names}
        flops = ask["ours"](_flops_of_a_step)
        for _ in range(ROUNDS):
            for name in names:
                works[name].append(ask[name](_turn, seconds))
        share = ask["ours"](_augment_share, seconds)
    rates = {name: [work.steps / work.seconds for work in works[name]] for name in names}
    cheapness = {name: [work.steps / work.cpu_seconds for work in works[name]] for name in names}
    speed = median(rates["ours"])
    cell: dict[str, Any] = {"images_per_s": round(speed * options.batch_size, 1)}
    for name, reason in reasons.items():
        if reason is None:
            cell[f"{name}_images_per_s"] = round(median(rates[name]) * options.batch_size, 1)
            cell[f"vs_{name}"] = _ratio(rates["ours"], rates[name])
            cell[f"vs_{name}_cpu_time"] = _ratio(cheapness["ours"], cheapness[name])
        else:
            cell |= {f"vs_{name}": None, f"vs_{name}_reason": reason}
    return cell | {
        "augment_share": round(share, 3),
        "matmul_peak_share": round(speed * flops / peak, 3),
    }


def _ratio(ours: list[float], theirs: list[float]) -> float:
    """Return the median ratio; turns of one round are neighbours in time, so load cancels."""
    return round(median(a / b for a, b in zip(ours, theirs, strict=True)), 2)


@contextmanager
def _process(
    name: str, method: str, size: int, options: argparse.Namespace
) -> Iterator[Callable[..., Any]]:
    """Yield what calls a function of a :class:`Side` in a process that holds this side alone."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, name, method, size, options))
    process.start()
    there.close()  # so that the end of the process ends a wait for its answer

    def ask(do: Callable[..., Any], *arguments: Any) -> Any:
        here.send((do, arguments))
        return here.recv()

    try:
        yield ask
    finally:
        here.close()
        process.join()


def _serve(
    pipe: Connection, name: str, method: str, size: int, options: argparse.Namespace
) -> None:
    torch.set_num_threads(THREADS)
    pixels = np.random.default_rng(0).integers(0, 256, (N_IMAGES, size, size, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory(prefix="weaklight-speed-") as scratch:
        side = (
            _ours(method, pixels, options, Path(scratch))
            if name == "ours"
            else _lightly(method, pixels, options, PEERS[name])
        )
        while True:
            try:
                do, arguments = pipe.recv()
            except EOFError:
                return
            pipe.send(do(side, *arguments))


def _turn(side: Side, seconds: float) -> Work:
    step = side.begin()
    for _ in range(side.warm_up):
        step()
    return _repeat(step, seconds, side.device)


def _why_not(precision: str) -> str | None:
    if not _has("lightly"):
        return 'lightly is not installed; pip install -e ".[dev]"'
    if resolve_precision("auto", resolve_device("auto")) == "fp32" and precision == "bf16":
        return "this machine does not multiply bf16"
    return None


def _has(package: str) -> bool:
    return find_spec(package) is not None


def _ours(
    method: str, pixels: NDArray[np.uint8], options: argparse.Namespace, scratch: Path
) -> Side:
    suggested, _ = suggest_settings(len(pixels), pixels.shape[1], pixels.shape[3])
    config = TrainConfig(
        method=method,
        augment=suggested.augment,
        backbone=options.backbone,
        width=WIDTHS[options.backbone],
        batch_size=options.batch_size,
        steps=10**6,  # the clock ends the run, not the schedule
    )
    trainer = ImageTrainer(pixels, config, scratch)
    return Side(lambda: trainer.train_step, warm_up=1, device=trainer.device, trainer=trainer)


def _lightly(
    method: str, pixels: NDArray[np.uint8], options: argparse.Namespace, precision: str
) -> Side:
    from benchmarks.lightly_recipes import loader, recipe

    device = resolve_device("auto")
    torch.manual_seed(0)
    backbone = build_backbone(
        options.backbone,
        channels=pixels.shape[3],
        image_size=pixels.shape[1],
        width=WIDTHS[options.backbone],
    )
    # The transform normalises; plain fp32 keeps torch's usual layout.
    layout = torch.channels_last if precision == "bf16" else torch.contiguous_format
    peer = recipe(method, backbone.body, backbone.dim, pixels.shape[1])
    peer.to(memory_format=layout).to(device).train()
    optimiser = peer.optimiser()

    def begin() -> Step:
        # Workers live for one turn: else they would prepare batches while it is ours.
        # Forked, as they are where no process was spawned: spawned ones take seconds to begin.
        batches = loader(peer, pixels, options.batch_size, WORKERS, multiprocessing_context="fork")

        def step() -> None:
            peer.before_step()
            views = [view.to(device, memory_format=layout) for view in next(batches)]
            with autocast(device, precision):
                loss = peer(views)
            loss.backward()
            optimiser.step()
            optimiser.zero_grad()

        return step

    # Until the queue is as full or empty as it stays.
    return Side(begin, warm_up=2 * WORKERS, device=device)


def _augment_share(side: Side, seconds: float) -> float:
    """Return the share of a step's time that drawing the views takes."""
    trainer = side.trainer
    assert trainer is not None
    draw, device, spent = trainer.method.views, trainer.device, 0.0

    def timed(*arguments: Any) -> Any:
        nonlocal spent
        started = _now(device)
        views = draw(*arguments)
        spent += _now(device) - started
        return views

    trainer.method.views = timed  # type: ignore[method-assign]
    work = _repeat(trainer.train_step, seconds, device)
    trainer.method.views = draw  # type: ignore[method-assign]
    return spent / work.seconds


def _flops_of_a_step(side: Side) -> int:
    """Return the floating point operations of products and convolutions, both passes."""
    assert side.trainer is not None
    with FlopCounterMode(display=False) as counter:
        side.trainer.train_step()
    return counter.get_total_flops()


def _matmul_peak(device: torch.device) -> float:
    """Return the operations per second of a large bf16 product, fp32 where bf16 is emulated."""
    dtype = torch.bfloat16 if resolve_precision("auto", device) == "bf16" else torch.float32
    a = torch.randn(MATMUL_SIDE, MATMUL_SIDE, device=device).to(dtype)
    a @ a
    works = [_repeat(lambda: a @ a, 0.2, device) for _ in range(ROUNDS)]
    return 2 * MATMUL_SIDE**3 * max(work.steps / work.seconds for work in works)


def _repeat(step: Step, seconds: float, device: torch.device) -> Work:
    """Do steps for at least ``seconds``."""
    steps, started, cpu = 0, _now(device), _cpu_seconds()
    while time.perf_counter() - started < seconds:
        step()
        steps += 1
    return Work(steps, _now(device) - started, _cpu_seconds() - cpu)


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _cpu_seconds() -> float:
    me = psutil.Process()
    times = [process.cpu_times() for process in [me, *me.children()]]
    return sum(spent.user + spent.system for spent in times)


if __name__ == "__main__":
    main()

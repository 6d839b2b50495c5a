"""Every SSL method given the same few minutes, judged by kNN and a linear probe on CIFAR-10.

Run it alone: ``python -m benchmarks.ssl_quality --budget-s 600 [--methods simclr,dino]``. Each row
is measured in a process of its own and appended to the results file as it finishes; a second call
goes on where the first stopped. The last line is one flat JSON object of all rows with this budget.

Images are `cifar10/train_20k` (JPEG copies, slightly lossy), without their labels in training. A
method's settings are what ``weaklight pretrain`` would take for these images; its number of steps
is what fits the budget at the speed of its first steps. On a CPU a second is a CPU second of each
of its threads, so other work on the machine shortens no one's training; lightly, which has workers
beside it, is given wall time and wants a quiet machine. Neighbours (k = 20) and probe learn from
the 20,000 labelled images and are judged on `test_5k`; the probe's regularisation is chosen on a
part of the training rows, and no number of this page was chosen by the test images.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.image_sets import cifar10, clothing_photos
from benchmarks.machine import describe, peak_mib

RESULTS = Path("ssl_quality.jsonl")
K = 20
PROBE_STEPS = (5, 15)  # the speed is that of the steps between

Row = dict[str, Any]


def main() -> None:
    """Measure what is missing, then print everything."""
    args = _arguments()
    if args.table:
        print(_table(_done(args)))
        return
    if args.row:
        print(json.dumps(measure(args.row, args.budget_s, args.threads)))
        return
    done = _done(args)
    for name in args.methods:
        if name not in done:
            row = _in_a_process(name, args)
            done[name] = row
            with args.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)
    flat = {"budget_s": args.budget_s, "threads": args.threads}
    for row in done.values():
        flat |= row["keys"]
    print(json.dumps(flat | describe()))


def measure(name: str, budget_s: float, threads: int) -> Row:
    """Return one row: ``{"row", "budget_s", "threads", "keys"}``."""
    import torch

    torch.set_num_threads(threads)
    special: dict[str, Callable[[float, int], Row]] = {
        "baselines": _baselines,
        "lightly": _lightly,
        "audio": _audio,
        "attention": _attention,
    }
    keys = special[name](budget_s, threads) if name in special else _method(name, budget_s, threads)
    return {"row": name, "budget_s": budget_s, "threads": threads, "keys": keys}


# Rows ----------------------------------------------------------------------------------------


def _method(name: str, budget_s: float, threads: int) -> Row:
    from ssl_models import load_encoder, suggest_settings
    from ssl_models.evaluation import random_encoder

    task = cifar10()
    n, size, _, channels = task.train.shape
    data = {"n": n, "size": size, "channels": channels, "method": name}
    settings = replace(suggest_settings(**data)[0], threads=threads)
    steps = steps_within(budget_s, task.train, settings)
    settings = replace(suggest_settings(**data, steps=steps)[0], threads=threads)
    trained = train(task.train, settings, budget_s)
    scores = _scores(task, load_encoder(trained.folder))
    untrained = _scores(task, random_encoder(settings.backbone, settings.width, task.train))
    return {
        f"{name}_{key}": value
        for key, value in {
            "knn": scores.knn.value,
            "linear": scores.linear.value,
            "random_knn": untrained.knn.value,
            "rankme_share": round(trained.summary["rank_share"], 4),
            "std": round(trained.summary["std"], 4),
            "images_per_s": round(trained.images_per_s, 1),
            "epochs": round(trained.images / n, 2),
            "seconds": round(trained.seconds, 1),
            "parameters": trained.summary["parameters"],
            "peak_mib": round(peak_mib()),
            "backbone": f"{settings.backbone}-{settings.width}",
        }.items()
    }


def _baselines(budget_s: float, threads: int) -> Row:
    from ssl_models.evaluation import random_encoder, score_features
    from ssl_models.evaluation.transfer import pixel_features

    task = cifar10()
    pixels = score_features(
        task.with_rows(pixel_features(task.train), pixel_features(task.test)), k=K
    )
    untrained = _scores(task, random_encoder("compact", 32, task.train))
    return {
        "pixels_knn": pixels.knn.value,
        "pixels_linear": pixels.linear.value,
        "random_knn": untrained.knn.value,
        "random_linear": untrained.linear.value,
    }


def _lightly(budget_s: float, threads: int) -> Row:
    """Return the peer: lightly's SimCLR as its examples run it, on our compact backbone."""
    import torch

    from benchmarks.lightly_recipes import loader, recipe
    from ssl_models.evaluation import random_encoder
    from ssl_models.norms import whiten

    task = cifar10()
    encoder = random_encoder("compact", 32, task.train)
    encoder.whitening, encoder.mirrored = torch.nn.Identity(), False
    torch.manual_seed(0)
    peer = recipe("simclr", encoder, encoder.dim, task.train.shape[1])
    optimiser = peer.optimiser()
    images, started = 0, time.perf_counter()
    for views in loader(peer, task.train, 128):
        peer.before_step()
        peer(views).backward()
        optimiser.step()
        optimiser.zero_grad()
        images += len(views[0])
        if (seconds := time.perf_counter() - started) > budget_s:
            break
    scores = _scores(task, encoder.eval())
    encoder.mirrored = True
    whiten(encoder, task.train)
    as_ours = _scores(task, encoder)
    return {
        "lightly_simclr_knn": scores.knn.value,
        "lightly_simclr_linear": scores.linear.value,
        "lightly_simclr_knn_read_as_ours": as_ours.knn.value,  # mirrored and whitened
        "lightly_simclr_images_per_s": round(images / seconds, 1),
        "lightly_simclr_epochs": round(images / len(task.train), 2),
    }


def _audio(budget_s: float, threads: int) -> Row:
    from benchmarks.audio import load_spoken_digits, measure_audio

    return measure_audio(load_spoken_digits(), Path(tempfile.mkdtemp(prefix="weaklight-audio-")))


def _attention(budget_s: float, threads: int) -> Row:
    """Return how well attention finds the person in photographs, as table 6 of the DINO paper.

    DINO and the classifier learn from the same 400 photographs for the same time; DINO without a
    label, the classifier which garments a photograph shows. ``center`` is no network at all.
    """
    from ssl_models import load_encoder, suggest_settings
    from ssl_models.evaluation import random_encoder
    from ssl_models.pictures import attention_maps, best_head_jaccard, keep_mass, to_pixels

    photos, truth, garments = clothing_photos()
    n, height, width, channels = photos.shape
    settings, _ = suggest_settings(
        n=n, size=width, channels=channels, method="dino", backbone="vit_compact"
    )
    settings = replace(settings, threads=threads)
    untrained = random_encoder(settings.backbone, settings.width, photos)
    trained = train(photos, settings, budget_s)
    encoders = {
        "attention_jaccard": load_encoder(trained.folder),
        "attention_jaccard_random": untrained,
        "attention_jaccard_supervised": _classifier(
            photos, garments, untrained, settings, budget_s
        ),
    }
    keys: Row = {"attention_epochs": round(trained.images / n, 1)}
    for key, encoder in encoders.items():
        maps = keep_mass(attention_maps(encoder, photos))
        masks = to_pixels(maps, encoder.body.patch, height, width)
        keys[key] = round(float(best_head_jaccard(masks, truth).mean()), 4)
    ys, xs = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    blob = keep_mass(np.exp(-2 * (ys**2 + xs**2)))[None, None].repeat(n, axis=0)
    keys["attention_jaccard_center"] = round(float(best_head_jaccard(blob, truth).mean()), 4)
    return keys


def _classifier(
    photos: NDArray[np.uint8],
    garments: NDArray[np.float32],
    encoder: Any,
    settings: Any,
    budget_s: float,
) -> Any:
    """Return the encoder of a classifier that learns from the start, for about ``budget_s``."""
    from ssl_models import Augment
    from ssl_models.evaluation import FinetuneConfig, finetune

    options = {
        "augment": Augment(settings.augment),
        "config": FinetuneConfig(epochs=1, encoder_lr=1e-3, threads=settings.threads),
    }
    started = clock(settings.threads)
    finetune(encoder, photos, garments, garments.shape[1], **options)
    epochs = max(1, int(budget_s / (clock(settings.threads) - started)))
    options["config"] = replace(options["config"], epochs=epochs)
    return finetune(encoder, photos, garments, garments.shape[1], **options).encoder


# Parts ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trained:
    """An encoder on disk and what its training took."""

    folder: Path
    summary: dict[str, Any]
    images: int
    seconds: float

    @property
    def images_per_s(self) -> float:
        """Images a second of the whole training."""
        return self.images / self.seconds


def train(pixels: NDArray[np.uint8], settings: Any, budget_s: float) -> Trained:
    """Train for about ``budget_s`` seconds: as many steps as fit at the speed of the first."""
    from ssl_models import pretrain

    steps = steps_within(budget_s, pixels, settings)
    folder = Path(tempfile.mkdtemp(prefix="weaklight-quality-"))
    settings = replace(settings, steps=steps, log_every=50, checkpoint_every=1000)
    started = clock(settings.threads)
    summary = pretrain(pixels, settings, folder / "encoder", folder / "scratch", _print_progress)
    seconds = clock(settings.threads) - started
    return Trained(folder / "encoder", summary, steps * settings.batch_size, seconds)


def steps_within(budget_s: float, pixels: NDArray[np.uint8], settings: Any) -> int:
    """Return how many steps fit at the speed of the first, as many as tell that speed at least."""
    from ssl_models import pretrain

    start, stop = PROBE_STEPS
    at: dict[int, float] = {}
    with tempfile.TemporaryDirectory(prefix="weaklight-probe-") as folder:
        pretrain(
            pixels,
            replace(settings, steps=stop),
            Path(folder) / "encoder",
            Path(folder) / "scratch",
            lambda done, total, message: at.update({done: clock(settings.threads)}),
        )
    per_step = (at[stop - 1] - at[start]) / (stop - 1 - start)
    return max(stop, int(budget_s / per_step))


def clock(threads: int) -> float:
    """Return seconds: of the wall where there is a GPU, else of the CPU and a thread."""
    import torch  # after --help

    return time.perf_counter() if torch.cuda.is_available() else time.process_time() / threads


def _print_progress(done: int, total: int, message: str) -> None:
    if done % 500 == 0:
        print(f"{done}/{total} {message}", file=sys.stderr, flush=True)


def _scores(task: Any, encoder: Any) -> Any:
    from ssl_models import embed
    from ssl_models.evaluation import score_features

    return score_features(
        task.with_rows(embed(encoder, task.train), embed(encoder, task.test)), k=K
    )


def _in_a_process(name: str, args: argparse.Namespace) -> Row:
    command = [sys.executable, "-m", "benchmarks.ssl_quality", "--row", name]
    command += ["--budget-s", str(args.budget_s), "--threads", str(args.threads)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    row: Row = json.loads(output.splitlines()[-1])
    return row


def _done(args: argparse.Namespace) -> dict[str, Row]:
    if not args.results.exists():
        return {}
    rows = [json.loads(line) for line in args.results.read_text(encoding="utf-8").splitlines()]
    wanted = args.budget_s, args.threads
    return {row["row"]: row for row in rows if (row["budget_s"], row["threads"]) == wanted}


def _table(done: dict[str, Row]) -> str:
    """Return the methods' rows as Markdown, the best nearest neighbours first."""
    columns = ("knn", "linear", "random_knn", "rankme_share", "std", "images_per_s", "epochs")
    columns += ("parameters", "peak_mib", "backbone")
    lines = ["| method | " + " | ".join(columns) + " |", "|---" * (1 + len(columns)) + "|"]
    methods = {name: row["keys"] for name, row in done.items() if f"{name}_knn" in row["keys"]}
    for name in sorted(methods, key=lambda name: -methods[name][f"{name}_knn"]):
        cells = (str(methods[name][f"{name}_{column}"]) for column in columns)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    from ssl_models import METHODS

    rows = ["baselines", *METHODS, "lightly", "audio", "attention"]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--budget-s", type=float, default=600, help="training seconds of each row")
    parser.add_argument(
        "--methods",
        type=lambda text: text.split(","),
        default=rows,
        help=f"rows to measure, of {', '.join(rows)}",
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="where rows are appended")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--table", action="store_true", help="print the rows as Markdown instead")
    parser.add_argument("--row", choices=rows, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if unknown := sorted(set(args.methods) - set(rows)):
        parser.error(f"--methods takes {', '.join(rows)}, but {', '.join(unknown)} came")
    return args


if __name__ == "__main__":
    main()

"""What else one encoder is worth: few labels, other data, its layers, its projection head.

Run it alone: ``python -m benchmarks.ssl_evidence --budget-s 240``. Trains SimCLR and rotation on
`cifar10/train_20k` without labels, as ``benchmarks.ssl_quality`` does, and prints one flat JSON
object as its last line. ``--simclr FOLDER`` and ``--rotation FOLDER`` take encoders that are there.

Accuracies are those of 5,000 CIFAR-10 test images, of `examples/fashion`'s test rows for transfer
(classifiers learn from its dev rows), and of 5,000 training images that the classifiers do not
learn from for the layers, so that a layer may be chosen by them.
"""

from __future__ import annotations

import argparse
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image

from benchmarks.image_sets import cifar10
from benchmarks.machine import describe
from benchmarks.ssl_quality import train
from ssl_models import embed, load_encoder, suggest_settings
from ssl_models.evaluation import (
    FeatureScores,
    Task,
    few_labels,
    layer_sweep,
    load_projector,
    projection_head,
    random_encoder,
    transfer,
)

FASHION = Path(__file__).resolve().parents[1] / "examples" / "fashion" / "items.parquet"
HELD_OUT = 5000  # training images by which layers are compared


def fashion() -> Task[Any]:
    """Return the dev rows (n, 28, 28, 1) as training rows and the test rows of the example."""
    rows = pq.read_table(FASHION, columns=["image", "split", "gold"]).to_pylist()
    names = sorted({row["gold"] for row in rows if row["gold"] is not None})
    parts: list[Any] = []
    for split in ("dev", "test"):
        chosen = [row for row in rows if row["split"] == split]
        images = [np.asarray(Image.open(io.BytesIO(row["image"])).convert("L")) for row in chosen]
        parts.append(np.stack(images)[..., None])
        parts.append(np.array([names.index(row["gold"]) for row in chosen]))
    return Task(*parts, n_classes=len(names))


def measure(simclr: Path, parts: list[str]) -> dict[str, Any]:
    """Return the keys of some parts, from the folder that pretraining wrote."""
    task = cifar10()
    encoder = load_encoder(simclr)
    untrained = random_encoder("compact", 32, task.train)
    keys: dict[str, Any] = {}
    if "few" in parts:
        for name, judged in (("simclr", encoder), ("random", untrained)):
            rows = task.with_rows(embed(judged, task.train), embed(judged, task.test))
            for few in few_labels(rows):
                accuracies = [accuracy.value for accuracy in few.accuracies]
                key = f"{name}_labels_{round(100 * few.share)}_percent"
                keys[key] = round(float(np.mean(accuracies)), 4)
                keys[f"{key}_spread"] = round(float(np.std(accuracies, ddof=1)), 4)
    if "transfer" in parts:
        for name, scores in transfer({"simclr": encoder, "random": untrained}, fashion()).items():
            keys |= _keys(f"transfer_{name}", scores)
    if "projection" in parts:
        settings, _ = suggest_settings(n=len(task.train), size=32, channels=3, method="simclr")
        for name, scores in projection_head(
            encoder, load_projector(simclr, settings), task
        ).items():
            keys |= _keys(f"projection_{name}", scores)
    return keys


def measure_layers(rotation: Path) -> dict[str, Any]:
    """Return the scores of each layer of an encoder, on training images it does not learn from."""
    task = cifar10()
    inner = Task(
        task.train[:-HELD_OUT],
        task.train_labels[:-HELD_OUT],
        task.train[-HELD_OUT:],
        task.train_labels[-HELD_OUT:],
        n_classes=10,
    )
    keys: dict[str, Any] = {}
    for name, scores in layer_sweep(load_encoder(rotation), inner).items():
        keys |= _keys(f"rotation_{name}", scores)
    return keys


def _keys(name: str, scores: FeatureScores) -> dict[str, float]:
    return {
        f"{name}_knn": round(scores.knn.value, 4),
        f"{name}_linear": round(scores.linear.value, 4),
    }


def main() -> None:
    """Train what is missing, measure and print."""
    everything = ["few", "transfer", "layers", "projection"]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--budget-s", type=float, default=240)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--simclr", type=Path, help="folder of a trained encoder")
    parser.add_argument("--rotation", type=Path, help="folder of a trained encoder")
    parser.add_argument("--parts", type=lambda text: text.split(","), default=everything)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    keys: dict[str, Any] = {}
    if parts := [part for part in args.parts if part != "layers"]:
        simclr = args.simclr or _trained("simclr", args.budget_s, args.threads)
        keys |= measure(simclr, parts)
    if "layers" in args.parts:
        rotation = args.rotation or _trained("rotation", args.budget_s, args.threads)
        keys |= measure_layers(rotation)
    print(json.dumps(keys | describe()))


def _trained(method: str, budget_s: float, threads: int) -> Path:
    pixels = cifar10().train
    settings, _ = suggest_settings(n=len(pixels), size=32, channels=3, method=method)
    return train(pixels, replace(settings, threads=threads), budget_s).folder


if __name__ == "__main__":
    main()

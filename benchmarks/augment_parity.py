"""Does our batched augmentation teach as much as torchvision's? SimCLR with each, step for step.

Run it alone: ``python -m benchmarks.augment_parity --steps 600``. Both runs have the settings of
``weaklight pretrain`` on the 20,000 CIFAR-10 images, the same first weights, batches and number of
steps, and differ in who draws the views. Prints one flat JSON object as its last line.

The two are not the same function: ours crops without antialiasing, chains the jitter in one order
and turns hue in the YIQ plane; torchvision shuffles the order and turns HSV's circle.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms import v2

from benchmarks.image_sets import cifar10
from benchmarks.machine import describe
from benchmarks.ssl_quality import clock
from ssl_models import AugmentConfig, embed, suggest_settings
from ssl_models.evaluation import score_features
from ssl_models.norms import whiten
from ssl_models.trainer import ImageTrainer
from weaklight.seeds import seeded_torch


class TorchvisionAugment:
    """The views of :class:`ssl_models.Augment`, each drawn by torchvision v2 on its own."""

    def __init__(self, config: AugmentConfig, size: tuple[int, int]) -> None:
        jitter = v2.ColorJitter(config.brightness, config.contrast, config.saturation, config.hue)
        self.transform = v2.Compose(
            [
                v2.ToDtype(torch.float32, scale=True),
                v2.RandomResizedCrop(
                    size, scale=config.crop_scale, ratio=config.crop_ratio, antialias=True
                ),
                v2.RandomHorizontalFlip(config.flip),
                v2.RandomApply([jitter], config.jitter),
                v2.RandomGrayscale(config.gray),
            ]
        )

    def __call__(self, images: Tensor, *, generator: torch.Generator, n_views: int) -> Tensor:
        """Return (V * B, C, H, W) float32 in 0..1, view by view."""
        seed = int(torch.randint(2**31, (), generator=generator))
        with seeded_torch(seed, "torchvision"):
            return torch.stack([self.transform(image) for _ in range(n_views) for image in images])


def measure(steps: int, threads: int) -> dict[str, Any]:
    """Return ``ours_*`` and ``torchvision_*``: kNN and linear accuracy, and seconds a step."""
    torch.set_num_threads(threads)
    task = cifar10()
    n, height, width, channels = task.train.shape
    settings, _ = suggest_settings(n=n, size=height, channels=channels, method="simclr")
    settings = replace(settings, steps=steps, threads=threads, checkpoint_every=steps)
    keys: dict[str, Any] = {"steps": steps}
    for name in ("ours", "torchvision"):
        with tempfile.TemporaryDirectory(prefix="weaklight-parity-") as scratch:
            trainer = ImageTrainer(task.train, settings, Path(scratch))
            if name == "torchvision":
                views = TorchvisionAugment(settings.augment, (height, width))
                trainer.method.augment = views  # type: ignore[assignment]
            started = clock(threads)
            while trainer.step < steps:
                trainer.train_step()
            seconds = clock(threads) - started
        encoder = trainer.method.encoder
        whiten(encoder, task.train)
        rows = task.with_rows(embed(encoder, task.train), embed(encoder, task.test))
        scores = score_features(rows)
        keys |= {
            f"{name}_knn": scores.knn.value,
            f"{name}_knn_interval": [round(end, 4) for end in scores.knn.interval],
            f"{name}_linear": scores.linear.value,
            f"{name}_s_per_step": round(seconds / steps, 3),
        }
    return keys


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    print(json.dumps(measure(args.steps, args.threads) | describe()))


if __name__ == "__main__":
    main()

"""Fine-tuning: the encoder goes on learning, now from labels, under a linear head.

Try it::

    tuned = finetune(encoder, pixels, labels, n_classes=10, augment=Augment(AugmentConfig()))
    tuned.predict_proba(other_pixels).argmax(1)

Batch order and augmentation derive from (seed, "finetune", step), as in :mod:`ssl_models.trainer`.
"""

from __future__ import annotations

import hashlib
import json
import logging
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import skip_init

from ssl_models.augment import Augment
from ssl_models.backbones import Backbone
from ssl_models.checkpoints import CheckpointStore, pack, unpack
from ssl_models.embed import embed
from ssl_models.evaluation.labelled import check_labels
from ssl_models.evaluation.scores import accuracy
from ssl_models.hardware import autocast, cpu_threads, resolve_device, resolve_precision
from ssl_models.pixels import PixelSource, check_pixels, sample_rows
from ssl_models.schedules import warmup_cosine
from weaklight.contracts import check_posterior
from weaklight.errors import ConfigError, DataError, TrainingError
from weaklight.intervals import Proportion
from weaklight.progress import Progress
from weaklight.seeds import derive_seed, numpy_generator

__all__ = ["FinetuneConfig", "Finetuned", "finetune"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """Everything that decides the bytes, beside encoder, images, targets and augmentation."""

    epochs: int = 10  # fixed beforehand: the last epoch is returned, not the best
    batch_size: int = 64
    # A third of the head's, as the encoder starts from something worth keeping: 0.596 and 0.668 on
    # CIFAR-10 with 1,000 and 4,000 labels (SimCLR, other training images); a tenth 0.597 and 0.660.
    encoder_lr: float = 1e-3
    head_lr: float = 3e-3
    weight_decay: float = 1e-4  # weights only, not biases or norms
    warmup: float = 0.1  # share of the steps
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    threads: int = 1  # see TrainConfig
    checkpoint_every: int = 50  # steps; used when there is a scratch folder

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, but is {getattr(self, name)}")
        if min(self.encoder_lr, self.head_lr) <= 0 or self.weight_decay < 0:
            raise ConfigError(
                "encoder_lr and head_lr must be > 0 and weight_decay >= 0, but are "
                f"{self.encoder_lr}, {self.head_lr} and {self.weight_decay}; to train a head on a "
                "frozen encoder use linear_probe"
            )


@dataclass(frozen=True)
class Finetuned:
    """A fine-tuned encoder with its head.

    Attributes
    ----------
    encoder, head
        In evaluation mode; the head takes the encoder's features (B, D) to logits (B, K).
    losses
        Mean training loss of each epoch.
    validation
        Accuracy after each epoch where validation rows were given. Nothing was chosen by it; who
        picks the number of epochs by it needs other rows to quote an accuracy.
    """

    encoder: Backbone
    head: nn.Linear
    losses: tuple[float, ...]
    validation: tuple[Proportion, ...]

    def predict_proba(
        self, pixels: PixelSource, batch_size: int = 256, device: str = "auto"
    ) -> NDArray[np.float32]:
        """Return class probabilities (n, K) float32 of (n, H, W, C) uint8 images."""
        features = torch.from_numpy(embed(self.encoder, pixels, batch_size, device))  # (n, D)
        with torch.inference_mode():
            logits = features @ self.head.weight.cpu().T + self.head.bias.cpu()
        return np.asarray(logits.softmax(1).numpy())


def finetune(
    encoder: Backbone,
    pixels: PixelSource,
    targets: NDArray[np.integer | np.floating],
    n_classes: int,
    *,
    weights: NDArray[np.floating] | None = None,
    augment: Augment | None = None,
    config: FinetuneConfig | None = None,
    valid: tuple[PixelSource, NDArray[np.integer]] | None = None,
    scratch: Path | None = None,
    progress: Progress | None = None,
) -> Finetuned:
    """Train a copy of ``encoder`` and a linear head on labelled images.

    Parameters
    ----------
    encoder
        Stays as it is.
    pixels
        (n, H, W, C) uint8 as the encoder was trained.
    targets
        (n,) class ids, or (n, K) floats whose rows sum to 1, such as a posterior.
    n_classes
        K.
    weights
        (n,) floats, not negative: how much each item counts; only their ratios matter. Items of
        weight 0 are left out. 1 where left out.
    augment
        How images are varied; None shows them as they are.
    config
        The settings; :class:`FinetuneConfig` says the defaults.
    valid
        Images and class ids to watch after each epoch. They decide nothing.
    scratch
        Gets checkpoints: a run that was killed goes on there and ends with the bytes of an
        undisturbed one. One folder for one run.
    progress
        Called with (steps done, steps, message) after each step.

    Raises
    ------
    DataError
        If pixels, targets or weights break their contract, or fewer than two items have weight.
    TrainingError
        If the loss stops being finite, or ``scratch`` belongs to another run.

    Notes
    -----
    AdamW with two learning rates, warm-up and cosine. The head starts at zero and learns faster: a
    random head would push good features about before it has learnt what they say (Kumar et al.
    2022, arXiv:2202.10054). Batch norms go on learning their statistics. Each epoch visits
    n // batch_size whole batches in a new order: one forward and backward pass an item.
    """
    config = config or FinetuneConfig()
    with cpu_threads(config.threads):
        tuner = _Tuner(encoder, pixels, targets, n_classes, weights, augment, config, valid)
        store = CheckpointStore(scratch) if scratch else None
        if store is not None:
            tuner.resume(store)
        while tuner.step < tuner.total_steps:
            tuner.train_step()
            if store is not None and tuner.is_due:
                tuner.save(store)
            if progress is not None:
                progress(tuner.step, tuner.total_steps, f"loss {tuner.last_loss:.3f}")
        return tuner.result()


class _Tuner:
    def __init__(
        self,
        encoder: Backbone,
        pixels: PixelSource,
        targets: NDArray[np.integer | np.floating],
        n_classes: int,
        weights: NDArray[np.floating] | None,
        augment: Augment | None,
        config: FinetuneConfig,
        valid: tuple[PixelSource, NDArray[np.integer]] | None,
    ) -> None:
        check_pixels(pixels, (encoder.channels,))
        if valid is not None:
            check_labels(valid[1], len(valid[0]), n_classes)
        self.pixels, self.augment, self.config, self.valid = pixels, augment, config, valid
        soft = _soft_targets(targets, len(pixels), n_classes)  # (n, K)
        weight = _mean_one(weights, len(pixels))
        self.rows = np.flatnonzero(weight)
        self.device = resolve_device(config.device)
        self.precision = resolve_precision(config.precision, self.device)
        self.batch_size = min(config.batch_size, len(self.rows))
        self.per_epoch = len(self.rows) // self.batch_size
        self.total_steps = config.epochs * self.per_epoch
        settings = {
            "config": asdict(config),
            "augment": [asdict(recipe) for recipe in augment.recipes] if augment else None,
        }
        self.fingerprint = {
            **json.loads(json.dumps(settings)),  # tuples become lists, as on disk
            "pixels": list(pixels.shape),
            "inputs": _digest(sample_rows(pixels), soft, weight, encoder.mean, encoder.std),
            "encoder": _digest(*encoder.state_dict().values()),
            "valid": _digest(valid[1]) if valid else None,
        }
        self.targets, self.weight = (torch.from_numpy(a).to(self.device) for a in (soft, weight))
        self.encoder = deepcopy(encoder).requires_grad_(True).to(self.device)
        self.head = skip_init(nn.Linear, encoder.dim, n_classes, device=self.device)
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)
        self.model = nn.Sequential(self.encoder, self.head)
        self.optimiser = _optimiser(self.encoder, self.head, config)
        self.step = 0
        self.losses: list[float] = []
        self.validation: list[Proportion] = []
        self.loss_sum = torch.zeros((), device=self.device)  # of this epoch; NaN stays in it
        self._order: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, np.int64))

    def train_step(self) -> None:
        """Do one optimiser step; where it ends an epoch, look at the loss and at ``valid``."""
        factor = warmup_cosine(
            self.step, self.total_steps, round(self.config.warmup * self.total_steps)
        )
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak_lr"] * factor
        rows = self._batch(self.step)
        images = torch.from_numpy(self.pixels[rows]).to(self.device).permute(0, 3, 1, 2)
        views = self._vary(images)  # outside autocast: resampling pixels in bf16 would round them
        self.model.train()
        with autocast(self.device, self.precision):
            logits = self.model(views)
        losses = F.cross_entropy(logits.float(), self.targets[rows], reduction="none")  # (B,)
        loss = (losses * self.weight[rows]).mean()
        loss.backward()
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.loss_sum += loss.detach()
        self.step += 1
        if self.step % self.per_epoch == 0:
            self._end_epoch()

    @property
    def last_loss(self) -> float:
        """Mean loss of this epoch's steps, or of the last epoch's where none is done."""
        done = self.step % self.per_epoch
        return float(self.loss_sum) / done if done else self.losses[-1]

    @property
    def is_due(self) -> bool:
        """Whether this step is one to save."""
        return self.step % self.config.checkpoint_every == 0 or self.step == self.total_steps

    def _batch(self, step: int) -> NDArray[np.int64]:
        epoch, position = divmod(step, self.per_epoch)
        if self._order[0] != epoch:
            generator = numpy_generator(self.config.seed, "finetune", "order", epoch)
            self._order = epoch, generator.permutation(self.rows)
        return self._order[1][position * self.batch_size :][: self.batch_size]

    def _vary(self, images: Tensor) -> Tensor:
        if self.augment is None:
            return images.float().div_(255)
        seed = derive_seed(self.config.seed, "finetune", self.step)
        return self.augment(images, generator=torch.Generator().manual_seed(seed))

    def _end_epoch(self) -> None:
        self.losses.append(float(self.loss_sum) / self.per_epoch)
        self.loss_sum.zero_()
        if not np.isfinite(self.losses[-1]):
            raise TrainingError(
                f"the loss must stay finite, but stopped being so in epoch {len(self.losses)}; "
                "lower encoder_lr and head_lr, or set precision = 'fp32'"
            )
        if self.valid is not None:
            proba = self.result().predict_proba(self.valid[0], device=self.config.device)
            self.validation.append(accuracy(proba, self.valid[1]))

    def save(self, store: CheckpointStore) -> None:
        """Write a checkpoint of this step."""
        tensors = {**pack(self.model, self.optimiser), "loss_sum": self.loss_sum}
        meta = {
            "fingerprint": self.fingerprint,
            "losses": self.losses,
            "validation": [[p.successes, p.n] for p in self.validation],
        }
        store.save(self.step, tensors, meta)

    def resume(self, store: CheckpointStore) -> None:
        """Go on from the newest whole checkpoint, if there is one."""
        newest = store.newest()
        if newest is None:
            return
        if newest.meta["fingerprint"] != self.fingerprint:
            raise TrainingError(
                f"{store.folder} holds the checkpoint of a run with other settings, labels or "
                "images; empty the folder or pass another"
            )
        unpack(self.model, self.optimiser, newest.tensors, f"checkpoint {newest.step}")
        self.loss_sum.copy_(newest.tensors["loss_sum"])
        self.losses = list(newest.meta["losses"])
        self.validation = [Proportion(*counts) for counts in newest.meta["validation"]]
        self.step = newest.step
        logger.info("going on from step %d of %d", self.step, self.total_steps)

    def result(self) -> Finetuned:
        """Return what is learnt so far."""
        return Finetuned(
            self.encoder.eval(), self.head.eval(), tuple(self.losses), tuple(self.validation)
        )


def _optimiser(
    encoder: nn.Module, head: nn.Module, config: FinetuneConfig
) -> torch.optim.Optimizer:
    groups: list[dict[str, Any]] = []
    for module, lr in ((encoder, config.encoder_lr), (head, config.head_lr)):
        decayed = [p for p in module.parameters() if p.ndim > 1]
        free = [p for p in module.parameters() if p.ndim <= 1]  # biases, norms
        groups.append({"params": decayed, "peak_lr": lr, "weight_decay": config.weight_decay})
        groups.append({"params": free, "peak_lr": lr, "weight_decay": 0.0})
    return torch.optim.AdamW(groups, fused=True)


def _soft_targets(targets: NDArray[Any], n: int, n_classes: int) -> NDArray[np.float32]:
    if targets.ndim != 2:
        return np.eye(n_classes, dtype=np.float32)[check_labels(targets, n, n_classes)]
    if len(targets) != n:
        raise DataError(
            f"there must be one row of targets an image, but came {len(targets)} rows for {n} "
            "images"
        )
    return check_posterior(targets, n_classes)


def _mean_one(weights: NDArray[np.floating] | None, n: int) -> NDArray[np.float32]:
    """Return the weights, scaled so that those above 0 have mean 1."""
    array = np.ones(n) if weights is None else np.asarray(weights, np.float64)
    if array.shape != (n,) or not np.isfinite(array).all() or (array < 0).any():
        raise DataError(
            f"weights must be ({n},), finite and not negative, but came with shape {array.shape}; "
            "give 0 to items that should not count"
        )
    if (array > 0).sum() < 2:
        raise DataError(
            f"fine-tuning needs two images of weight above 0, but {int((array > 0).sum())} came"
        )
    return np.asarray(array / array[array > 0].mean(), np.float32)


def _digest(*arrays: NDArray[Any] | Tensor) -> str:
    parts = (np.ascontiguousarray(a.cpu() if isinstance(a, Tensor) else a) for a in arrays)
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()

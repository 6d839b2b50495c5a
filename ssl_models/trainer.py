"""One loop for every method: optimiser, precision, processes, checkpoints, monitor.

Try it: ``pretrain(pixels, TrainConfig(epochs=1), out=Path("encoder"), scratch=Path("scratch"))``.

Batch order and augmentation derive from (seed, "pretrain", step). A run that was killed goes on
from its newest checkpoint and ends with the bytes of an undisturbed one.
"""

from __future__ import annotations

import hashlib
import logging
import signal
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ssl_models.backbones import TIMM, Backbone, build_backbone
from ssl_models.checkpoints import CheckpointStore, pack, unpack, write_json, write_tensors
from ssl_models.config import TrainConfig
from ssl_models.distributed import (
    agree_on,
    barrier,
    gather,
    mean_over_processes,
    micro_batch,
    parallel,
    rank,
    world_size,
)
from ssl_models.encoders import save_encoder
from ssl_models.hardware import (
    autocast,
    cpu_threads,
    keep_freed_memory,
    resolve_device,
    resolve_precision,
)
from ssl_models.methods import Method, Objective, build_method
from ssl_models.monitor import measure, verdict
from ssl_models.norms import estimate_norms, whiten
from ssl_models.pixels import PixelSource, channel_statistics, check_pixels, sample_rows
from ssl_models.public_weights import load_public_weights
from ssl_models.schedules import cosine, warmup_cosine
from ssl_models.stopping import held_back
from weaklight.errors import ConfigError, TrainingError
from weaklight.progress import Progress
from weaklight.seeds import derive_seed, numpy_generator, seeded_torch

__all__ = ["ImageTrainer", "Trainer", "pretrain"]

logger = logging.getLogger(__name__)
DECAYED, FREE = 0, 1  # the optimiser's groups


def pretrain(
    pixels: PixelSource,
    config: TrainConfig,
    out: Path,
    scratch: Path,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train an encoder and write it to ``out``.

    Parameters
    ----------
    pixels
        (n, H, W, C) uint8, n >= 2; a memmap is read through the page cache.
    config
        The settings.
    out
        Gets ``encoder.safetensors``, ``encoder.json``, ``heads.safetensors``, ``history.json``.
    scratch
        Survives a kill; gets the checkpoints. One folder for one run.
    progress
        Called with (steps done, steps, message) after each step.

    Returns
    -------
    Flat JSON: ``steps``, ``final_loss``, ``std``, ``rank_share``, ``alignment``, ``uniformity``,
    ``verdict``, ``precision``, ``dim``, ``parameters``.

    Raises
    ------
    TrainingError
        If the loss stops being finite, or ``scratch`` belongs to another run.

    Notes
    -----
    Under ``torchrun`` (see :mod:`ssl_models.launch`) every process calls this with the same
    arguments; the first one writes.
    """
    with cpu_threads(config.threads):
        return ImageTrainer(pixels, config, scratch).run(out, progress)


def _build(config: TrainConfig, shape: tuple[int, ...]) -> Method:
    """Return the method with weights that depend on the seed alone."""
    _, height, width, channels = shape
    with seeded_torch(config.seed, "pretrain", "weights"):
        encoder = build_backbone(
            config.backbone, channels=channels, image_size=min(height, width), width=config.width
        )
        if config.init is not None:  # before the method: a teacher is a copy
            for note in load_public_weights(encoder, config.init):
                logger.info("starting from %s: %s", config.init, note)
        return build_method(config.method, encoder, config.augment, config.method_options)


def _optimiser(method: Objective, config: TrainConfig) -> torch.optim.Optimizer:
    """Return AdamW for every method.

    Papers on residual networks have SGD or LARS, whose rates are tuned to depth and batch; Adam's
    carry over to small batches and to all our backbones.
    """
    learnt = [p for p in method.parameters() if p.requires_grad]  # a teacher's are not
    decayed = [p for p in learnt if p.ndim > 1]
    free = [p for p in learnt if p.ndim <= 1]  # biases, batch norm: as in SimCLR
    groups: list[dict[str, Any]] = [{}, {}]
    groups[DECAYED] = {"params": decayed}
    groups[FREE] = {"params": free, "weight_decay": 0.0}
    return torch.optim.AdamW(groups, lr=config.lr, weight_decay=config.weight_decay, fused=True)


@torch.no_grad()
def _clip_each(parameters: Iterable[nn.Parameter], longest: float) -> None:
    """Shorten each weight tensor's gradient to at most ``longest``: one tensor at a time, as DINO.

    A norm over all tensors would let one loud head silence the rest.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    lengths = torch._foreach_norm(gradients)
    torch._foreach_mul_(gradients, [(longest / (n + 1e-6)).clamp(max=1) for n in lengths])


class Trainer(ABC):
    """The loop over data of any kind; a subclass says what a batch is and what is written.

    Parameters
    ----------
    method
        What is minimised.
    config
        The settings.
    scratch
        Gets the checkpoints.
    n
        Rows of the data.
    data
        Flat JSON that tells these rows from any others: a checkpoint of other data is refused.
    """

    def __init__(
        self, method: Objective, config: TrainConfig, scratch: Path, n: int, data: dict[str, Any]
    ) -> None:
        self.config, self.scratch, self.n = config, scratch, n
        self.device = resolve_device(config.device)
        if self.device.type == "cpu":
            keep_freed_memory()
        self.precision = resolve_precision(config.precision, self.device)
        self.batch_size = min(config.batch_size, n)
        share = config.accumulate * world_size()
        if n < 2 * share or self.batch_size % share:
            raise ConfigError(
                f"batch_size {self.batch_size} must divide by accumulate x processes = {share}; "
                "change one of them"
            )
        self.per_epoch = n // self.batch_size
        self.total_steps = config.steps or config.epochs * self.per_epoch
        self.fingerprint = {"config": config.as_dict(), **data}
        method.begin(n)  # before the move: it may make room for a bank
        self.method = method.to(self.device).train()
        self.parallel = parallel(self.method, self.device)
        self.optimiser = _optimiser(self.method, config)
        self.store = CheckpointStore(scratch)
        self.step = 0
        self.history: list[dict[str, Any]] = []
        self.loss_sum = torch.zeros((), device=self.device)  # since the last log; NaN stays in it
        self.last_loss = float("nan")
        self._order: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, np.int64))

    @abstractmethod
    def batch(self, rows: NDArray[np.int64]) -> Any:
        """Return what :meth:`Objective.views` is given for these rows."""

    @abstractmethod
    def write_encoder(self, out: Path) -> None:
        """Write the trained encoder."""

    def run(self, out: Path, progress: Progress | None) -> dict[str, Any]:
        """Go on to the last step, write the encoder and return the metrics."""
        self.resume()
        while self.step < self.total_steps:  # again where someone hears a signal and goes on
            with held_back(signal.SIGINT, signal.SIGTERM) as stop:
                while self.step < self.total_steps and not stop:
                    self.train_step()
                    if progress is not None:
                        progress(self.step, self.total_steps, f"loss {self.last_loss:.3f}")
                if stop and self.step not in self.store.steps():
                    self._save()
        return self.export(out)

    # One step ---------------------------------------------------------------------------------

    def train_step(self) -> None:
        """Do one optimiser step, then log and save where it is time."""
        config, step = self.config, self.step
        factor = warmup_cosine(step, self.total_steps, round(config.warmup * self.total_steps))
        for group in self.optimiser.param_groups:
            group["lr"] = config.lr * factor
        if config.weight_decay_end is not None:
            self.optimiser.param_groups[DECAYED]["weight_decay"] = cosine(
                config.weight_decay, config.weight_decay_end, step / self.total_steps
            )
        micro_batches = self._indices(step)
        draws = derive_seed(config.seed, "pretrain", step, 0)  # of all micro-batches
        embeddings = None
        for number, rows in enumerate(micro_batches):
            generator = torch.Generator().manual_seed(draws)
            self.method.rows = torch.from_numpy(rows).to(self.device)
            with autocast(self.device, self.precision):
                with micro_batch(number, len(micro_batches)):
                    views = self.method.views(self.batch(rows), generator)
                loss, embeddings = self.parallel(views)
            (loss / len(micro_batches)).backward()
            self.loss_sum += mean_over_processes(loss) / len(micro_batches)
        self._check_finite()
        if config.clip_grad:
            _clip_each(self.method.parameters(), config.clip_grad)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.step += 1
        self.method.after_step(self.step, self.total_steps)
        last = self.step == self.total_steps
        if self.step % config.log_every == 0 or last:
            assert embeddings is not None
            self._log(embeddings, config.lr * factor)
        if self.step % config.checkpoint_every == 0 or last:
            self._save()

    def _indices(self, step: int) -> NDArray[np.int64]:
        """Return this process's rows of batch ``step``: (accumulate, micro-batch)."""
        epoch, position = divmod(step, self.per_epoch)
        if self._order[0] != epoch:
            generator = numpy_generator(self.config.seed, "pretrain", "order", epoch)
            self._order = epoch, generator.permutation(self.n)
        batch = self._order[1][position * self.batch_size :][: self.batch_size]
        shares = batch.reshape(self.config.accumulate, world_size(), -1)
        return shares[:, rank()]

    def _check_finite(self) -> None:
        # On CUDA reading the loss waits for the device: look when it is logged or saved anyway.
        done = self.step + 1
        due = done % self.config.log_every == 0 or done % self.config.checkpoint_every == 0
        if self.device.type != "cpu" and not due:
            return
        self.last_loss = float(self.loss_sum) / (self.step % self.config.log_every + 1)
        if np.isfinite(self.last_loss):
            return
        lr = self.optimiser.param_groups[0]["lr"]
        if rank() == 0:
            write_json(self.scratch / "failure.json", {"step": self.step, "lr": lr})
        raise TrainingError(
            f"the loss must stay finite, but stopped being so by step {self.step} of "
            f"{self.total_steps} (lr {lr:.2g}, precision {self.precision}); lower lr or set "
            "precision = 'fp32'"
        )

    def _log(self, embeddings: Tensor, lr: float) -> None:
        n_views = len(embeddings) // (self.batch_size // self.config.accumulate // world_size())
        everyone = torch.cat([gather(view.detach()) for view in embeddings.chunk(n_views)])
        since = self.step - (self.history[-1]["step"] if self.history else 0)
        health = measure(everyone, n_views)
        signals = {name: float(value) for name, value in self.method.signals().items()}
        self.history.append(
            {
                "step": self.step,
                "loss": float(self.loss_sum) / since,
                "lr": lr,
                **signals,
                **health.as_dict(),
                "verdict": verdict(health, signals),
            }
        )
        self.loss_sum.zero_()

    # What survives ----------------------------------------------------------------------------

    def _save(self) -> None:
        if rank() == 0:
            tensors = {**pack(self.method, self.optimiser), "loss_sum": self.loss_sum}
            meta = {"history": self.history, "fingerprint": self.fingerprint}
            self.store.save(self.step, tensors, meta)
        barrier()

    def resume(self) -> None:
        """Go on from the newest whole checkpoint, if there is one."""
        newest = self.store.newest() if rank() == 0 else None
        step = agree_on(newest.step if newest else 0)
        if step == 0:
            return
        checkpoint = newest or self.store.load(step)
        if checkpoint.meta["fingerprint"] != self.fingerprint:
            raise TrainingError(
                f"{self.scratch} holds the checkpoint of a run with other settings or images; "
                "empty the folder or pass another"
            )
        unpack(self.method, self.optimiser, checkpoint.tensors, f"checkpoint {step}")
        self.loss_sum.copy_(checkpoint.tensors["loss_sum"])
        self.step, self.history = step, list(checkpoint.meta["history"])
        logger.info("going on from step %d of %d", step, self.total_steps)

    def export(self, out: Path) -> dict[str, Any]:
        """Write the encoder, the heads and the history; return the metrics."""
        last = self.history[-1]
        if rank() == 0:
            self.write_encoder(out)
            heads = {
                name: t
                for name, t in self.method.state_dict().items()
                if not name.startswith("encoder.")
            }
            write_tensors(out / "heads.safetensors", heads)
            write_json(out / "history.json", {"steps": self.history, "verdict": last["verdict"]})
        barrier()
        return {
            "steps": self.step,
            "final_loss": last["loss"],
            **{
                key: last[key]
                for key in ("std", "rank_share", "alignment", "uniformity", "verdict")
            },
            "precision": self.precision,
            "dim": self.method.encoder.dim,
            "parameters": sum(p.numel() for p in self.method.encoder.parameters()),
        }


class ImageTrainer(Trainer):
    """The loop over images (n, H, W, C) uint8."""

    method: Method

    def __init__(self, pixels: PixelSource, config: TrainConfig, scratch: Path) -> None:
        check_pixels(pixels)
        self.pixels = pixels
        sample = sample_rows(pixels)
        method = _build(config, pixels.shape)
        for module in method.modules():  # the encoder, and a teacher where there is one
            if isinstance(module, Backbone):
                module.set_normalisation(*channel_statistics(sample))
        data = {
            "pixels": list(pixels.shape),
            "sample": hashlib.sha256(sample.tobytes()).hexdigest(),
        }
        method.to(memory_format=torch.channels_last)
        super().__init__(method, config, scratch, len(pixels), data)

    def batch(self, rows: NDArray[np.int64]) -> Tensor:
        """Return (B, C, H, W) uint8."""
        return torch.from_numpy(self.pixels[rows]).to(self.device).permute(0, 3, 1, 2).contiguous()

    def train_step(self) -> None:
        """Do one optimiser step, then log and save where it is time."""
        try:
            super().train_step()
        except RuntimeError as error:
            foreign = self.config.backbone.startswith(TIMM) and self.step == 0
            if not foreign or isinstance(error, torch.OutOfMemoryError):
                raise
            side = min(self.pixels.shape[1:3])
            raise ConfigError(
                f"{self.config.method} shows a network parts of an image too, and "
                f"{self.config.backbone} cannot take those of images of {side} px ({error}); set a "
                "larger [items] image_size, or take another method or backbone"
            ) from error

    def export(self, out: Path) -> dict[str, Any]:
        """Write the encoder, the heads and the history; return the metrics."""
        if not self.method.sees_whole_images:  # in every process, as global norms ask all
            estimate_norms(self.method.encoder, sample_rows(self.pixels))
        return super().export(out)

    def write_encoder(self, out: Path) -> None:
        """Write the encoder, its features whitened over the images it learnt from."""
        encoder, (_, height, width, channels) = self.method.encoder, self.pixels.shape
        encoder.mirrored = self.config.augment.flip > 0
        whiten(encoder, sample_rows(self.pixels), device=self.config.device)
        description = {
            "backbone": self.config.backbone,
            "width": self.config.width,
            "image_size": [height, width],
            "channels": channels,
        }
        save_encoder(encoder, out, description)

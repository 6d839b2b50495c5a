"""One training loop for labels that are partly wrong: a head on features or a whole network.

Try it: ``train_robustly([head], features, targets, strategy="elr", config=TrainingConfig())``.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from weak_supervision.noise.losses import soft_cross_entropy
from weak_supervision.noise.strategies import STRATEGIES, Noise, Strategy
from weaklight.errors import ConfigError, TrainingError
from weaklight.seeds import derive_seed, numpy_generator
from weaklight.words import nearest

__all__ = ["Checkpoints", "Stateful", "TrainingConfig", "predict_logits", "train_robustly"]

BATCHES_AN_EPOCH, LEAST_BATCH = 20, 16
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingConfig:
    """How long and how fast; the number of epochs is fixed beforehand, never chosen by accuracy.

    Attributes
    ----------
    epochs, lr, weight_decay : of AdamW with a cosine schedule
    batch_size : at most; fewer where an epoch would have under 20 batches, down to batches of 16
    mixup : alpha of mixup's Beta distribution, 0 for none (Zhang et al. 2018, arXiv:1710.09412)
    ema : momentum of the averaged weights that predict, 0 for none; on CIFAR-10N averaging alone is
        worth as much as co-teaching
    patience : epochs without a lower log-loss on dev before training stops and goes back to the
        best epoch; 0 trains to the end and looks at nothing
    predict_batch : rows of a forward pass outside training
    seed : of the order of rows and of mixup
    """

    epochs: int = 10
    batch_size: int = 256
    lr: float = 1e-3
    weight_decay: float = 1e-4
    mixup: float = 0.0
    ema: float = 0.0
    patience: int = 0
    predict_batch: int = 4096
    seed: int = 0

    def batch_of(self, n: int) -> int:
        """Return the batch size for ``n`` rows: ten epochs of one batch would teach nothing."""
        return min(self.batch_size, max(LEAST_BATCH, n // BATCHES_AN_EPOCH))


class Stateful(Protocol):
    """Anything whose state moves while training, as torch's modules and optimisers have it."""

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain JSON, nested at will."""

    def load_state_dict(self, state: dict[str, Any], /) -> Any:
        """Take back what ``state_dict`` returned."""


class Checkpoints(Protocol):
    """Where a training is kept, so that it goes on after a kill."""

    def save(self, epoch: int, state: dict[str, Any]) -> None:
        """Keep the state after so many epochs."""

    def newest(self) -> tuple[int, dict[str, Any]] | None:
        """Return the last that was kept: epochs done and the state."""


def train_robustly(
    networks: Sequence[nn.Module],
    inputs: Tensor,
    targets: Tensor,
    weights: Tensor | None = None,
    *,
    strategy: str = "plain",
    noise: Noise | None = None,
    trusted: Tensor | None = None,
    config: TrainingConfig = TrainingConfig(),
    augment: Callable[[Tensor], Tensor] | None = None,
    dev: tuple[Tensor, Tensor] | None = None,
    also: Callable[[nn.Module], Tensor] | None = None,
    groups: Callable[[nn.Module], list[dict[str, Any]]] | None = None,
    on_epoch: Callable[[int, list[Tensor]], None] | None = None,
    checkpoints: Checkpoints | None = None,
    stateful: Mapping[str, Stateful] | None = None,
) -> list[nn.Module]:
    """Train the networks and return those that should predict.

    Parameters
    ----------
    networks
        As many as the strategy has (two for co-teaching and the mixture), each (B, ...) -> (B, K).
        They are trained in place, on the device that they are on.
    inputs
        (n, ...) features or pixels.
    targets
        (n, K) float32, rows sum to 1.
    weights
        (n,) float32 row weights; rows of weight 0 are never drawn.
    strategy
        Name of one of `STRATEGIES`.
    noise
        Rate and transition matrix, for ``co_teaching`` and ``forward``; no noise where None.
    trusted
        (n,) bool: rows whose labels are known to be right, as those that people gave. No strategy
        doubts, drops or corrects them: they are learnt by cross-entropy (Hendrycks et al. 2018,
        arXiv:1802.05300, section 3.2, for the forward correction). None where None.
    augment
        Applied to each batch of inputs, for fine-tuning on pixels.
    dev
        Inputs (n_dev, ...) and class ids (n_dev,) that ``config.patience`` watches.
    also
        Called with each network in each step; the loss that it returns is added.
    groups
        Parameter groups of a network with their own ``lr``, as torch.optim takes them; all
        parameters learn at ``config.lr`` where left out.
    on_epoch
        Called after each epoch with its number and each network's (n, K) logits of all rows.
    checkpoints
        Written after each epoch; where it holds one, training goes on from there and ends with the
        same weights as if it had never stopped.
    stateful
        What else has a state that belongs into checkpoints, such as the generators behind
        ``augment`` and ``also``.

    Returns
    -------
    The same networks, or their averages where ``config.ema`` is set, in evaluation mode.

    Raises
    ------
    ConfigError
        If the strategy is unknown, has another number of networks, or cannot be combined, or
        patience has no dev rows to watch.
    TrainingError
        If the loss is not finite.
    """
    plan = _strategy(strategy, targets, noise, config, len(networks))
    device = next(networks[0].parameters()).device
    weight = torch.ones(len(targets)) if weights is None else weights
    pool = torch.nonzero(weight > 0).squeeze(1)
    scale = (weight / weight[pool].mean()).to(device)
    known = torch.zeros(len(targets), dtype=torch.bool) if trusted is None else trusted
    order = torch.Generator().manual_seed(derive_seed(config.seed, "robust_training", "order"))
    mixing = numpy_generator(config.seed, "robust_training", "mixup")
    batch_size = config.batch_of(len(pool))
    batches = max(1, len(pool) // batch_size)
    grouped = groups or (lambda network: [{"params": list(network.parameters())}])
    optimiser = torch.optim.AdamW(
        [group for network in networks for group in grouped(network)]
        + plan.parameter_groups(config.lr),
        lr=config.lr,
        weight_decay=config.weight_decay,
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.epochs * batches)
    averages = [copy.deepcopy(n) for n in networks] if config.ema else []
    averaged = [(a, p) for n, m in zip(networks, averages, strict=False)
                for p, a in zip(n.parameters(), m.parameters(), strict=True)]  # fmt: skip
    # running statistics of batch norms are averages already: they are copied
    copied = [(a, b) for n, m in zip(networks, averages, strict=False)
              for b, a in zip(n.buffers(), m.buffers(), strict=True)]  # fmt: skip
    ready = averages or list(networks)
    if config.patience and dev is None:
        raise ConfigError("early stopping watches dev rows, but none came; set patience = 0")
    watch = _Watch(ready, dev, config) if dev is not None and config.patience else None
    parts: dict[str, Stateful] = {
        **{f"network {i}": network for i, network in enumerate(networks)},
        **{f"average {i}": average for i, average in enumerate(averages)},
        **(stateful or {}),
        "optimiser": optimiser,
        "schedule": schedule,
        "strategy": plan,
        "draws": _Draws(order, mixing),
    }
    if watch is not None:
        parts["watch"] = watch
    start = _resume(checkpoints, parts)

    def predict() -> list[Tensor]:
        return [predict_logits(n, inputs, batch_size=config.predict_batch) for n in networks]

    for epoch in range(start, config.epochs):
        plan.begin_epoch(epoch, predict)
        for network in networks:
            network.train()
        shuffled = pool[torch.randperm(len(pool), generator=order)]
        for rows in shuffled[: batches * batch_size].tensor_split(batches):
            x = inputs[rows].to(device)
            if augment is not None:
                x = augment(x)
            sure, given = known[rows].to(device), targets[rows].to(device)
            y = [
                torch.where(sure[:, None], given, plan.targets_of(rows, i).to(device))
                for i in range(len(networks))
            ]
            if config.mixup:
                share = float(mixing.beta(config.mixup, config.mixup))
                other = torch.randperm(len(rows), generator=order)
                x = share * x + (1 - share) * x[other]
                y = [share * t + (1 - share) * t[other] for t in y]
                sure = sure & sure[other]
            losses = []
            for network, asked in zip(networks, y, strict=True):
                logits = network(x)
                doubting = plan.losses(logits, asked, rows)
                losses.append(torch.where(sure, soft_cross_entropy(logits, asked), doubting))
            total = torch.zeros((), device=device)
            for i, loss in enumerate(losses):
                kept = torch.where(sure, 1.0, plan.chosen(losses, i, epoch)) * scale[rows]
                total = total + (kept * loss).sum() / kept.sum().clamp_min(1e-8)
            if also is not None:
                total = total + sum(also(network) for network in networks)
            if not torch.isfinite(total):
                raise TrainingError(
                    f"the loss became {total.item()} in epoch {epoch}; lower the learning rate or "
                    "look for huge values in the features"
                )
            optimiser.zero_grad()
            total.backward()
            optimiser.step()
            schedule.step()
            with torch.no_grad():
                for average, parameter in averaged:
                    average.lerp_(parameter, 1 - config.ema)
                for buffer, current in copied:
                    buffer.copy_(current)
        if on_epoch is not None:
            on_epoch(epoch, predict())
        if watch is not None and watch.is_over(epoch):
            break
        if checkpoints is not None:
            checkpoints.save(epoch + 1, {name: part.state_dict() for name, part in parts.items()})
    if watch is not None:
        watch.go_back()
    return [network.eval() for network in ready]


def _resume(checkpoints: Checkpoints | None, parts: Mapping[str, Stateful]) -> int:
    """Give each part its state of the newest checkpoint; return how many epochs are done."""
    kept = None if checkpoints is None else checkpoints.newest()
    if kept is None:
        return 0
    epoch, state = kept
    for name, part in parts.items():
        part.load_state_dict(state[name])
    logger.info("going on after epoch %d", epoch)
    return epoch


class _Draws:
    """The generators of the loop: order of the rows, and mixup."""

    def __init__(self, order: torch.Generator, mixing: np.random.Generator) -> None:
        self.order, self.mixing = order, mixing

    def state_dict(self) -> dict[str, Any]:
        return {"order": self.order.get_state(), "mixing": self.mixing.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        self.order.set_state(state["order"])
        self.mixing.bit_generator.state = state["mixing"]


class _Watch:
    """Early stopping: remembers the epoch with the lowest log-loss on dev."""

    def __init__(
        self, networks: list[nn.Module], dev: tuple[Tensor, Tensor], config: TrainingConfig
    ) -> None:
        self.networks, self.config = networks, config
        self.inputs, self.labels = dev
        self.best, self.epoch = float("inf"), 0
        self.states: list[dict[str, Tensor]] = []

    def is_over(self, epoch: int) -> bool:
        """Look at dev; say whether patience has run out."""
        logits = [
            predict_logits(n, self.inputs, batch_size=self.config.predict_batch)
            for n in self.networks
        ]
        proba = torch.stack(logits).softmax(dim=2).mean(dim=0)  # (n_dev, K)
        loss = -float(proba.gather(1, self.labels[:, None]).clamp_min(1e-12).log().mean())
        if loss < self.best:
            self.best, self.epoch = loss, epoch
            self.states = [copy.deepcopy(network.state_dict()) for network in self.networks]
        return epoch - self.epoch >= self.config.patience

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "epoch": self.epoch, "states": self.states}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        self.best, self.epoch, self.states = state["best"], state["epoch"], state["states"]

    def go_back(self) -> None:
        """Give the networks the weights of the best epoch."""
        logger.info("epoch %d had the lowest log-loss on dev, %.4f", self.epoch, self.best)
        for network, state in zip(self.networks, self.states, strict=True):
            network.load_state_dict(state)


@torch.inference_mode()
def predict_logits(network: nn.Module, inputs: Tensor, *, batch_size: int = 4096) -> Tensor:
    """Return (n, K) float32 logits on the CPU, the network in evaluation mode."""
    device = next(network.parameters()).device
    network.eval()
    parts = [network(part.to(device)).float().cpu() for part in inputs.split(batch_size)]
    return torch.cat(parts)


def _strategy(
    name: str, targets: Tensor, noise: Noise | None, config: TrainingConfig, n_networks: int
) -> Strategy:
    if name not in STRATEGIES:
        near = nearest(name, STRATEGIES)
        raise ConfigError(f"no strategy is called {name!r}; known: {sorted(STRATEGIES)}{near}")
    chosen = STRATEGIES[name]
    if chosen.n_networks != n_networks:
        raise ConfigError(
            f"{name} trains {chosen.n_networks} networks, but {n_networks} came; pass that many"
        )
    if config.mixup and (chosen.needs_rows or chosen is STRATEGIES["co_teaching"]):
        raise ConfigError(f"{name} looks at single rows and cannot be combined with mixup")
    if noise is None:
        n_classes = targets.shape[1]
        noise = Noise(rate=0.0, transition=torch.eye(n_classes))
    return chosen(targets, noise, config.epochs)

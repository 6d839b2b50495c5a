"""A classifier on frozen features that learns from labels of which many are wrong.

Try it: ``RobustHead().fit(features, posterior).predict_proba(features)``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from weak_supervision.classifiers.base import Dev, Head
from weak_supervision.noise.robust_training import TrainingConfig, predict_logits, train_robustly
from weak_supervision.noise.strategies import STRATEGIES, Noise
from weak_supervision.noise.transition import ROWS_A_CLASS, estimate_noise
from weak_supervision.threads import threads_for
from weaklight.errors import ConfigError
from weaklight.seeds import derive_seed, seeded_torch
from weaklight.words import nearest

__all__ = ["RobustHead", "noise_for"]

logger = logging.getLogger(__name__)
INPUT_DROPOUT, REDUNDANT_FEATURES = 0.5, 256  # see docs/noise.md
LEAST_PROBABILITY = 1e-30  # keeps the logarithm finite


class RobustHead(Head):
    """A small network on standardised features, trained by a noise-robust strategy.

    Parameters
    ----------
    strategy
        ``plain`` (cross-entropy), ``gce``, ``sce``, ``forward``, ``elr``, ``co_teaching`` or
        ``small_loss_mixture``.
    hidden
        Units of the one hidden layer; 0 for a linear head.
    input_dropout
        Share of the features that are dropped at random from each row in each step, so that no
        label is learnt by heart from a few of them (Srivastava et al. 2014, JMLR 15). None: half
        of 256 features and more, which say much twice; none of fewer.
    noise_rate
        Share of wrong labels; estimated on the features where None and the strategy needs it.
    balance
        "classes" lets every class count the same, "none" leaves the rows their weights.
    epochs, batch_size, lr, weight_decay, mixup, ema, patience, seed
        Of `TrainingConfig`; patience needs dev rows in ``fit``.
    on_epoch
        Called after each epoch with its number and each network's logits of the rows with weight.

    Attributes
    ----------
    noise_rate_ : the rate that was used, None where none was needed; the rest as in `Head`

    Notes
    -----
    Time O(epochs n d hidden); 20,000 rows of 512 features take about 3 s of one core for 10
    epochs. Strategy, dropout and epochs were chosen by noisy labels that did not teach; see
    ``docs/noise.md``.
    Two networks (co-teaching, the mixture) predict by the mean of their probabilities.
    """

    kind = "robust"
    settings = (
        "strategy", "hidden", "input_dropout", "noise_rate", "balance", "epochs", "batch_size",
        "lr", "weight_decay", "mixup", "ema", "patience", "seed",
    )  # fmt: skip

    noise_rate_: float | None

    def __init__(
        self,
        *,
        strategy: str = "forward",
        hidden: int = 512,
        input_dropout: float | None = None,
        noise_rate: float | None = None,
        balance: str = "none",
        epochs: int = 10,
        batch_size: int = 256,
        lr: float = 1e-3,
        weight_decay: float = 1e-4,
        mixup: float = 0.0,
        ema: float = 0.0,
        patience: int = 0,
        seed: int = 0,
        on_epoch: Callable[[int, list[Tensor]], None] | None = None,
    ) -> None:
        self.strategy = strategy
        self.hidden = hidden
        self.input_dropout = input_dropout
        self.noise_rate = noise_rate
        self.balance = balance
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.mixup = mixup
        self.ema = ema
        self.patience = patience
        self.seed = seed
        self.on_epoch = on_epoch

    def _learn(
        self,
        x: NDArray[np.float32],
        y: NDArray[np.float32],
        w: NDArray[np.float64],
        trusted: NDArray[np.bool_],
        dev: Dev | None,
    ) -> None:
        if self.strategy not in STRATEGIES:
            raise ConfigError(
                f"no strategy is called {self.strategy!r}; known: {sorted(STRATEGIES)}"
                f"{nearest(self.strategy, STRATEGIES)}"
            )
        noise = noise_for(self.strategy, x[~trusted], y[~trusted], self.noise_rate, self.seed)
        self.noise_rate_ = None if noise is None else noise.rate
        config = TrainingConfig(
            epochs=self.epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            weight_decay=self.weight_decay,
            mixup=self.mixup,
            ema=self.ema,
            patience=self.patience,
            seed=self.seed,
        )
        with threads_for(config.batch_of(len(x)) * x.shape[1]):
            self._networks = train_robustly(
                self._new_networks(),
                torch.from_numpy(x),
                torch.from_numpy(y),
                torch.from_numpy(w.astype(np.float32)),
                strategy=self.strategy,
                noise=noise,
                trusted=torch.from_numpy(trusted),
                config=config,
                augment=self._dropout(x.shape[1]),
                dev=None if dev is None else (torch.from_numpy(dev[0]), torch.tensor(dev[1])),
                on_epoch=self.on_epoch,
            )

    def _dropout(self, d: int) -> Callable[[Tensor], Tensor] | None:
        share = self.input_dropout
        if share is None:
            share = INPUT_DROPOUT if d >= REDUNDANT_FEATURES else 0.0
        if share == 0:
            return None
        draw = torch.Generator().manual_seed(derive_seed(self.seed, "robust_head", "dropout"))
        return lambda x: x * (torch.rand(x.shape, generator=draw) >= share) / (1 - share)

    def _logits(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logarithm of the networks' mean probability."""
        if len(x) == 0:
            return np.empty((0, len(self.classes_)), np.float32)
        logits = [predict_logits(network, torch.from_numpy(x)) for network in self._networks]
        proba = torch.stack(logits).softmax(dim=2).mean(dim=0)
        return np.asarray(proba.clamp_min(LEAST_PROBABILITY).log().numpy())

    def _arrays(self) -> dict[str, NDArray[np.float32]]:
        return {
            f"{number}.{name}": tensor.numpy()
            for number, network in enumerate(self._networks)
            for name, tensor in network.state_dict().items()
        }

    def _restore(self, arrays: Mapping[str, NDArray[np.float32]]) -> None:
        self._networks = self._new_networks()
        for number, network in enumerate(self._networks):
            state = {
                name: torch.from_numpy(arrays[f"{number}.{name}"]) for name in network.state_dict()
            }
            try:
                network.load_state_dict(state)
            except RuntimeError as error:  # what torch raises for another shape
                raise ValueError(str(error)) from error
            network.eval()

    def networks(self) -> list[nn.Module]:
        """Return the trained networks, in evaluation mode."""
        return self._networks

    def _new_networks(self) -> list[nn.Module]:
        d, k = self.n_features_in_, len(self.classes_)

        def new(number: int) -> nn.Module:
            with seeded_torch(self.seed, "robust_head", number):
                if self.hidden == 0:
                    return nn.Linear(d, k)
                return nn.Sequential(
                    nn.Linear(d, self.hidden), nn.ReLU(), nn.Linear(self.hidden, k)
                )

        return [new(number) for number in range(STRATEGIES[self.strategy].n_networks)]


def noise_for(
    strategy: str,
    features: NDArray[np.floating],
    targets: NDArray[np.floating],
    rate: float | None,
    seed: int,
) -> Noise | None:
    """Return rate and transition matrix where the strategy needs them, None elsewhere.

    With too few rows to estimate them ``forward`` gets None as well: it starts from right labels.
    So does either without any row. A rate that is given to ``co_teaching``, which asks for no
    matrix, is all that it gets.

    Parameters
    ----------
    features, targets
        (n, d) finite floats and (n, K) floats of the training rows whose labels may be wrong.
    rate
        Share of wrong labels where it is known; estimated where None.

    Raises
    ------
    ConfigError
        If the rate is no share.
    DataError
        If there are too few rows to estimate the rate for ``co_teaching``.
    """
    if strategy not in ("co_teaching", "forward") or not len(targets):
        return None
    if strategy == "forward" and len(targets) < ROWS_A_CLASS * targets.shape[1]:
        return None
    if rate is not None and not 0 <= rate < 1:
        raise ConfigError(f"noise_rate must lie in 0..1, but is {rate}")
    n_classes = targets.shape[1]
    if strategy == "co_teaching" and rate is not None:  # the rate is all that it asks for
        return Noise(rate=rate, transition=torch.eye(n_classes))
    estimated = estimate_noise(features, targets.argmax(axis=1), n_classes, seed=seed)
    used = estimated.rate if rate is None else rate
    logger.info("noise rate %.3f (%s)", used, "estimated" if rate is None else "given")
    return Noise(rate=used, transition=torch.from_numpy(estimated.transition))

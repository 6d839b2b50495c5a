"""Ways to train on labels that are partly wrong: what a batch's logits are asked to minimise.

Try it: ``RobustHead(strategy="elr").fit(features, labels)`` in :mod:`weak_supervision.noise`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor

from weak_supervision.noise.losses import (
    EarlyLearning,
    forward_corrected,
    generalized_cross_entropy,
    soft_cross_entropy,
    symmetric_cross_entropy,
)

__all__ = ["STRATEGIES", "Noise", "Strategy"]


@dataclass(frozen=True)
class Noise:
    """What is known or was estimated about the labels.

    Attributes
    ----------
    rate : share of wrong labels, 0..1
    transition : (K, K) float32, row c: how a true c gets labelled
    """

    rate: float
    transition: Tensor


class Strategy:
    """Plain cross-entropy, and the hooks that the others change.

    Parameters
    ----------
    targets
        (n, K) float32 targets of all training rows.
    noise
        What is known about the labels.
    epochs
        How many epochs the training will last.
    """

    name: ClassVar[str] = "plain"
    source: ClassVar[str] = "cross-entropy"
    n_networks: ClassVar[int] = 1
    needs_rows: ClassVar[bool] = False  # keeps a state per row, so rows cannot be mixed

    def __init__(self, targets: Tensor, noise: Noise, epochs: int) -> None:
        self.targets = targets
        self.noise = noise
        self.epochs = epochs

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """Return what the strategy learns besides the networks, as torch.optim takes it."""
        return []

    def begin_epoch(self, epoch: int, predict: Callable[[], list[Tensor]]) -> None:
        """Prepare an epoch; ``predict()`` gives each network's (n, K) logits of all rows."""

    def targets_of(self, rows: Tensor, network: int) -> Tensor:
        """Return the targets (B, K) that a network learns from."""
        return self.targets[rows]

    def losses(self, logits: Tensor, targets: Tensor, rows: Tensor) -> Tensor:
        """Return one loss a row (B,)."""
        return soft_cross_entropy(logits, targets)

    def chosen(self, losses: list[Tensor], network: int, epoch: int) -> Tensor:
        """Return (B,) weights, 0 for rows that this network does not learn from."""
        return torch.ones_like(losses[network])

    def state_dict(self) -> dict[str, Any]:
        """Return what the strategy has learnt from earlier epochs, for checkpoints."""
        return {}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Take back what ``state_dict`` returned."""


class GeneralizedCrossEntropy(Strategy):
    """See `losses.generalized_cross_entropy`."""

    name = "gce"
    source = "Zhang and Sabuncu 2018, arXiv:1805.07836"

    def losses(self, logits: Tensor, targets: Tensor, rows: Tensor) -> Tensor:
        return generalized_cross_entropy(logits, targets)


class SymmetricCrossEntropy(Strategy):
    """See `losses.symmetric_cross_entropy`."""

    name = "sce"
    source = "Wang et al. 2019, arXiv:1908.06112"

    def losses(self, logits: Tensor, targets: Tensor, rows: Tensor) -> Tensor:
        return symmetric_cross_entropy(logits, targets)


class ForwardCorrection(Strategy):
    """Fit the labels by what noise makes of the prediction, and revise the noise meanwhile.

    The transition matrix that is given is where learning starts. Clear cases, which it was read
    off, are labelled better than others, and some are of another class after all; the labels of
    all rows show by how much. See `losses.forward_corrected`.

    Notes
    -----
    A row of the matrix is the softmax of K numbers, which learn five times as fast as the networks:
    at their rate ten epochs hardly move it. So rows stay distributions; the paper adds a correction
    to the matrix instead.

    References
    ----------
    Patrini et al. 2017, arXiv:1609.03683, theorem 2; Xia et al. 2019, "Are anchor points really
    indispensable in label-noise learning?", arXiv:1906.00189, section 3 (T-revision).
    """

    name = "forward"
    source = "Patrini et al. 2017, arXiv:1609.03683; Xia et al. 2019, arXiv:1906.00189"
    speed = 5.0
    smoothing = 0.1  # share of the uniform distribution: a probability of 0 could never grow

    def __init__(self, targets: Tensor, noise: Noise, epochs: int) -> None:
        super().__init__(targets, noise, epochs)
        n_classes = targets.shape[1]
        smooth = (1 - self.smoothing) * noise.transition + self.smoothing / n_classes
        self._scores = smooth.log().requires_grad_()

    @property
    def transition(self) -> Tensor:
        """The matrix (K, K) as it is by now."""
        return self._scores.softmax(dim=1)

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        return [{"params": [self._scores], "lr": self.speed * lr, "weight_decay": 0.0}]

    def losses(self, logits: Tensor, targets: Tensor, rows: Tensor) -> Tensor:
        return forward_corrected(logits, targets, self.transition.to(logits.device))

    def state_dict(self) -> dict[str, Any]:
        return {"scores": self._scores.detach()}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        with torch.no_grad():
            self._scores.copy_(state["scores"])


class EarlyLearningRegularisation(Strategy):
    """See `losses.EarlyLearning`."""

    name = "elr"
    source = "Liu et al. 2020, arXiv:2007.00151"
    needs_rows = True

    def __init__(self, targets: Tensor, noise: Noise, epochs: int) -> None:
        super().__init__(targets, noise, epochs)
        self._loss = EarlyLearning(*targets.shape)

    def losses(self, logits: Tensor, targets: Tensor, rows: Tensor) -> Tensor:
        return self._loss(logits, targets, rows)

    def state_dict(self) -> dict[str, Any]:
        return {"average": self._loss.average}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        self._loss.average = state["average"]


class CoTeaching(Strategy):
    """Two networks; each learns from the rows on which the other's loss is small.

    The share of rows kept falls from all to ``1 - rate`` over the first third of the epochs (the
    paper: the first 10 of 200; heads on frozen features train for tens), since networks fit right
    labels first. The mean is over the kept rows.

    References
    ----------
    Han et al. 2018, arXiv:1804.06872, algorithm 1.
    """

    name = "co_teaching"
    source = "Han et al. 2018, arXiv:1804.06872"
    n_networks = 2

    def chosen(self, losses: list[Tensor], network: int, epoch: int) -> Tensor:
        of_peer = losses[1 - network].detach()
        keep = 1 - self.noise.rate * min(1.0, (epoch + 1) / max(1.0, self.epochs / 3))
        n_kept = max(1, round(keep * len(of_peer)))
        small = torch.zeros_like(of_peer)
        small[of_peer.argsort(stable=True)[:n_kept]] = 1.0
        return small


class SmallLossMixture(Strategy):
    """Split rows by the other network's losses, replace the labels that are likely wrong.

    After a tenth of the epochs (three at least) of plain training, a mixture of two Gaussians is
    fitted to each network's losses before every epoch; w is the chance that a row belongs to the
    smaller mean. The target becomes ``w y + (1 - w) q``, q the sharpened mean prediction of both.

    Notes
    -----
    The split and the co-refinement of DivideMix; its label guessing over augmented views and its
    unlabelled loss belong to images and are not part of this.

    References
    ----------
    Li, Socher and Hoi 2020, "DivideMix", arXiv:2002.07394, sections 3.1 and 3.2, eqs. 3 to 5;
    temperature 0.5 as there.
    """

    name = "small_loss_mixture"
    source = "Li et al. 2020 (DivideMix), arXiv:2002.07394"
    n_networks = 2
    temperature = 0.5

    def __init__(self, targets: Tensor, noise: Noise, epochs: int) -> None:
        super().__init__(targets, noise, epochs)
        self._refined = [targets, targets]
        self._warm_up = max(3, epochs // 10)

    def begin_epoch(self, epoch: int, predict: Callable[[], list[Tensor]]) -> None:
        if epoch < self._warm_up:
            return
        logits = predict()
        q = torch.stack(logits).softmax(dim=2).mean(dim=0) ** (1 / self.temperature)
        q = q / q.sum(dim=1, keepdim=True)
        for network in range(2):
            of_peer = soft_cross_entropy(logits[1 - network], self.targets)
            w = torch.from_numpy(clean_probability(of_peer.cpu().numpy())).to(q)[:, None]
            self._refined[network] = w * self.targets + (1 - w) * q

    def targets_of(self, rows: Tensor, network: int) -> Tensor:
        return self._refined[network][rows]


def clean_probability(losses: np.ndarray) -> np.ndarray:
    """Return (n,) float64: the chance of each row to belong to the component of small losses.

    Losses are scaled to 0..1 first, as DivideMix does. The mixture starts from the two halves of
    the sorted losses, so it draws nothing at random.
    """
    span = losses.max() - losses.min()
    if span <= 0:
        return np.ones(len(losses))
    x = ((losses - losses.min()) / span).astype(np.float64)[:, None]
    low, high = np.quantile(x, [0.25, 0.75])
    mixture = GaussianMixture(
        2, reg_covar=5e-4, max_iter=200, means_init=[[low], [high]], random_state=0
    ).fit(x)
    return np.asarray(mixture.predict_proba(x)[:, int(mixture.means_.argmin())])


STRATEGIES: dict[str, type[Strategy]] = {
    strategy.name: strategy
    for strategy in (
        Strategy,
        GeneralizedCrossEntropy,
        SymmetricCrossEntropy,
        ForwardCorrection,
        EarlyLearningRegularisation,
        CoTeaching,
        SmallLossMixture,
    )
}

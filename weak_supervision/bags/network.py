"""The one training loop of all neural bag classifiers: padded batches, masks, a fixed length.

A classifier is a pooling: a module from (B, T, D) instances and a (B, T) mask to the bags' logits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from weak_supervision.bags.base import Bag, check_bags, check_labels, predict_alone
from weak_supervision.scaling import scale_about
from weak_supervision.threads import threads_for
from weaklight.errors import TrainingError
from weaklight.seeds import numpy_generator, seeded_torch

__all__ = ["NetworkBagClassifier", "Pooled", "Pooling"]

CELLS_AT_ONCE = 4_000_000  # padded numbers in one forward pass: 16 MB of float32


@dataclass(frozen=True)
class Pooled:
    """What a pooling says of a batch.

    Attributes
    ----------
    bags : (B, C) logits; C is 1 for two classes, else K
    attention : (B, T) weights that sum to 1 over the instances, None where it has none
    """

    bags: Tensor
    attention: Tensor | None = None


class Pooling(nn.Module, ABC):
    """A network from padded bags to their logits."""

    @abstractmethod
    def forward(self, x: Tensor, mask: Tensor) -> Pooled:
        """Pool ``x`` (B, T, D), where ``mask`` (B, T) is true for real instances."""


@dataclass(kw_only=True, eq=False)
class NetworkBagClassifier(ABC):
    """A bag classifier that is a network.

    Parameters
    ----------
    hidden
        Units of the instance embedding. 64 are plenty on frozen features.
    dropout
        Share of embedding units left out in training.
    epochs, batch_size, lr, weight_decay
        AdamW over shuffled bags. The number of epochs is fixed beforehand: choosing it on the bags
        that are scored is where published gains of 9 to 22 points come from.
    max_steps
        Ends the epochs early where there are many bags: on 3,000 e-mails 1,000 steps tell them
        apart as well as the 3,800 of 40 epochs.
    seed
        Of the weights, the order of the bags and the dropout; global generators stay untouched.

    Notes
    -----
    Time O(epochs N d hidden) for N instances, memory O(batch T d): bags of one instance and of ten
    thousand may be mixed, and bags are sorted by size when they are scored. Two classes have one
    logit, more have one each against the rest, normalised when they are read.
    """

    hidden: int = 64
    dropout: float = 0.25
    epochs: int = 40
    max_steps: int = 1000
    batch_size: int = 32
    lr: float = 1e-3
    weight_decay: float = 1e-3
    seed: int = 0

    classes_: NDArray[np.int64] = field(init=False, repr=False)
    mean_: NDArray[np.float32] = field(init=False, repr=False)
    scale_: NDArray[np.float32] = field(init=False, repr=False)

    @abstractmethod
    def _pooling(self, d: int, n_logits: int, mean_bag_size: float) -> Pooling:
        """Return the untrained network."""

    def fit(self, bags: Sequence[Bag], y: ArrayLike) -> Self:
        """Train on ``bags``, a list of (n_i, d) arrays, with integer labels ``y`` (n_bags,).

        Raises
        ------
        DataError
            If a bag is empty or not finite, widths differ, or the bags have one label only.
        TrainingError
            If the loss is not finite.
        """
        d = check_bags(bags)
        self.classes_, numbers = check_labels(y, len(bags))
        n_logits = 1 if len(self.classes_) == 2 else len(self.classes_)
        targets = torch.from_numpy(numbers).float()[:, None]  # (B, 1)
        if n_logits > 1:
            targets = torch.eye(n_logits)[torch.from_numpy(numbers)]  # (B, K)
        stacked = np.concatenate(bags)
        mean = stacked.mean(axis=0)
        self.mean_ = mean.astype(np.float32)
        self.scale_ = scale_about(mean, stacked).astype(np.float32)
        with seeded_torch(self.seed, type(self).__name__):
            self._network = self._pooling(d, n_logits, len(stacked) / len(bags))
            with threads_for(self.batch_size * stacked.size / len(bags)):
                self._train(bags, targets)
        return self

    def _train(self, bags: Sequence[Bag], targets: Tensor) -> None:
        self._network.train()
        optimiser = torch.optim.AdamW(
            self._network.parameters(), lr=self.lr, weight_decay=self.weight_decay
        )
        draw = numpy_generator(self.seed, type(self).__name__, "order")
        n_epochs = min(self.epochs, ceil(self.max_steps * self.batch_size / len(bags)))
        for _ in range(n_epochs):
            for part in torch.from_numpy(draw.permutation(len(bags))).split(self.batch_size):
                pooled = self._network(*self._pad([bags[i] for i in part.tolist()]))
                loss = self._loss(pooled, targets[part])
                if not torch.isfinite(loss):
                    raise TrainingError(
                        "the bag classifier's loss became NaN or infinite; look for huge values "
                        "in the features"
                    )
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        self._network.eval()

    def _loss(self, pooled: Pooled, targets: Tensor) -> Tensor:
        return nn.functional.binary_cross_entropy_with_logits(pooled.bags, targets)

    def predict_proba(self, bags: Sequence[Bag]) -> NDArray[np.float32]:
        """Return the probability of each class for each bag, (n_bags, K) float32."""
        check_bags(bags, len(self.mean_))
        proba = np.empty((len(bags), len(self.classes_)), dtype=np.float32)
        for rows, pooled in self._forward(bags):
            proba[rows] = _probabilities(pooled.bags)
        return proba

    def predict_instances(self, bags: Sequence[Bag]) -> list[NDArray[np.float32]]:
        """Return each instance's own probabilities: the classifier on a bag of it alone.

        Returns
        -------
        One (n_i, K) float32 array a bag. What a bag of one instance would be called, which is
        neither attention nor the instance's share in the bag's label.
        """
        check_bags(bags, len(self.mean_))
        return predict_alone(self.predict_proba, bags)

    def _forward(self, bags: Sequence[Bag]) -> Iterator[tuple[NDArray[np.int64], Pooled]]:
        """Yield row numbers and what the network says of them, bags of like size together."""
        sizes = np.array([len(bag) for bag in bags])
        order = np.argsort(-sizes, kind="stable")
        start = 0
        with torch.inference_mode():
            while start < len(order):
                largest = sizes[order[start]] * len(self.mean_)
                rows = order[start : start + max(1, CELLS_AT_ONCE // int(largest))]
                yield rows, self._network(*self._pad([bags[i] for i in rows]))
                start += len(rows)

    def _pad(self, bags: Sequence[Bag]) -> tuple[Tensor, Tensor]:
        """Return the standardised instances (B, T, D), zero-padded, and the mask (B, T)."""
        x = np.zeros((len(bags), max(map(len, bags)), len(self.mean_)), dtype=np.float32)
        mask = np.zeros(x.shape[:2], dtype=np.bool_)
        for padded, real, bag in zip(x, mask, bags, strict=True):
            padded[: len(bag)] = (bag - self.mean_) / self.scale_
            real[: len(bag)] = True
        return torch.from_numpy(x), torch.from_numpy(mask)


def _probabilities(logits: Tensor) -> NDArray[np.float32]:
    p = logits.sigmoid()
    if p.shape[1] == 1:
        return torch.cat([1 - p, p], dim=1).numpy()
    normalised: NDArray[np.float32] = (p / p.sum(dim=1, keepdim=True).clamp_min(1e-12)).numpy()
    return normalised

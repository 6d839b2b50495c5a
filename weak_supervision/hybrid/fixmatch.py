"""FixMatch: what a network says of a mildly changed image, it must say of a strongly changed one.

Try it: ``train_robustly([network], images, targets, also=FixMatch(unlabelled, weak, strong))``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from weak_supervision.hybrid.pseudo_labels import adaptive_thresholds
from weaklight.errors import DataError
from weaklight.seeds import derive_seed

__all__ = ["FixMatch"]

View = Callable[[Tensor], Tensor]


class FixMatch:
    """The consistency loss of unlabelled images, a new batch at each call.

    Each image's likeliest class under a weak view is the target of its strong view, if its
    probability reaches the threshold of that class. The thresholds follow the network: those of
    :func:`adaptive_thresholds` on the latest weak-view probabilities of the images seen so far.

    Parameters
    ----------
    inputs
        (n, ...) unlabelled images.
    weak, strong
        A batch of them to views (B, ...) that the network takes: weak as flip and shift, strong as
        an SSL method's augmentation.
    batch_size
        Images a call.
    weight
        Of this loss beside the one on labels; 1 as in the paper.
    seed
        Of the order of the images. The views' draws belong to ``weak`` and ``strong``.

    Attributes
    ----------
    admitted_
        Share of the last batch whose pseudo-label was believed.

    Raises
    ------
    DataError
        If there are no images.

    Notes
    -----
    A call costs one forward pass without gradient and one with. FixMatch's one threshold for all
    classes (0.95) is FreeMatch's of each class here. What the network believes wrongly is
    confirmed: consistency repairs labels that are missing rather than those that are wrong.

    References
    ----------
    Sohn et al. 2020, "FixMatch", arXiv:2001.07685, eq. 4; Wang et al. 2023, "FreeMatch",
    arXiv:2205.07246, eqs. 5 to 8.
    """

    admitted_: float

    def __init__(
        self,
        inputs: Tensor,
        weak: View,
        strong: View,
        *,
        batch_size: int = 64,
        weight: float = 1.0,
        seed: int = 0,
    ) -> None:
        if len(inputs) == 0:
            raise DataError("consistency needs unlabelled images, but none came")
        self.inputs, self.weak, self.strong = inputs, weak, strong
        self.batch_size, self.weight = min(batch_size, len(inputs)), weight
        self._order = torch.Generator().manual_seed(derive_seed(seed, "fixmatch"))
        self._left = torch.empty(0, dtype=torch.long)
        self._said: Tensor | None = None  # (n, K), NaN where not seen yet
        self.admitted_ = 0.0

    def __call__(self, network: nn.Module) -> Tensor:
        """Return the loss of the next batch, a scalar on the network's device."""
        device = next(network.parameters()).device
        rows = self._next_rows()
        images = self.inputs[rows].to(device)
        with torch.no_grad():
            proba = network(self.weak(images)).softmax(dim=1).float()  # (B, K)
        top, labels = proba.max(dim=1)
        believed = top >= self._thresholds(rows, proba)[labels]
        self.admitted_ = float(believed.float().mean())
        losses = nn.functional.cross_entropy(network(self.strong(images)), labels, reduction="none")
        loss: Tensor = self.weight * (losses * believed).mean()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Return where the order stands and what was said; the views' draws are their own."""
        return {"order": self._order.get_state(), "left": self._left, "said": self._said}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Take back what ``state_dict`` returned."""
        self._order.set_state(state["order"])
        self._left, self._said = state["left"], state["said"]

    def _next_rows(self) -> Tensor:
        if len(self._left) < self.batch_size:
            self._left = torch.randperm(len(self.inputs), generator=self._order)
        rows, self._left = self._left[: self.batch_size], self._left[self.batch_size :]
        return rows

    def _thresholds(self, rows: Tensor, proba: Tensor) -> Tensor:
        """Remember what was said of these rows and return the thresholds (K,)."""
        if self._said is None:
            self._said = torch.full((len(self.inputs), proba.shape[1]), torch.nan)
        self._said[rows] = proba.cpu()
        seen = self._said[~self._said[:, 0].isnan()]
        return torch.from_numpy(adaptive_thresholds(seen.numpy())).to(proba)

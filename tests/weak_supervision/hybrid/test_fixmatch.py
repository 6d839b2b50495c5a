"""The consistency loss by hand, and what it does for a network with few labels."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from weak_supervision.hybrid.fixmatch import FixMatch
from weak_supervision.noise.robust_training import TrainingConfig, train_robustly
from weaklight.errors import DataError


class Echo(nn.Module):
    """Logits are the input itself."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return x * self.scale


def test_only_what_is_believed_under_the_weak_view_is_asked_of_the_strong_one():
    # Probabilities (0.9, 0.1), (0.6, 0.4), (0.2, 0.8): mean confidence 0.7667, mass 0.5667 and
    # 0.4333, so the thresholds are 0.7667 and 0.5863: the second image is not believed.
    proba = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    loss = FixMatch(proba.log(), weak=lambda x: x, strong=torch.zeros_like, weight=2.0)
    value = loss(Echo())
    assert loss.admitted_ == pytest.approx(2 / 3)
    assert value.item() == pytest.approx(2.0 * (2 / 3) * math.log(2))


def test_the_weak_view_teaches_and_is_not_taught():
    images = torch.tensor([[2.0, 0.0]])
    network = Echo()
    FixMatch(images, weak=lambda x: x, strong=lambda x: x * 0)(network).backward()
    assert network.scale.grad == 0  # the strong view is blank, and the weak one passes no gradient
    with pytest.raises(DataError, match="none came"):
        FixMatch(images[:0], weak=lambda x: x, strong=lambda x: x)


def test_every_image_is_shown_before_any_twice():
    seen = []

    def weak(x):
        seen.extend(x[:, 0].tolist())
        return x

    loss = FixMatch(torch.arange(12.0).view(6, 2), weak, strong=lambda x: x, batch_size=2)
    for _ in range(6):
        loss(Echo())
    assert sorted(seen[:6]) == sorted(seen[6:]) == [0, 2, 4, 6, 8, 10]


def test_it_reaches_views_that_no_label_shows():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 500)
    x = (2.0 * truth[:, None] - 1 + rng.normal(size=(500, 6))).astype(np.float32)
    x[:, 3:] = 1.5 * (2 * truth[:, None] - 1) + rng.normal(size=(500, 3))
    inputs, targets = torch.from_numpy(x), torch.eye(2)[torch.from_numpy(truth)]
    hide = torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])

    def right(also):
        torch.manual_seed(0)
        network = nn.Linear(6, 2)
        weights = torch.zeros(500)
        weights[:40] = 1.0
        labelled = inputs.clone()
        labelled[:, 3:] = 0.0  # labels never show the second half
        train_robustly(
            [network], labelled, targets, weights, also=also,
            config=TrainingConfig(epochs=60, lr=1e-2),
        )  # fmt: skip
        return float((network(inputs * hide).argmax(1).numpy() == truth).mean())

    consistent = FixMatch(inputs, weak=lambda v: v * (1 - hide), strong=lambda v: v * hide)
    assert right(consistent) > max(0.9, right(None) + 0.1)

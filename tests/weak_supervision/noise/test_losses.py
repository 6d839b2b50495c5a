"""Losses by hand: a row of two classes with probabilities 0.8 and 0.2."""

import math

import pytest
import torch

from weak_supervision.noise.losses import (
    EarlyLearning,
    forward_corrected,
    generalized_cross_entropy,
    soft_cross_entropy,
    symmetric_cross_entropy,
)

LOGITS = torch.tensor([[math.log(0.8), math.log(0.2)]])
FIRST = torch.tensor([[1.0, 0.0]])
SECOND = torch.tensor([[0.0, 1.0]])


def test_soft_cross_entropy() -> None:
    half = torch.tensor([[0.5, 0.5]])
    expected = -(0.5 * math.log(0.8) + 0.5 * math.log(0.2))
    assert soft_cross_entropy(LOGITS, half).item() == pytest.approx(expected)


def test_generalized_cross_entropy_lies_between_its_two_ends() -> None:
    assert generalized_cross_entropy(LOGITS, SECOND).item() == pytest.approx((1 - 0.2**0.7) / 0.7)
    assert generalized_cross_entropy(LOGITS, SECOND, q=1).item() == pytest.approx(0.8)
    near_zero = generalized_cross_entropy(LOGITS, SECOND, q=1e-3).item()
    assert near_zero == pytest.approx(-math.log(0.2), abs=2e-3)


def test_symmetric_cross_entropy() -> None:
    # reverse: 0.2 * 4 where the label is the first class
    expected = 0.1 * -math.log(0.8) + 0.2 * 4
    assert symmetric_cross_entropy(LOGITS, FIRST).item() == pytest.approx(expected)


def test_forward_correction_asks_what_the_noise_makes_of_the_prediction() -> None:
    transition = torch.tensor([[0.9, 0.1], [0.3, 0.7]])
    expected = -math.log(0.8 * 0.1 + 0.2 * 0.7)
    assert forward_corrected(LOGITS, SECOND, transition).item() == pytest.approx(expected)


def test_early_learning_cancels_the_pull_of_a_label_it_remembers_otherwise() -> None:
    loss = EarlyLearning(1, 2)
    row = torch.tensor([0])
    value = loss(LOGITS, SECOND, row).item()
    # the average starts at zero and keeps 0.7 of itself: 0.3 * (0.8, 0.2)
    expected = -math.log(0.2) + 3 * math.log(1 - (0.8 * 0.24 + 0.2 * 0.06))
    assert value == pytest.approx(expected)
    assert loss.average[0].tolist() == pytest.approx([0.24, 0.06])
    loss.average[0] = torch.tensor([0.95, 0.05])  # learnt early: the first class
    logits = LOGITS.clone().requires_grad_(True)
    loss(logits, SECOND, row).sum().backward()
    plain = LOGITS.clone().requires_grad_(True)
    soft_cross_entropy(plain, SECOND).sum().backward()
    assert plain.grad[0, 1] < 0 < logits.grad[0, 1]  # plain moves to the label, this one away

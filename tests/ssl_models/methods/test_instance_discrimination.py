from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from ssl_models import AugmentConfig, build_backbone
from ssl_models.memory import Bank, contrast_with_bank
from ssl_models.methods import InstanceDiscrimination


def test_loss_by_hand() -> None:
    bank = torch.eye(3)
    expected = -math.log(math.exp(2) / (math.exp(2) + 2))
    v, rows = torch.tensor([[0.0, 1.0, 0.0]]), torch.tensor([1])
    assert float(contrast_with_bank(v, bank, rows, 0.5)) == pytest.approx(expected, rel=1e-6)


def test_bank_averages_and_stays_unit() -> None:
    bank = Bank(3, 2, momentum=0.5)
    random = bank.entries.clone()
    bank.add(torch.tensor([2]), torch.tensor([[1.0, 0.0]]))
    assert torch.equal(bank.entries, random)  # not before the optimiser step
    bank.turn()
    assert bank.entries[2].tolist() == [1.0, 0.0]  # nothing of the random direction is left
    bank.add(torch.tensor([2, 0]), torch.tensor([[0.0, 1.0], [0.0, 1.0]]))
    bank.turn()
    half = math.sqrt(0.5)
    expected = torch.stack([torch.tensor([0.0, 1.0]), random[1], torch.tensor([half, half])])
    torch.testing.assert_close(bank.entries, expected)


def test_positive_is_the_old_entry_of_the_very_image() -> None:
    torch.manual_seed(0)
    encoder = build_backbone("compact", channels=1, image_size=24, width=8)
    method = InstanceDiscrimination(encoder, AugmentConfig(gray=0.0), projection_dim=8)
    method.begin(10)
    method.bank.seen.fill_(True)
    before = method.bank.entries.clone()
    method.rows = torch.tensor([7, 2, 5, 0])
    images = torch.randint(0, 256, (4, 1, 24, 24), dtype=torch.uint8)
    view, rows = method.views(images, torch.Generator().manual_seed(0))
    loss, h = method((view, rows))
    v = F.normalize(method.projector(h), dim=1)
    expected = F.cross_entropy(v @ before.T / 0.1, torch.tensor([7, 2, 5, 0]))
    torch.testing.assert_close(loss, expected)
    method.after_step(1, 10)
    moved = (method.bank.entries != before).any(1)
    assert moved.nonzero().flatten().tolist() == [0, 2, 5, 7]
    torch.testing.assert_close(
        method.bank.entries[2], F.normalize(before[2] + v[1].detach(), dim=0)
    )

from __future__ import annotations

import torch
from torch.nn import functional as F

from ssl_models import AugmentConfig, build_backbone
from ssl_models.memory import contrast_with_bank
from ssl_models.methods.pirl import PIRL, shuffled_patches


def test_each_patch_lies_in_a_cell_of_its_own() -> None:
    """Pixels hold their place, so each patch tells where it was cut."""
    y, x = torch.meshgrid(torch.arange(24.0), torch.arange(30.0), indexing="ij")
    image = torch.stack([y, x])
    patches = shuffled_patches(image.expand(50, 2, 24, 30), torch.Generator().manual_seed(0))
    assert patches.shape == (50, 9, 2, 6, 8)
    step = torch.ones(())
    assert torch.equal(patches[:, :, 0, 1:] - patches[:, :, 0, :-1], step.expand(50, 9, 5, 8))
    corner = patches[..., 0, 0]  # (50, 9, 2)
    cell = (corner[..., 0] // 8) * 3 + corner[..., 1] // 10
    assert torch.equal(cell.sort(1).values, torch.arange(9.0).expand(50, 9))
    assert len({tuple(row) for row in cell.tolist()}) > 45  # each image its own order
    inside = corner - torch.stack([cell // 3 * 8, cell % 3 * 10], -1)
    assert inside.amin((0, 1)).tolist() == [0, 0] and inside.amax((0, 1)).tolist() == [2, 2]


def test_both_losses_are_held_against_the_bank_which_the_image_alone_updates() -> None:
    """In a peer the image is compared with itself, and patches are glued before the encoder."""
    torch.manual_seed(0)
    encoder = build_backbone("compact", channels=1, image_size=24, width=8)
    method = PIRL(encoder, AugmentConfig(gray=0.0), projection_dim=8, patch_weight=0.3)
    method.begin(6)
    method.bank.seen.fill_(True)
    method.rows = torch.tensor([4, 1, 3])
    bank = method.bank.entries.clone()
    images = torch.randint(0, 256, (3, 1, 24, 24), dtype=torch.uint8)
    whole, patches, rows = method.views(images, torch.Generator().manual_seed(0))
    sizes: list[tuple[int, ...]] = []
    method.encoder.register_forward_pre_hook(lambda _, x: sizes.append(tuple(x[0].shape)))
    loss, h = method((whole, patches, rows))
    assert sizes == [(3, 1, 24, 24), (27, 1, 6, 6)]
    v = F.normalize(method.image_head(h), dim=1)
    parts = method.patch_head(method.encoder(patches.flatten(0, 1))).view(3, -1)
    w = F.normalize(method.patches_head(parts), dim=1)
    expected = 0.3 * contrast_with_bank(w, bank, rows, 0.07) + 0.7 * contrast_with_bank(
        v, bank, rows, 0.07
    )
    torch.testing.assert_close(loss, expected)
    method.after_step(1, 2)
    torch.testing.assert_close(
        method.bank.entries[rows], F.normalize(bank[rows] + v.detach(), dim=1)
    )

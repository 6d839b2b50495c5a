"""MAE: what is hidden stays hidden, and only what is hidden counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ssl_models import AugmentConfig, TrainConfig, build_backbone, pretrain
from ssl_models.backbones import Backbone
from ssl_models.methods.mae import MAE, MAEViews, patch_targets, sincos_positions
from weaklight.errors import ConfigError

PLAIN = AugmentConfig.identity()


class KilledError(Exception):
    pass


def method(backbone: str = "vit_tiny") -> MAE:
    torch.manual_seed(0)
    encoder = build_backbone(backbone, channels=1, image_size=24, width=4)
    return MAE(encoder, PLAIN, mask_ratio=0.75)


def stripes(n: int, side: int = 24) -> torch.Tensor:
    """Columns of 0 and 1 in turn: in every patch half the pixels are 1 above the other half."""
    return (torch.arange(side) % 2).float().expand(n, 1, side, side).clone()


class Planted(torch.nn.Module):
    """A decoder that says the same number everywhere."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = number

    def forward(self, features, latents, visible, masked, grid):
        assert latents.shape[1] == visible.shape[1] == 9 and masked.shape[1] == 27
        return torch.full((*masked.shape, 16), self.number)


@pytest.mark.parametrize(("said", "expected"), [(0.0, 1.0), (1.0, 2.0), (-2.0, 5.0)])
def test_loss_by_hand(said: float, expected: float) -> None:
    """Targets are -1 and 1 in equal parts: the mean of (said + 1)^2 and (said - 1)^2."""
    mae, order = method(), torch.rand(2, 36).argsort(1)
    mae.decoder = Planted(said)
    loss, features = mae(MAEViews(stripes(2), order))
    assert loss.item() == pytest.approx(expected, abs=1e-4)
    assert features.shape == (2, mae.encoder.dim)


def test_only_masked_patches_count() -> None:
    mae, order = method(), torch.arange(36).expand(2, 36)
    mae.decoder = Planted(0.5)
    images = stripes(2)
    before, _ = mae(MAEViews(images, order))
    images[:, :, :4] = 0.3  # the first six patches, all of them visible: flat now, targets 0
    after, _ = mae(MAEViews(images, order))
    assert after.item() == before.item() == pytest.approx(1.25, abs=1e-4)


@pytest.mark.parametrize("backbone", ["vit_tiny", "vit_compact", "compact"])
def test_the_encoder_does_not_see_masked_patches(backbone: str) -> None:
    mae = method(backbone).eval()
    patch, columns = mae.body.patch, mae.body.grid(24, 24)[1]
    visible = torch.arange(columns + 1).expand(2, -1)  # the first row and one patch of the second
    images = torch.rand(2, 1, 24, 24)
    seen = mae.encode_visible(images, visible)
    images[:, :, patch : 2 * patch, patch:], images[:, :, 2 * patch :] = 0.5, 0.5
    for before, after in zip(seen, mae.encode_visible(images, visible), strict=True):
        assert torch.equal(before, after)
    images[:, :, :patch] = 0
    assert not torch.allclose(seen[0], mae.encode_visible(images, visible)[0])


def test_a_convolutional_network_hands_on_its_features_alone() -> None:
    """16 patches of 32 px: four visible, twelve asked for, from one token that is kept."""
    torch.manual_seed(0)
    mae = MAE(build_backbone("compact", channels=3, image_size=32, width=4), PLAIN, mask_ratio=0.75)
    lengths: list[int] = []
    mae.decoder.blocks.register_forward_pre_hook(lambda _, x: lengths.append(x[0].shape[1]))
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    loss, features = mae(mae.views(images, torch.Generator().manual_seed(0)))
    assert lengths == [1 + 12] and features.shape == (4, mae.encoder.dim)
    loss.backward()
    assert all(p.grad is not None and p.grad.any() for p in mae.encoder.parameters())


def test_a_quarter_is_visible_and_each_image_draws_its_own() -> None:
    mae = method()
    images = torch.randint(0, 256, (200, 1, 24, 24), dtype=torch.uint8)
    views = mae.views(images, torch.Generator().manual_seed(0))
    assert torch.equal(views.order.sort(1).values, torch.arange(36).expand(200, 36))
    mae.decoder = Planted(0.0)  # which checks that 9 of 36 are visible
    mae(views)
    often = torch.bincount(views.order[:, :9].flatten(), minlength=36) / 200
    assert float((often - 0.25).abs().max()) < 0.12  # four standard deviations


def test_targets_by_hand() -> None:
    image = torch.tensor([[0.0, 1, 5, 5], [2, 3, 5, 5]]).view(1, 1, 2, 4)
    first, flat = patch_targets(image, 2)[0]
    expected = (torch.tensor([0.0, 1, 2, 3]) - 1.5) / 1.25**0.5
    torch.testing.assert_close(first, expected, atol=1e-5, rtol=0)
    assert not flat.any()


def test_targets_follow_the_order_of_patch_tokens() -> None:
    vit = method().encoder.body
    image = torch.rand(1, 1, 24, 24)
    changed = image.clone()
    changed[..., 4:8, 8:12] += torch.rand(4, 4)  # second row, third column: patch 8 of 6 x 6
    moved = (vit.embed(image) != vit.embed(changed)).any(-1)[0].nonzero().flatten().tolist()
    assert moved == [8]
    targets = (patch_targets(image, 4) != patch_targets(changed, 4)).any(-1)[0]
    assert targets.nonzero().flatten().tolist() == [8]


def test_every_place_has_a_position_of_its_own() -> None:
    positions = sincos_positions((3, 5), 32)
    assert positions.shape == (15, 32)
    torch.testing.assert_close(positions[0], torch.tensor([0.0] * 8 + [1.0] * 8).repeat(2))
    assert float(positions[6][0]) == pytest.approx(np.sin(1), abs=1e-6)  # row 1 of 5 columns
    assert float(torch.pdist(positions).min()) > 0.5


def config(**changes: object) -> TrainConfig:
    settings: dict[str, object] = {
        "method": "mae",
        "backbone": "vit_tiny",
        "width": 4,
        "steps": 6,
        "batch_size": 16,
        "lr": 3e-3,
        "log_every": 3,
        "checkpoint_every": 2,
        "augment": PLAIN,
    }
    return TrainConfig(**{**settings, **changes})  # type: ignore[arg-type]


def drawn(n: int, height: int = 24, width: int = 24) -> np.ndarray:
    """Diagonal waves of many lengths: what a patch holds follows from its neighbours."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    length, phase = generator.uniform(4, 12, n), generator.uniform(0, 7, n)
    waves = np.sin((x + y) * 2 * np.pi / length[:, None, None] + phase[:, None, None])
    return (127 + 120 * waves).astype(np.uint8)[..., None]


@pytest.mark.parametrize("backbone", ["vit_tiny", "compact"])
def test_learns_to_rebuild_better_than_by_the_mean(backbone: str) -> None:
    """Always saying a patch's mean costs 1; one batch, always masked the same, can be learnt."""
    mae = method(backbone)
    views = mae.views(torch.from_numpy(drawn(16)).permute(0, 3, 1, 2), torch.Generator())
    optimiser = torch.optim.AdamW(mae.parameters(), lr=3e-3)
    losses = []
    for _ in range(100):
        loss, _ = mae(views)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 < 1 < losses[0], losses


def test_a_kill_changes_no_byte(tmp_path: Path) -> None:
    images = drawn(32, 24, 28)  # not square
    pretrain(images, config(), tmp_path / "whole", tmp_path / "s1")

    def kill(done: int, total: int, message: str) -> None:
        if done == 5:
            raise KilledError

    with pytest.raises(KilledError):
        pretrain(images, config(), tmp_path / "again", tmp_path / "s2", kill)
    pretrain(images, config(), tmp_path / "again", tmp_path / "s2")
    for name in ("encoder.safetensors", "heads.safetensors", "history.json"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize("options", [{"mask_ratio": 1.0}, {"decoder_dim": 50}])
def test_settings_that_make_no_sense(options: dict[str, float]) -> None:
    encoder = build_backbone("vit_tiny", channels=1, image_size=24, width=4)
    with pytest.raises(ConfigError, match="mae takes"):
        MAE(encoder, PLAIN, **options)


def test_needs_patches() -> None:
    with pytest.raises(ConfigError, match="vit_tiny"):
        MAE(Backbone(torch.nn.Flatten(), 576, 1), PLAIN)

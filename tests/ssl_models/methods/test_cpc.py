from __future__ import annotations

import pytest
import torch

from ssl_models import AugmentConfig, build_backbone
from ssl_models.methods.cpc import CPC, RowContext, info_nce
from weaklight.errors import ConfigError


def planted(grid: int = 5) -> CPC:
    torch.manual_seed(0)
    encoder = build_backbone("compact", channels=1, image_size=32, width=8)
    return CPC(encoder, AugmentConfig.identity(), grid=grid, latent_dim=8)


def test_patches_overlap_by_half_so_that_targets_do_not() -> None:
    images = torch.randint(0, 256, (2, 1, 24, 24), dtype=torch.uint8)
    patches = planted().views(images, torch.Generator()).view(2, 5, 5, 1, 8, 8)
    torch.testing.assert_close(patches[:, 0, 0], images[..., :8, :8] / 255, atol=1e-5, rtol=0)
    for later, earlier in (
        (patches[:, 1:, ..., :4, :], patches[:, :-1, ..., 4:, :]),  # a row below
        (patches[:, :, 1:, ..., :4], patches[:, :, :-1, ..., 4:]),  # a column to the right
    ):
        torch.testing.assert_close(later, earlier, atol=1e-5, rtol=0)


def test_each_patch_is_recoloured_by_a_draw_of_its_own() -> None:
    """Else all patches of an image share a tint that no other image has."""
    encoder = build_backbone("compact", channels=3, image_size=24, width=8)
    method = CPC(encoder, AugmentConfig(jitter=1.0, gray=0.0), grid=5)
    image = torch.tensor([150, 100, 60], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 24, 24)
    patches = method.views(image, torch.Generator().manual_seed(0))[0]  # (25, 3, 8, 8)
    assert patches.std((2, 3)).max() < 1e-4
    assert len({tuple(colour) for colour in patches[..., 0, 0].tolist()}) == 25


def test_the_context_of_a_row_knows_nothing_of_the_rows_below() -> None:
    """From the pixels on: a patch changed in row 3 leaves the contexts of rows 0 to 2 alone."""
    method, patches = planted().train(), torch.rand(2, 25, 1, 8, 8)
    method(patches)  # sets the batch norm

    def contexts(x: torch.Tensor) -> torch.Tensor:
        return method.context(method.latent(method.encoder(x.flatten(0, 1))).view(2, 5, 5, -1))

    changed = patches.clone()
    changed[0, 17] = torch.rand(1, 8, 8)
    before, after = contexts(patches), contexts(changed)
    torch.testing.assert_close(after[:, :3], before[:, :3])
    torch.testing.assert_close(after[1], before[1])  # nor of other images
    assert ((after[0, 3] - before[0, 3]).abs().amax(1) > 1e-4).sum() == 5  # all of its own row
    assert ((after[0, 4] - before[0, 4]).abs().amax(1) > 1e-4).all()


def test_no_statistic_is_shared_by_patches_even_in_training() -> None:
    method, patches = planted().train(), torch.rand(2, 25, 1, 8, 8)
    method(patches)
    alone = method.latent(method.encoder(patches[0, :1]))
    together = method.latent(method.encoder(patches.flatten(0, 1)))[:1]
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=1e-4)
    method(torch.rand(2, 25, 1, 8, 8) * 0.1)
    torch.testing.assert_close(method.latent(method.encoder(patches[0, :1])), alone)


def test_info_nce_by_hand() -> None:
    """Two images of 3 x 3: every other patch of both is a negative, those of the row above too."""
    torch.manual_seed(0)
    z, predicted = torch.randn(2, 3, 3, 4), torch.randn(2, 1, 3, 4)
    losses = []
    for i in range(2):
        for column in range(3):
            scores = {
                (j, row, place): predicted[i, 0, column] @ z[j, row, place] / 2  # sqrt(4)
                for j in range(2)
                for row in range(3)
                for place in range(3)
            }
            assert len(scores) == 18
            true = scores[i, 2, column]
            losses.append(torch.logsumexp(torch.stack(list(scores.values())), 0) - true)
    torch.testing.assert_close(info_nce(predicted, z, 2), torch.stack(losses).mean())


def test_loss_by_hand_with_a_map_for_each_distance() -> None:
    method, patches = planted().eval(), torch.rand(2, 25, 1, 8, 8)
    loss, h = method(patches)
    z = method.latent(method.encoder(patches.flatten(0, 1))).view(2, 5, 5, 8)
    c = method.context(z)
    assert len(method.predictors) == 3
    by_hand = [
        info_nce(c[:, : 5 - k] @ predict.weight.T, z, k)
        for k, predict in zip((2, 3, 4), method.predictors, strict=True)
    ]
    torch.testing.assert_close(loss, torch.stack(by_hand).mean())
    torch.testing.assert_close(h, method.encoder(patches.flatten(0, 1)).view(2, 25, -1).mean(1))


def test_a_row_sums_up_all_rows_above() -> None:
    """The first row reaches the last context of a 4 x 4 grid."""
    torch.manual_seed(0)
    z = torch.randn(1, 4, 4, 8, requires_grad=True)
    RowContext(8)(z)[0, 3, 2].sum().backward()
    assert (z.grad[0].abs().amax(2) > 0).sum() == 16


@pytest.mark.parametrize(("grid", "side", "words"), [(2, 32, "at least 3"), (10, 32, "33 px")])
def test_grids_that_do_not_work_are_named(grid: int, side: int, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        planted(grid=grid).views(
            torch.zeros(2, 1, side, side, dtype=torch.uint8), torch.Generator()
        )

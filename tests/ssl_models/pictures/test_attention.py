from __future__ import annotations

import numpy as np
import pytest
import torch

from ssl_models import build_backbone
from ssl_models.backbones import Backbone
from ssl_models.pictures import (
    attention_maps,
    best_head_jaccard,
    jaccard,
    keep_mass,
    patch_tokens,
    to_pixels,
)
from ssl_models.vit import VisionTransformer
from weaklight.errors import ConfigError, DataError


def encoder_of(registers: int = 0) -> Backbone:
    torch.manual_seed(0)
    vit = VisionTransformer(
        image_size=16, channels=1, patch=4, dim=12, depth=2, heads=3, registers=registers
    )
    encoder = Backbone(vit, 12, 1)
    encoder.set_normalisation([0.3], [0.2])
    return encoder


def images(n: int = 5, height: int = 16, width: int = 12) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, height, width, 1)).astype(np.uint8)


@pytest.mark.parametrize("registers", [0, 2])
def test_maps_are_the_class_tokens_row_without_the_registers(registers: int) -> None:
    encoder, pixels = encoder_of(registers), images()
    maps = attention_maps(encoder, pixels, batch_size=2)
    x = (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - 0.3) / 0.2
    whole = encoder.body.attention(x)[:, :, 0].numpy()  # (n, heads, T)
    assert maps.shape == (5, 3, 4, 3) and maps.dtype == np.float32
    np.testing.assert_allclose(maps.reshape(5, 3, 12), whole[..., 1 + registers :], atol=1e-6)
    lost = whole[..., : 1 + registers].sum(-1)
    np.testing.assert_allclose(maps.sum((2, 3)), 1 - lost, atol=1e-5)


def test_a_patch_that_speaks_to_the_class_token_is_where_the_map_shows_it() -> None:
    """Keys grow with brightness, so the one bright patch, row 2 and column 1, draws attention."""
    encoder = encoder_of()
    with torch.no_grad():
        vit = encoder.body
        vit.blocks = vit.blocks[-1:]
        for parameter in vit.parameters():
            parameter.zero_()
        vit.project.weight[0] = 1.0  # a token's first number is its patch's brightness
        vit.blocks[0].norm1.weight.fill_(1.0)
        vit.blocks[0].qkv.weight[12:24, 0] = 1.0  # keys read that number
        vit.blocks[0].qkv.bias[:12] = 1.0  # every query likes large keys
    pixels = np.full((1, 16, 12, 1), 77, np.uint8)
    pixels[0, 8:12, 4:8] = 255
    maps = attention_maps(encoder, pixels)
    assert all(np.unravel_index(head.argmax(), head.shape) == (2, 1) for head in maps[0])


def test_patch_tokens_are_the_bodys_and_batches_change_nothing() -> None:
    encoder, pixels = encoder_of(registers=1), images()
    tokens = patch_tokens(encoder, pixels, batch_size=2)
    x = (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - 0.3) / 0.2
    expected = encoder.body.tokens(x)[1].detach().numpy()
    assert tokens.shape == (5, 4, 3, 12)
    np.testing.assert_allclose(tokens.reshape(5, 12, 12), expected, atol=1e-5)


def test_the_fewest_patches_that_hold_the_mass() -> None:
    head = np.array([[1, 8, 1], [4, 2, 0]]) / 16
    assert keep_mass(head, 0.5).tolist() == [[False, True, False], [False, False, False]]
    assert keep_mass(head, 0.51).tolist() == [[False, True, False], [True, False, False]]
    assert keep_mass(head, 0.75).tolist() == [[False, True, False], [True, False, False]]
    # of the two patches with 1/16 the first enters first
    assert keep_mass(head, 0.9).tolist() == [[True, True, False], [True, True, False]]
    assert keep_mass(head, 1.0).tolist() == [[True, True, True], [True, True, False]]
    stack = np.stack([head, head[:, ::-1]])[None]  # heads on their own, and free of scale
    np.testing.assert_array_equal(keep_mass(stack * 7)[0, 1], keep_mass(head)[:, ::-1])


def test_even_attention_keeps_the_share_itself() -> None:
    assert keep_mass(np.ones((10, 10))).sum() == 60


def test_to_pixels_repeats_and_cuts_at_the_border() -> None:
    grid = np.array([[True, False], [False, True]])
    out = to_pixels(grid, 2, 3, 4)
    assert out.tolist() == [
        [True, True, False, False],
        [True, True, False, False],
        [False, False, True, True],
    ]
    with pytest.raises(DataError, match="do not cover 5 x 4"):
        to_pixels(grid, 2, 5, 4)


def test_jaccard_by_hand() -> None:
    truth = np.zeros((4, 4), bool)
    truth[:2] = True  # 8 pixels
    mask = np.zeros((4, 4), bool)
    mask[1:3] = True  # 8 pixels, 4 shared, 12 together
    assert jaccard(mask, truth) == pytest.approx(4 / 12)
    assert jaccard(~truth, truth) == 0 and jaccard(truth, truth) == 1
    assert jaccard(truth & False, truth & False) == 1


def test_the_best_head_is_chosen_image_by_image() -> None:
    truth = np.zeros((2, 2, 2), bool)
    truth[0, 0], truth[1, 1] = True, True
    masks = np.stack([truth[:1].repeat(2, 0), truth[1:].repeat(2, 0)], axis=1)
    # head 0 fits image 0 alone, head 1 image 1 alone: one head for all would give 0.5
    assert best_head_jaccard(masks, truth).tolist() == [1.0, 1.0]
    assert jaccard(masks, truth[:, None]).mean(0).tolist() == [0.5, 0.5]


def test_attention_that_is_even_on_the_object_alone_scores_the_mass_itself() -> None:
    truth = np.zeros((1, 10, 10), bool)
    truth[0, 2:7, 2:8] = True  # 30 patches
    masks = keep_mass(truth[:, None].astype(float), 0.6)
    assert best_head_jaccard(masks, truth) == pytest.approx(0.6)


def test_errors_say_what_to_do() -> None:
    compact = build_backbone("compact", channels=1, image_size=16, width=8)
    for look in (attention_maps, patch_tokens):
        with pytest.raises(ConfigError, match="backbone = 'vit_tiny'"):
            look(compact, images())
        with pytest.raises(DataError, match="at least one image"):
            look(encoder_of(), images(0))
        with pytest.raises(DataError, match="C = 1"):
            look(encoder_of(), images().repeat(3, 3))
    for maps, mass in ((np.zeros((2, 2)), 0.6), (-np.eye(2), 0.6), (np.eye(2), 0.0)):
        with pytest.raises(DataError, match="positive sum"):
            keep_mass(maps, mass)
    with pytest.raises(DataError, match="positive sum"):
        keep_mass(np.full((2, 2), np.nan))
    truth = np.ones((2, 4, 4), bool)
    with pytest.raises(DataError, match="every image needs foreground"):
        best_head_jaccard(truth[:, None], truth & np.array([True, False])[:, None, None])
    with pytest.raises(DataError, match="upsample with to_pixels"):
        best_head_jaccard(np.ones((2, 3, 2, 2), bool), truth)

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ssl_models import build_backbone, load_encoder, save_encoder
from ssl_models.backbones import BACKBONES
from ssl_models.vit import TRANSFORMERS, SwiGLU, VisionTransformer, kept_rows, transformer_of
from weaklight.errors import ConfigError


def small(**options: object) -> VisionTransformer:
    torch.manual_seed(0)
    settings = {"image_size": 16, "channels": 3, "patch": 4, "dim": 12, "depth": 3, "heads": 3}
    return VisionTransformer(**{**settings, **options})


def images(height: int = 16, width: int = 16, n: int = 2) -> torch.Tensor:
    return torch.randn(n, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("ffn", ["mlp", "swiglu"])
@pytest.mark.parametrize("registers", [0, 2])
@pytest.mark.parametrize(("height", "width"), [(16, 16), (8, 24), (18, 15)])
def test_tokens_of_any_size(ffn: str, registers: int, height: int, width: int) -> None:
    vit = small(ffn=ffn, registers=registers, layer_scale=0.1)
    x = images(height, width)
    cls, patches = vit.tokens(x)
    rows, columns = vit.grid(height, width)
    assert cls.shape == (2, 12) and patches.shape == (2, rows * columns, 12)
    attention = vit.attention(x)
    n_tokens = 1 + registers + rows * columns
    assert attention.shape == (2, 3, n_tokens, n_tokens)
    torch.testing.assert_close(attention.sum(-1), torch.ones(2, 3, n_tokens))


def test_explicit_attention_is_the_one_that_training_uses() -> None:
    vit = small(depth=1)
    block, x = vit.blocks[0], torch.randn(2, 5, 12)
    _, _, v = block._split(block.norm1(x))
    by_hand = block.out((block.attention(x) @ v).transpose(1, 2).flatten(2))
    torch.testing.assert_close(block._attend(x), by_hand, atol=1e-6, rtol=1e-5)


def test_stochastic_depth_rises_linearly_and_each_block_keeps_its_share() -> None:
    """One peer gives every block after the first the largest rate."""
    vit = small(depth=6, drop_path=0.3)
    rates = [block.rate for block in vit.blocks]
    assert rates == pytest.approx([0, 0.06, 0.12, 0.18, 0.24, 0.3])
    rows, weight = kept_rows(torch.tensor([0.9, 0.1, 0.5, 0.7]), 0.25)
    assert sorted(rows.tolist()) == [0, 2, 3] and weight == pytest.approx(4 / 3)
    assert len(kept_rows(torch.rand(1), 0.9)[0]) == 1


def test_skipped_rows_pass_unchanged_and_no_draws_skip_nothing() -> None:
    vit = small(depth=2, drop_path=0.5)
    block, x = vit.blocks[1], torch.randn(4, 5, 12)
    draws = torch.tensor([[0.9, 0.9], [0.8, 0.8], [0.1, 0.1], [0.2, 0.2]])
    out = block(x, draws)
    assert torch.equal(out[2:], x[2:]) and not torch.equal(out[:2], x[:2])
    full = x + 2 * block._attend(x)  # half the rows kept: each counts twice
    torch.testing.assert_close(out[:2], (full + 2 * block._feed(full))[:2])
    assert torch.equal(vit(images()), vit(images()))


def test_masked_patches_are_not_seen() -> None:
    vit, x = small(), images()
    masked = torch.zeros(2, 16, dtype=torch.bool)
    masked[:, 0] = True
    changed = x.clone()
    changed[:, :, :4, :4] = 7.0
    token = torch.zeros(12)
    first = vit.tokens(x, masked=masked, mask_token=token)[1]
    assert torch.equal(first, vit.tokens(changed, masked=masked, mask_token=token)[1])
    assert not torch.equal(first, vit.tokens(changed)[1])


@pytest.mark.parametrize(("size", "patch"), [(24, 4), (28, 4), (32, 4), (64, 8), (224, 16)])
@pytest.mark.parametrize("channels", [1, 3])
def test_registered(size: int, patch: int, channels: int) -> None:
    encoder = build_backbone("vit_tiny", channels=channels, image_size=size, width=4)
    assert transformer_of(encoder, "dino").patch == patch and encoder.dim == 24
    assert encoder(torch.rand(2, channels, size, size)).shape == (2, 24)


@pytest.mark.parametrize("name", ["vit_tiny", "vit_small", "vit_compact"])
def test_a_name_may_ask_for_other_parts(name: str, tmp_path: Path) -> None:
    full = f"{name}_patch2_reg4_swiglu"
    torch.manual_seed(0)
    encoder = build_backbone(full, channels=5, image_size=16, width=4)
    vit = transformer_of(encoder, "dino")
    assert (vit.patch, vit.registers) == (2, 4) and isinstance(vit.blocks[0].ffn, SwiGLU)
    plain = transformer_of(build_backbone(name, channels=5, image_size=16, width=4), "dino")
    assert vit.depth == plain.depth and vit.stem == plain.stem
    registers = transformer_of(
        build_backbone(f"{name}_reg1", channels=1, image_size=16, width=4), "dino"
    )
    assert registers.registers == 1 and registers.patch == plain.patch
    described = {"backbone": full, "width": 4, "image_size": [16, 16], "channels": 5}
    save_encoder(encoder, tmp_path, described)
    images = torch.rand(2, 5, 16, 16)
    torch.testing.assert_close(load_encoder(tmp_path)(images), encoder.eval()(images))


@pytest.mark.parametrize("name", ["vit_tiny_reg", "vit_tiny_swiglu_reg4", "compact_reg4"])
def test_names_that_are_none_show_one_that_is(name: str) -> None:
    with pytest.raises(ConfigError, match="vit_tiny_patch4_reg4_swiglu"):
        build_backbone(name, channels=1, image_size=32, width=8)


def test_errors_say_what_to_do() -> None:
    with pytest.raises(ConfigError, match="patch 32"):
        small(patch=32)
    compact = build_backbone("compact", channels=1, image_size=16, width=8)
    with pytest.raises(ConfigError, match="vit_tiny"):
        transformer_of(compact, "ibot")


def test_nothing_of_a_masked_patch_passes_a_conv_stem() -> None:
    vit = VisionTransformer(
        image_size=32, channels=3, patch=8, dim=12, depth=1, heads=3, stem="conv"
    ).eval()
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    masked = torch.zeros(2, 16, dtype=torch.bool)
    masked[:, 5] = True  # second row, second column of 4 x 4
    changed = images.clone()
    changed[:, :, 8:16, 8:16] += 3
    token = torch.ones(12)
    for image in (images, changed):
        assert vit.embed(image).shape == (2, 16, 12)
    assert not torch.equal(vit.embed(images)[:, 6], vit.embed(changed)[:, 6])  # it reaches over
    assert torch.equal(vit.embed(images, masked, token), vit.embed(changed, masked, token))
    with pytest.raises(ConfigError, match="conv stem takes patch"):
        VisionTransformer(image_size=32, channels=3, patch=6, dim=12, depth=1, heads=3, stem="conv")


def test_the_names_of_the_transformers_are_complete() -> None:
    found = [
        name
        for name in BACKBONES
        if isinstance(
            build_backbone(name, channels=1, image_size=32, width=64).body, VisionTransformer
        )
    ]
    assert sorted(found) == sorted(TRANSFORMERS)

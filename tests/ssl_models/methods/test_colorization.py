from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_models import AugmentConfig, TrainConfig, build_backbone, pretrain
from ssl_models.augment import LUMA
from ssl_models.colour import rgb_to_lab, soft_encode
from ssl_models.embed import load_encoder
from ssl_models.methods.colorization import Colorization, annealed_mean, rarity_weights


def planted() -> Colorization:
    torch.manual_seed(0)
    encoder = build_backbone("compact", channels=3, image_size=24, width=8)
    return Colorization(encoder, AugmentConfig.identity())


def test_rare_colours_weigh_more_by_hand() -> None:
    """Half of (0.5, 0.5, 0, 0), half uniform: 3/8 and 1/8; inverse, and 1 on average."""
    weights = rarity_weights(torch.tensor([0.5, 0.5, 0.0, 0.0]))
    torch.testing.assert_close(weights, torch.tensor([1.0, 1.0, 3.0, 3.0]))


def test_annealed_mean_by_hand() -> None:
    share, bins = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([[40.0, 0], [0, 20], [-30, -30]])
    logits = share.log().view(1, 3, 1, 1) + 5  # a constant says nothing
    sharper = share ** (1 / 0.38)
    expected = (sharper / sharper.sum()) @ bins
    torch.testing.assert_close(annealed_mean(logits, bins, 0.38).flatten(), expected)
    torch.testing.assert_close(annealed_mean(logits, bins, 1.0).flatten(), share @ bins)


def test_a_painting_keeps_the_lightness_and_takes_the_annealed_colour() -> None:
    class OneToOther(nn.Module):
        def forward(self, h: Tensor) -> Tensor:
            logits = torch.full((len(h), len(method.bins), 8, 8), -20.0)
            for ab, logit in (((0, 0), 1.0), ((20, 20), 0.5)):
                logits[:, (method.bins == torch.tensor(ab)).all(1)] = logit
            return logits

    method = planted().eval()
    method.decoder = OneToOther()  # type: ignore[assignment]
    painted = method.paint(torch.full((1, 3, 24, 24), 0.5))[0]
    lab = rgb2lab(painted.permute(1, 2, 0).numpy()).reshape(-1, 3)
    of_other = 1 / (1 + np.exp(0.5 / 0.38))  # T = 0.38: section 2.3
    expected = [53.39, 20 * of_other, 20 * of_other]  # L of the gray 0.5
    np.testing.assert_allclose(lab, np.tile(expected, (576, 1)), atol=0.05)


def test_loss_by_hand() -> None:
    method, images = planted(), torch.rand(3, 3, 24, 24)
    loss, h = method(images)
    ab = F.avg_pool2d(rgb_to_lab(images)[:, 1:], 3)  # 24 px to 8
    total = 0.0
    pixels = [(i, y, x) for i in range(3) for y in range(8) for x in range(8)]
    soft = {p: soft_encode(ab[p[0], :, p[1], p[2]][None], method.bins, 20.0)[0] for p in pixels}
    prior = torch.stack(list(soft.values())).mean(0)
    torch.testing.assert_close(method.seen, prior)
    logits = method.decoder(h).log_softmax(1)
    for (i, y, x), target in soft.items():
        weight = rarity_weights(prior)[target.argmax()]
        total -= (weight * (target * logits[i, :, y, x]).sum()).item()
    assert loss.item() == pytest.approx(total / len(pixels), rel=1e-4)


def test_the_prior_is_the_mean_over_the_batches_so_far() -> None:
    """An evaluation pass does not move it."""
    method, images = planted(), torch.rand(2, 3, 24, 24)
    method(images)
    first = method.seen.clone()
    method.eval()(images)
    assert torch.equal(method.seen, first)
    method.train()(1 - images)
    assert not torch.allclose(method.seen / 2, first, atol=1e-3)
    assert method.seen.sum().item() == pytest.approx(2.0)


def test_what_is_saved_sees_no_colour_as_in_training(tmp_path: Path) -> None:
    """Else the features of whole RGB images come from an input that training never showed."""
    images = np.random.default_rng(0).integers(0, 256, (16, 24, 24, 3)).astype(np.uint8)
    config = TrainConfig(
        method="colorization", width=8, steps=3, batch_size=8, augment=AugmentConfig()
    )
    pretrain(images, config, tmp_path / "out", tmp_path / "scratch")
    encoder = load_encoder(tmp_path / "out")
    x = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    gray = torch.einsum("c,bchw->bhw", torch.tensor(LUMA), x)[:, None].expand_as(x)
    torch.testing.assert_close(encoder(gray), encoder(x), atol=1e-3, rtol=1e-3)
    assert not torch.allclose(encoder(x[:1]), encoder(x[1:2]), atol=0.1)

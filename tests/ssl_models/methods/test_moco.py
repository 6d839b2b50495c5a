from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from ssl_models import AugmentConfig, build_backbone
from ssl_models.memory import Queue
from ssl_models.methods.moco import MoCoV1, MoCoV2, SplitBatchNorm, info_nce


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def method(cls: type[MoCoV2] = MoCoV2, **options: object) -> MoCoV2:
    torch.manual_seed(0)
    encoder = build_backbone("compact", channels=1, image_size=24, width=8)
    return cls(encoder, AugmentConfig(gray=0.0), **options)


IMAGES = torch.randint(
    0, 256, (16, 1, 24, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)


def test_one_query_by_hand() -> None:
    """The key coincides (e^2 at tau = 0.5), one negative is orthogonal, one opposite."""
    q = torch.tensor([[2.0, 0.0]])
    negatives = torch.tensor([[0.0, 1.0], [-1.0, 0.0]])
    expected = -math.log(math.exp(2) / (math.exp(2) + 1 + math.exp(-2)))
    assert float(info_nce(q, q, negatives, 0.5)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("temperature", [0.07, 0.2])
def test_agrees_with_lightly(temperature: float) -> None:
    losses = pytest.importorskip("lightly.loss", reason="lightly is not installed")
    q, k, negatives = normal(8, 16), normal(8, 16, seed=1), F.normalize(normal(33, 16, seed=2))
    theirs = losses.NTXentLoss(temperature=temperature, memory_bank_size=(33, 16))
    theirs.memory_bank.bank = negatives.clone()
    torch.testing.assert_close(
        info_nce(q, k, negatives, temperature), theirs(q, k), atol=1e-5, rtol=1e-5
    )


def test_queue_of_five_turns_by_three() -> None:
    queue = Queue(5, 1)
    for start in (0, 3):
        queue.add(torch.arange(start, start + 3).float()[:, None])
        queue.turn()
    assert queue.entries.flatten().tolist() == [5.0, 1.0, 2.0, 3.0, 4.0] and queue.is_full
    queue.add(torch.arange(10.0, 18.0)[:, None])  # more than fit: the newest stay
    queue.turn()
    assert sorted(queue.entries.flatten().tolist()) == [13.0, 14.0, 15.0, 16.0, 17.0]


def test_a_positive_is_never_among_the_negatives() -> None:
    """A peer enqueues first: each key is then its own negative."""
    moco = method(queue_size=20)
    before = moco.queue.entries.clone()
    for _ in range(2):  # two micro-batches meet the same negatives
        views = moco.views(IMAGES, torch.Generator().manual_seed(1))
        moco(views)[0].backward()
        assert torch.equal(moco.queue.entries, before)
    moco.after_step(1, 10)
    assert not torch.isclose(moco.queue.entries, before).all(1).any()


def test_teacher_follows_once_a_step_and_takes_no_gradient() -> None:
    moco = method(momentum=0.9)
    moco(moco.views(IMAGES, torch.Generator().manual_seed(1)))[0].backward()
    assert all(p.grad is None for p in moco.teacher.parameters())
    weight = moco.encoder.body[0][0].weight
    old = moco.teacher[0].body[0][0].weight.clone()
    torch.testing.assert_close(old, weight.detach())
    with torch.no_grad():
        weight += 1
    moco.after_step(1, 10)
    torch.testing.assert_close(moco.teacher[0].body[0][0].weight, old + 0.1)


def test_teacher_sees_pixels_as_the_encoder_does() -> None:
    moco = method()
    moco.encoder.set_normalisation([0.3], [0.2])
    assert torch.equal(moco.teacher[0].mean, moco.encoder.mean) and moco.teacher[0].std == 0.2


def test_groups_have_their_own_statistics() -> None:
    x = normal(32, 3, 4, 4) + torch.arange(32.0).view(-1, 1, 1, 1)
    norm = SplitBatchNorm(3, groups=4)
    out = norm(x)
    plain = [torch.nn.BatchNorm2d(3) for _ in range(4)]
    expected = torch.cat([bn(part) for bn, part in zip(plain, x.chunk(4), strict=True)])
    torch.testing.assert_close(out, expected)
    mean = torch.stack([bn.running_mean for bn in plain]).mean(0)
    torch.testing.assert_close(norm.running_mean, mean)
    norm.eval()
    scale = torch.rsqrt(norm.running_var + norm.eps).view(1, 3, 1, 1)
    torch.testing.assert_close(norm(x), (x - mean.view(1, 3, 1, 1)) * scale)


@pytest.mark.parametrize(("rows", "groups"), [(64, 8), (32, 4), (15, 1), (36, 4), (2, 1)])
def test_groups_divide_the_rows_and_hold_eight(rows: int, groups: int) -> None:
    x = normal(rows, 2)
    expected = torch.cat([F.batch_norm(p, None, None, training=True) for p in x.chunk(groups)])
    torch.testing.assert_close(SplitBatchNorm(2, groups=8)(x), expected)


def test_batch_norms_keep_what_public_weights_brought() -> None:
    encoder = build_backbone("compact", channels=1, image_size=24, width=8)
    for number, norm in enumerate(m for m in encoder.modules() if hasattr(m, "running_var")):
        norm.weight.data.fill_(number + 2)
        norm.running_var.fill_(number + 3)
        norm.eps = 1e-3
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    moco = MoCoV2(encoder, AugmentConfig(gray=0.0), norm_groups=4)
    torch.testing.assert_close(dict(moco.encoder.state_dict()), before, atol=0, rtol=0)
    norms = [m for m in moco.modules() if isinstance(m, SplitBatchNorm)]
    assert len(norms) == 6 and {(m.groups, m.eps) for m in norms} == {(4, 1e-3)}


def test_keys_come_back_in_order_from_shuffled_groups() -> None:
    moco = method()
    images = IMAGES.float() / 255
    order = torch.randperm(16, generator=torch.Generator().manual_seed(3))
    moco.eval()  # running statistics: the groups change nothing, so order is all there is to see
    plain = F.normalize(moco.teacher(images), dim=1)
    torch.testing.assert_close(moco._keys(images, order), plain, atol=1e-5, rtol=1e-5)
    moco.train()
    shuffled, straight = moco._keys(images, order), moco._keys(images, torch.arange(16))
    assert not torch.allclose(shuffled, straight, atol=1e-3)


def test_heads_and_temperatures_of_both_versions() -> None:
    one, two = method(MoCoV1), method(MoCoV2)
    assert isinstance(one.head, torch.nn.Linear) and one.temperature == 0.07
    assert len(two.head) == 3 and two.temperature == 0.2

"""Forward passes against torchmil's, weight by weight."""

import pytest
import torch
from torch import nn

from weak_supervision.bags.attention import AttentionPooling
from weak_supervision.bags.dsmil import DualStreamPooling
from weak_supervision.bags.transformer import TransformerBlock

torchmil = pytest.importorskip("torchmil.models", reason="torchmil comes with the dev extra")
transformers = pytest.importorskip("torchmil.nn.transformers")
D, H = 6, 5


def copy(source: nn.Module, target: nn.Module) -> None:
    """Copy weights in order; shapes may differ by an axis of one."""
    with torch.no_grad():
        for mine, theirs in zip(source.parameters(), target.parameters(), strict=True):
            theirs.copy_(mine.view_as(theirs))


@pytest.mark.parametrize("gated", [True, False])
def test_attention(gated: bool) -> None:
    torch.manual_seed(0)
    ours = AttentionPooling(D, 1, hidden=H, attention=4, gated=gated, dropout=0.0).eval()
    theirs = torchmil.ABMIL(in_shape=(D,), att_dim=4, gated=gated, feat_ext=ours.embed).eval()
    copy(ours.V, theirs.pool.fc1)
    copy(ours.w, theirs.pool.fc2)
    copy(ours.classify, theirs.classifier)
    if gated:
        copy(ours.U, theirs.pool.fc_gated)
    x, mask = torch.randn(3, 7, D), torch.arange(7) < torch.tensor([[7], [3], [1]])
    pooled = ours(x, mask)
    logits, scores = theirs(x, mask, return_att=True)
    torch.testing.assert_close(pooled.bags.squeeze(1), logits)
    theirs_attention = scores.masked_fill(~mask, -torch.inf).softmax(dim=1)
    torch.testing.assert_close(pooled.attention, theirs_attention)


def test_transformer_block() -> None:
    torch.manual_seed(0)
    ours = TransformerBlock(D, heads=2, dropout=0.0).eval()
    theirs = transformers.TransformerLayer(D, att_dim=D, n_heads=2, use_mlp=False).eval()
    copy(ours.norm, theirs.norm1)
    with torch.no_grad():  # theirs has neither biases nor a last projection
        theirs.att_module.qkv_nn.weight.copy_(ours.qkv.weight)
        ours.qkv.bias.zero_()
        ours.out[0].weight.copy_(torch.eye(D))
        ours.out[0].bias.zero_()
    x = torch.randn(3, 7, D)  # whole bags: theirs adds up attention over padding
    whole = torch.ones(3, 7, dtype=torch.bool)
    torch.testing.assert_close(ours(x, whole), theirs(x))
    padded = torch.cat([x, 100 * torch.ones(3, 2, D)], dim=1)
    longer = torch.cat([whole, torch.zeros(3, 2, dtype=torch.bool)], dim=1)
    torch.testing.assert_close(ours(padded, longer)[:, :7], ours(x, whole))


def test_dual_stream() -> None:
    torch.manual_seed(0)
    ours = DualStreamPooling(D, 1, hidden=D, dropout=0.0).eval()
    theirs = torchmil.DSMIL(in_shape=(D,), att_dim=D, nonlinear_v=True).eval()
    copy(ours.instance, theirs.inst_classifier)
    copy(ours.query, theirs.q_nn)
    copy(ours.value, theirs.v_nn)
    copy(ours.bag, theirs.bag_classifier)
    x = torch.randn(3, 7, D)  # whole bags: theirs lets padding be the critical instance
    mask = torch.ones(3, 7, dtype=torch.bool)
    bag_stream, instances = theirs(x, mask, return_inst_pred=True)
    expected = (bag_stream + instances.squeeze(-1).max(dim=1).values) / 2
    torch.testing.assert_close(ours(x, mask).bags.squeeze(1), expected)
    padded = torch.cat([x, 100 * torch.ones(3, 2, D)], dim=1)
    longer = torch.cat([mask, torch.zeros(3, 2, dtype=torch.bool)], dim=1)
    torch.testing.assert_close(ours(padded, longer).bags, ours(x, mask).bags)

# SPDX-License-Identifier: Apache-2.0
"""Attention with analog projections against torch's own.

Tolerance 1e-5: two products of some ten terms and a softmax in single precision.
"""

import pytest
import torch
from layer_cases import EXACT, NOISY, configured, randn
from torch import nn

from engine.errors import ParameterError, ShapeError
from engine.nn import AnalogMultiheadAttention, analog_layers
from engine.optim import AnalogSGD

CAUSAL = torch.ones(4, 4).triu(1).bool()


def pair(config=EXACT, **settings) -> tuple[nn.Module, nn.Module]:
    """Return an analog layer and torch's with the same weights."""
    ours = AnalogMultiheadAttention(8, 2, config=config, seed=3, **settings)
    theirs = nn.MultiheadAttention(8, 2, **settings)
    found = {name: layer.logical_weights() for name, layer in analog_layers(ours).items()}
    with torch.no_grad():
        for k, name in enumerate(("q_proj", "k_proj", "v_proj")):
            packed = theirs.in_proj_weight is not None
            part = theirs.in_proj_weight[8 * k : 8 * k + 8] if packed else getattr(theirs, f"{name}_weight")
            part.copy_(found[name][0])
            if theirs.in_proj_bias is not None:
                theirs.in_proj_bias[8 * k : 8 * k + 8] = found[name][1]
        theirs.out_proj.weight.copy_(found["out_proj"][0])
        if theirs.out_proj.bias is not None:
            theirs.out_proj.bias.copy_(found["out_proj"][1])
    return ours, theirs


def assert_same(ours: nn.Module, theirs: nn.Module, inputs: list[torch.Tensor], **call) -> None:
    found = []
    for module in (ours, theirs):
        given = [v.clone().requires_grad_() for v in inputs]
        y, weights = module(*given, **call)
        (y * randn(*y.shape, seed=9)).sum().backward()
        found.append([y.detach(), *([] if weights is None else [weights.detach()]), *(v.grad for v in given)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def qkv(*shape: int) -> list[torch.Tensor]:
    return [randn(*shape, seed=k) for k in range(3)]


@pytest.mark.tile_conformance("T46")
@pytest.mark.parametrize("settings", [{}, {"batch_first": True}, {"bias": False}], ids=str)
@pytest.mark.parametrize(
    "call",
    [
        {},
        {"need_weights": False},
        {"average_attn_weights": False},
        {"attn_mask": CAUSAL, "is_causal": True},
        {"attn_mask": randn(4, 4, seed=5)},
    ],
    ids=lambda c: "-".join(c) or "plain",
)
def test_perfect_attention_equals_torch_in_output_weights_and_gradients(settings, call):
    assert_same(*pair(**settings), qkv(4, 4, 8), **call)


def test_keys_and_values_of_other_sizes_equal_torch():
    ours, theirs = pair(kdim=5, vdim=7, batch_first=True)
    assert_same(ours, theirs, [randn(3, 4, 8), randn(3, 6, 5), randn(3, 6, 7)])


def test_ignored_keys_and_masks_of_each_head_equal_torch():
    padding = torch.tensor([[False] * 4, [False, False, True, True], [False, True, False, False]])
    mask = randn(6, 4, 4, seed=5)
    added = torch.zeros(3, 4).masked_fill(padding, -torch.inf)
    assert_same(*pair(batch_first=True), qkv(3, 4, 8), attn_mask=mask, key_padding_mask=added)
    assert_same(*pair(), qkv(4, 3, 8), attn_mask=CAUSAL, key_padding_mask=padding)


@pytest.mark.parametrize("batch_first", [False, True])
def test_sequence_without_a_batch_equals_torch(batch_first):
    padding = torch.tensor([False, False, True, True])
    assert_same(*pair(batch_first=batch_first), qkv(4, 8), key_padding_mask=padding)


@pytest.mark.tile_conformance("T46")
def test_attention_on_split_tiles_equals_torch():
    assert_same(*pair(configured(EXACT, max_input_size=5, max_output_size=3)), qkv(4, 3, 8))


def test_training_follows_torch_sgd():
    """Five steps of 0.1 on ideal devices; 1e-4 after five updates in single precision."""
    ours, theirs = pair(batch_first=True)
    rules = AnalogSGD(ours.parameters(), 0.1), torch.optim.SGD(theirs.parameters(), 0.1)
    for k in range(5):
        outputs, x = [], randn(3, 4, 8, seed=k)
        for module, rule in zip((ours, theirs), rules, strict=True):
            rule.zero_grad()
            y, _ = module(x, x, x)
            y.sub(1).square().mean().mul(10).backward()
            rule.step()
            outputs.append(y.detach())
        torch.testing.assert_close(*outputs, rtol=1e-4, atol=1e-4)


def test_vectors_go_to_the_tiles_sample_by_sample():
    layer = AnalogMultiheadAttention(8, 2, config=NOISY)
    x = randn(4, 3, 8)
    layer(x, x, x)[0].sum().backward()
    ((kept, _),) = layer.q_proj.weight.pending
    assert torch.equal(kept, x.transpose(0, 1).reshape(12, 8))


def test_every_projection_has_its_own_seed():
    layer = AnalogMultiheadAttention(8, 2, config=NOISY, seed=4)
    assert len({core.tile.seed for core in analog_layers(layer).values()}) == 4


def test_dropout_acts_in_training_only():
    layer = AnalogMultiheadAttention(8, 2, dropout=1.0, config=EXACT)
    x = randn(4, 3, 8)
    y, weights = layer(x, x, x)
    assert (weights == 0).all()
    torch.testing.assert_close(y, layer.out_proj.bias.expand_as(y))
    assert (layer.eval()(x, x, x)[1] > 0).all()


def test_arguments_that_do_not_fit_are_refused():
    with pytest.raises(ParameterError, match=r"num_heads = 3: does not divide the features .*divisor of embed_dim = 8"):
        AnalogMultiheadAttention(8, 3, config=EXACT)
    layer, x = AnalogMultiheadAttention(8, 2, config=EXACT, batch_first=True), torch.zeros(3, 4, 8)
    with pytest.raises(ShapeError, match=r"key: got .*\(3, 4, 7\), expected \(batch=3, time=any, features=8\)"):
        layer(x, x[..., :7], x)
    with pytest.raises(ShapeError, match=r"attn_mask: got shape \(4, 5\), expected \(4, 4\)"):
        layer(x, x, x, attn_mask=torch.zeros(4, 5))
    with pytest.raises(ShapeError, match=r"key_padding_mask: got shape \(4, 3\), expected \(3, 4\)"):
        layer(x, x, x, key_padding_mask=torch.zeros(4, 3))
    with pytest.raises(ParameterError, match=r"is_causal = True: needs the mask itself"):
        layer(x, x, x, is_causal=True)

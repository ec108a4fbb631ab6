# SPDX-License-Identifier: Apache-2.0
"""Remapping and clipping of analog weights."""

import pytest
import torch
from layer_cases import EXACT, configured, randn
from torch import nn

from engine.errors import ParameterError, StateError
from engine.nn import AnalogLinear, WeightClip, WeightRemap, convert
from engine.optim import AnalogSGD

W = torch.tensor([[0.51, -0.26, 0.74, 0.11], [-0.97, 0.33, 0.19, -0.58], [0.07, 0.88, -0.47, 0.93]])


def layer_with(weights: torch.Tensor, **mapping) -> AnalogLinear:
    rows, columns = weights.shape
    layer = AnalogLinear(columns, rows, False, config=configured(EXACT, **mapping))
    layer.set_weights(weights)
    return layer


@pytest.mark.tile_conformance("T52")
@pytest.mark.parametrize("kind", ["layerwise_symmetric", "channelwise_symmetric"])
@pytest.mark.parametrize("parts", [{}, {"max_input_size": 4, "max_output_size": 5}], ids=["whole", "split"])
def test_remap_keeps_logical_weights_and_sets_the_largest_analog_one(kind, parts):
    """1e-6: three roundings of single precision on weights of up to 3."""
    weight = randn(9, 11)
    weight[2] = 0.0
    layer = layer_with(weight, weight_scaling_omega=0.3, **parts)
    WeightRemap(type=kind).apply(layer)
    torch.testing.assert_close(layer.logical_weights()[0], weight, rtol=1e-6, atol=1e-6)
    for tile in layer.tiles:
        largest = tile.weights.abs().amax(1)
        if kind == "channelwise_symmetric":
            torch.testing.assert_close(largest[largest > 0], torch.ones(int((largest > 0).sum())))
        assert largest.max().item() == pytest.approx(1, rel=1e-6)


def test_remap_after_training_keeps_what_was_learned():
    model = convert(nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)), configured(EXACT, weight_scaling_omega=0.5))
    optimizer = AnalogSGD(model.parameters(), 0.1)
    model(randn(5, 4)).square().sum().backward()
    optimizer.step()
    x, remap = randn(6, 4, seed=1), WeightRemap()
    before = model(x).detach()
    remap.apply(model)
    torch.testing.assert_close(model(x).detach(), before, rtol=1e-5, atol=1e-6)


def test_remap_limits_the_range_of_scales_and_keeps_logical_weights():
    """Scales of at most three times the smallest: row 1 would need 4 and gets 3; ideal devices hold the rest."""
    weight = torch.tensor([[0.1, 0.05], [0.4, 0.2]])
    layer = layer_with(weight, weight_scaling_omega=1.0, weight_scaling_columnwise=True)
    layer.mapping_scales.fill_(0.1)
    layer.tile.set_weights(weight / 0.1)
    WeightRemap(type="channelwise_symmetric", max_scale_range=3.0).apply(layer)
    torch.testing.assert_close(layer.mapping_scales[0], torch.tensor([0.1, 0.3]))
    torch.testing.assert_close(layer.logical_weights()[0], weight)
    WeightRemap(type="channelwise_symmetric", max_scale_range=3.0, max_scale_ref=0.2).apply(layer)
    torch.testing.assert_close(layer.mapping_scales[0], torch.tensor([0.1, 0.4]))


@pytest.mark.tile_conformance("T51")
@pytest.mark.parametrize(
    ("settings", "largest"),
    [
        ({"type": "layer_gaussian", "sigma": 1.5, "fixed_value": 0.0}, 0.9036592),
        ({"type": "layer_gaussian", "sigma": 1.5, "fixed_value": 0.5}, 0.5),
        ({"type": "average_channel_max", "fixed_value": 0.0}, 0.88),
        ({"fixed_value": 0.4}, 0.4),
    ],
    ids=str,
)
def test_clip_limits_weights_to_the_table(settings, largest):
    """Double precision, rounded to seven digits: 1e-5."""
    layer = layer_with(W)
    WeightClip(**settings).apply(layer)
    assert layer.tile.weights.abs().max().item() == pytest.approx(largest, abs=1e-5)
    inside = W.abs() < largest - 1e-5
    assert torch.equal(layer.tile.weights[inside], W[inside])


def test_remap_of_a_layer_without_scales_says_what_to_set():
    model = nn.Sequential(layer_with(W, weight_scaling_omega=1.0), layer_with(W))
    before = model[0].mapping_scales.clone()
    with pytest.raises(StateError, match=r"WeightRemap, 1: the layer has no mapping scales.*weight_scaling_omega"):
        WeightRemap(remapped_wmax=0.5).apply(model)
    assert torch.equal(model[0].mapping_scales, before)


def test_remap_between_backward_and_step_is_refused():
    layer = layer_with(W, weight_scaling_omega=1.0)
    layer(randn(2, 4)).sum().backward()
    with pytest.raises(StateError, match=r"samples wait for an update.*after optimizer.step"):
        WeightRemap().apply(layer)


def test_limit_of_the_range_needs_a_largest_weight_of_one():
    with pytest.raises(ParameterError, match=r"WeightRemap.remapped_wmax = 0.5 w: must be 1 while max_scale_range"):
        WeightRemap(remapped_wmax=0.5, max_scale_range=10)

# SPDX-License-Identifier: Apache-2.0
"""Low-rank adapters beside frozen analog layers."""

import pytest
import torch
from layer_cases import EXACT, randn, through_a_file
from torch import nn

from engine.errors import ParameterError, ShapeError, StateError
from engine.inference import program
from engine.nn import (
    AdaptedLinear,
    HardwareAware,
    WeightClip,
    WeightRemap,
    adapter_state,
    add_adapters,
    analog_layers,
    convert,
    load_adapter,
    merge_adapters,
    remove_adapters,
    use_adapter,
)
from engine.nn.adapters import adapted_layers, adapter_parameters
from engine.nn.modifiers.add_normal import AddNormal
from engine.recipes import load

STANDARD = load("standard_aimc").config


def mlp(config=EXACT) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    return convert(model, config, seed=1)


def trained(model: nn.Module, steps: int = 5, **settings) -> nn.Module:
    parameters = add_adapters(model, rank=2, alpha=4.0, **settings)
    optimizer = torch.optim.Adam(parameters, 0.05)
    aware = HardwareAware(AddNormal(std_dev=0.1), WeightClip(fixed_value=0.5), WeightRemap())
    model.train()
    with aware.attached(model, optimizer) if analog_layers(model)["0.base"].tile.follows_gradient else _nothing():
        for k in range(steps):
            optimizer.zero_grad()
            model(randn(8, 6, seed=k)).square().sum().backward()
            optimizer.step()
    return model.eval()


class _nothing:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False


@pytest.mark.inference_conformance("I60")
def test_training_adapters_leaves_analog_weights_as_they_are_bit_for_bit():
    model = mlp(STANDARD)
    before = {n: p.detach().clone() for n, p in model.state_dict(keep_vars=True).items() if isinstance(p, torch.Tensor)}
    trained(model)
    after = {
        n.replace(".base", ""): p for n, p in model.state_dict(keep_vars=True).items() if isinstance(p, torch.Tensor)
    }
    counters = {n for n in before if n.endswith("input_range_batches")}  # estimation from batches is over, says this
    for name in before.keys() - counters:
        assert torch.equal(after[name].detach(), before[name]), name
    assert all(p.detach().abs().sum() > 0 for p in adapter_parameters(model))  # B began at zero


def test_new_adapters_change_nothing():
    model, x = mlp(), randn(4, 6)
    before = model(x)
    add_adapters(model)
    assert torch.equal(model(x), before)
    assert [n for n, p in model.named_parameters() if p.requires_grad] == [
        f"{k}.adapters.default.{m}" for k in (0, 2) for m in "ab"
    ]


def test_adapter_is_the_scaled_product_of_its_matrices():
    model = mlp()
    trained(model)
    layer, x = model[0], randn(4, 6)
    own = layer.adapters["default"]
    weight, bias = layer.base.logical_weights()
    expected = x @ (weight + 4.0 / 2 * own.b @ own.a).T + bias
    torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-5)


def test_merging_writes_the_same_function_onto_the_tiles():
    model, x = trained(mlp()), randn(4, 6)
    before = model(x).detach()
    merge_adapters(model)
    assert not adapted_layers(model)
    torch.testing.assert_close(model(x).detach(), before, rtol=1e-5, atol=1e-5)


def test_removing_gives_the_analog_model_back():
    model, x = mlp(), randn(4, 6)
    before = model(x)
    remove_adapters(trained(model))
    assert torch.equal(model(x), before)
    assert not adapted_layers(model)


def test_one_programmed_model_serves_several_tasks():
    model, x = mlp(STANDARD), randn(4, 6)
    trained(model, name="one")
    trained(model, name="two", targets=["2"])
    assert model[0].active is None
    assert model[2].active == "two"
    chips = program(model, chips=3, seed=1)
    chips.drift_to(3600.0)
    kept = [tile.weights.clone() for tile in chips.tiles.values()]
    found = {}
    for name in (None, "one", "two", "one"):
        use_adapter(chips.model, name)
        y = chips.drift_to(3600.0)(x)
        assert y.shape == (3, 4, 3)
        assert name not in found or torch.equal(found[name], y)
        found[name] = y
    assert not torch.equal(found["one"], found["two"])
    assert not torch.equal(found["one"], found[None])
    assert all(torch.equal(a, t.weights) for a, t in zip(kept, chips.tiles.values(), strict=True))


def test_adapters_are_saved_alone_and_loaded_beside_another_copy():
    model, twin, x = trained(mlp()), mlp(), randn(4, 6)
    load_adapter(twin, through_a_file(adapter_state(model)))
    assert torch.equal(twin(x), model(x))
    load_adapter(twin, through_a_file(adapter_state(model)), name="again")
    assert torch.equal(twin(x), model(x))


def test_other_parameters_stay_trained_where_asked():
    model = mlp()
    found = add_adapters(model, rank=1, targets=["0"], train=["2.bias"])
    assert any(p is model[2].bias for p in found)
    assert model[2].bias.requires_grad
    assert not isinstance(model[2], AdaptedLinear)


@pytest.mark.parametrize(
    ("act", "error", "text"),
    [
        (lambda m: add_adapters(m, rank=0), ParameterError, r"add_adapters.rank = 0"),
        (lambda m: add_adapters(m, dropout=1.0), ParameterError, r"add_adapters.dropout = 1"),
        (lambda m: add_adapters(m, targets=["head"]), ParameterError, r"add_adapters.targets = 'head'.*fits no analog"),
        (
            lambda m: [add_adapters(m), add_adapters(m)],
            ParameterError,
            r"add_adapters.name = 'default'.*is there already",
        ),
        (lambda m: use_adapter(m, "x"), ParameterError, r"use_adapter.name = 'x'"),
        (lambda m: adapter_state(m), StateError, r"adapter_state: no adapter 'default'"),
        (lambda m: add_adapters(m[0]), ParameterError, r"add_adapters.model = 'AnalogLinear'"),
        (lambda m: load_adapter(m, {"7": {"a": randn(1, 2), "b": randn(3, 1)}}), ParameterError, r"load_adapter = '7'"),
        (lambda m: load_adapter(m, {"0": {"a": randn(1, 2), "b": randn(3, 1)}}), ShapeError, r"load_adapter, 0: got"),
    ],
)
def test_what_does_not_fit_is_refused(act, error, text):
    with pytest.raises(error, match=text):
        act(mlp())

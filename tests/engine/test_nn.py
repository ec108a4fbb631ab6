# SPDX-License-Identifier: Apache-2.0
"""Torch layers on tiles: gradients, conversion, optimizer, checkpoints."""

import copy
import io

import pytest
import torch
from torch import nn

from engine.devices.ideal import Ideal
from engine.devices.soft_bounds import SoftBounds
from engine.errors import ConfigMismatch, ParameterError, ShapeError, StateError
from engine.nn import AnalogLinear, analog_layers, convert, load_state
from engine.optim import AnalogSGD
from engine.tiles import IOParameters, Tile, TileConfig

PERFECT = IOParameters(is_perfect=True)
EXACT = TileConfig(Ideal(), PERFECT, PERFECT)
NOISY = TileConfig("reram_exp_hfo2_2018", IOParameters(inp_noise=0.02, w_noise=0.02), IOParameters(w_noise=0.02))
OTHER = TileConfig("reram_exp_hfo2_2018", IOParameters(inp_noise=0.04, w_noise=0.02), IOParameters(w_noise=0.02))


def randn(*shape, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class Mixed(nn.Module):
    """Digital and analog parts, nested, one layer without bias."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh())
        self.branch = nn.ModuleDict({"wide": nn.Linear(8, 70, bias=False), "back": nn.Linear(70, 8)})
        self.norm = nn.LayerNorm(8)
        self.last = nn.Linear(8, 3)

    def forward(self, x):
        h = self.first(x)
        return self.last(self.norm(h + self.branch["back"](self.branch["wide"](h).relu())))


def digital(seed: int = 1) -> Mixed:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Mixed()


def train(model: nn.Module, steps: int, start: int = 0, lr: float = 0.1) -> list[torch.Tensor]:
    """Train on a fixed sequence of batches; return the outputs."""
    optimizer, outputs = AnalogSGD(model.parameters(), lr), []
    for k in range(start, start + steps):
        optimizer.zero_grad()
        y = model(randn(5, 6, seed=k))
        (y - randn(5, 3, seed=1000 + k)).square().mean().backward()
        optimizer.step()
        outputs.append(y.detach())
    return outputs


def everything(model: nn.Module) -> list[torch.Tensor]:
    found = [p.detach().clone() for p in model.parameters()] + [b.clone() for b in model.buffers()]
    return found + [layer.tile.hidden.clone() for layer in analog_layers(model).values()]


def assert_equal(one, other) -> None:
    for a, b in zip(one, other, strict=True):
        assert torch.equal(a, b)


def through_a_file(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


# -- layer -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("lead", [(), (4,), (2, 3), (2, 1, 5)])
def test_perfect_layer_equals_torch_in_output_and_gradients(lead, bias):
    """1e-5: two single-precision products of 17 and 9 terms."""
    layer = AnalogLinear(17, 9, bias, config=EXACT, seed=3)
    twin = nn.Linear(17, 9, bias)
    twin.load_state_dict({n: p.detach() for n, p in layer.named_parameters()})
    x, way = randn(*lead, 17), randn(*lead, 9, seed=1)
    found = []
    for module in (layer, twin):
        given = x.clone().requires_grad_()
        y = module(given)
        (y * way).sum().backward()
        found.append((y.detach(), given.grad, *([module.bias.grad] if bias else [])))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_backward_pass_is_the_noisy_transposed_product():
    """The input's gradient has the bits that the tile's own backward product gives."""
    layer = AnalogLinear(17, 9, config=NOISY, seed=3)
    twin = copy.deepcopy(layer.tile)
    x, d = randn(4, 17).requires_grad_(), randn(4, 9, seed=1)
    layer(x).backward(d)
    noisy = twin.backward(d)
    assert torch.equal(x.grad, noisy)
    assert (noisy - d @ layer.weight).abs().max() > 0.01


def test_backward_pass_forms_no_weight_gradient_and_keeps_the_samples():
    layer = AnalogLinear(5, 3, config=NOISY)
    x, d = randn(4, 5), randn(4, 3, seed=1)
    layer(x).backward(d)
    assert layer.weight.grad is None
    ((kept_x, kept_d),) = layer.weight.pending
    assert torch.equal(kept_x, x)
    assert torch.equal(kept_d, d)


def test_first_layer_spends_no_transposed_product():
    layer = AnalogLinear(5, 3, config=NOISY)
    layer(randn(4, 5)).sum().backward()
    assert layer.tile.state_dict()["steps"]["backward"] == 0


def test_frozen_weight_passes_gradients_and_waits_for_no_update():
    layer = AnalogLinear(5, 3, config=NOISY)
    layer.weight.requires_grad_(False)
    x = randn(4, 5).requires_grad_()
    optimizer = AnalogSGD(layer.parameters(), 0.1)
    before = layer.tile.hidden.clone()
    layer(x).sum().backward()
    optimizer.step()
    assert x.grad.abs().sum() > 0
    assert torch.equal(layer.tile.hidden, before)


def test_no_grad_leaves_nothing_waiting():
    layer = AnalogLinear(5, 3, config=NOISY)
    with torch.no_grad():
        layer(randn(4, 5))
    assert layer.weight.pending == []


def test_output_changed_in_place_or_expanded_gradient_works():
    """A sum's gradient is an expanded tensor, not contiguous."""
    layer = AnalogLinear(5, 3, bias=False, config=EXACT)
    x = randn(4, 5).requires_grad_()
    layer(x).sum().backward()
    torch.testing.assert_close(x.grad, layer.weight.detach().sum(0).expand(4, 5))


def test_initial_weights_are_uniform_in_torch_s_range_and_follow_the_seed():
    one, two, other = (AnalogLinear(100, 50, config=EXACT, seed=s) for s in (4, 4, 5))
    assert torch.equal(one.weight, two.weight)
    assert torch.equal(one.bias, two.bias)
    assert not torch.equal(one.weight, other.weight)
    limit = 0.1
    assert 0.99 * limit < one.weight.abs().max() <= limit
    assert one.weight.std().item() == pytest.approx(limit / 3**0.5, rel=0.03)
    assert repr(one) == "AnalogLinear(in_features=100, out_features=50, bias=True, device=ideal)"


def test_layer_with_wrong_input_names_the_axis():
    with pytest.raises(ShapeError, match=r"x: got shape \(2, 4\), expected \(batch=any, in=5\)"):
        AnalogLinear(5, 3, config=EXACT)(torch.ones(2, 4))
    with pytest.raises(ShapeError, match="float64"):
        AnalogLinear(5, 3, config=EXACT)(torch.ones(2, 5, dtype=torch.float64))


@pytest.mark.parametrize(
    "move",
    [
        lambda m: m.double(),
        lambda m: m.half(),
        lambda m: m.bfloat16(),
        lambda m: m.to(torch.float64),
        lambda m: m.to("meta"),
    ],
)
def test_moving_or_casting_is_refused_and_changes_nothing(move):
    layer = AnalogLinear(5, 3, config=EXACT)
    before = everything(layer)
    with pytest.raises(StateError, match=r"AnalogLinear: cannot become .*allowed: torch.float32 on cpu"):
        move(layer)
    assert_equal(everything(layer), before)


def test_moving_to_where_it_is_keeps_the_tile():
    layer = AnalogLinear(5, 3, config=EXACT)
    tile = layer.tile
    assert layer.to("cpu").float().cpu().tile is tile
    assert layer.weight.data_ptr() == tile.weights.data_ptr()


def test_pickling_the_module_says_to_save_the_state():
    with pytest.raises(StateError, match=r"Save the module's state_dict\(\)"):
        torch.save(AnalogLinear(5, 3, config=EXACT), io.BytesIO())


# -- conversion ------------------------------------------------------------------------------------------------


def test_convert_leaves_the_original_and_replaces_every_linear():
    model = digital()
    before = everything(model)
    twin = convert(model, EXACT)
    names = ["first.0", "branch.wide", "branch.back", "last"]
    assert list(analog_layers(twin)) == names
    assert not any(type(m) is nn.Linear for m in twin.modules())
    assert analog_layers(model) == {}
    train(twin, 2)
    assert_equal(everything(model), before)


def test_converted_perfect_model_computes_the_same():
    model = digital().eval()
    twin = convert(model, EXACT)
    x = randn(5, 6)
    torch.testing.assert_close(twin(x), model(x), rtol=1e-5, atol=1e-5)
    assert not twin.training
    assert twin.branch["wide"].bias is None


def test_convert_clips_weights_to_the_devices():
    layer = nn.Linear(30, 20)
    nn.init.constant_(layer.weight, 5.0)
    tile = convert(layer, TileConfig(SoftBounds())).tile
    assert torch.equal(tile.weights, tile.cells["max_bound"])


def test_convert_gives_each_layer_its_own_seed_by_name():
    twin = convert(digital(), NOISY, seed=5)
    seeds = {n: layer.tile.seed for n, layer in analog_layers(twin).items()}
    assert len(set(seeds.values())) == 4
    again = {n: layer.tile.seed for n, layer in analog_layers(convert(digital(2), NOISY, seed=5)).items()}
    other = {n: layer.tile.seed for n, layer in analog_layers(convert(digital(), NOISY, seed=6)).items()}
    assert again == seeds
    assert not set(other.values()) & set(seeds.values())
    alone = nn.Module()
    alone.last = nn.Linear(2, 2)
    assert convert(alone, NOISY, seed=5).last.tile.seed == seeds["last"]


def test_convert_of_a_bare_layer_returns_an_analog_layer():
    layer = nn.Linear(4, 3).eval()
    twin = convert(layer, EXACT)
    assert isinstance(twin, AnalogLinear)
    assert not twin.training
    assert torch.equal(twin.weight, layer.weight)
    assert torch.equal(twin.bias, layer.bias)
    assert twin.bias.data_ptr() != layer.bias.data_ptr()


def test_convert_of_a_layer_used_under_two_names_stays_one_layer():
    model = nn.ModuleDict({"a": nn.Linear(4, 4)})
    model["b"] = model["a"]
    twin = convert(model, EXACT)
    assert twin["a"] is twin["b"]
    assert isinstance(twin["b"], AnalogLinear)


def test_convert_of_two_layers_with_one_weight_is_refused():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    with pytest.raises(ParameterError, match=r"convert\.model.*0, 1.*share"):
        convert(model, EXACT)


def test_convert_of_a_model_without_linear_layers_is_refused():
    with pytest.raises(ParameterError, match=r"convert.model = 'ReLU': has no layer that can be analog"):
        convert(nn.ReLU(), EXACT)


# -- optimizer -------------------------------------------------------------------------------------------------


def test_step_pulses_analog_weights_as_the_tile_s_update_does():
    layer = AnalogLinear(5, 3, bias=False, config=NOISY, seed=2)
    twin = copy.deepcopy(layer.tile)
    x, d = randn(4, 5), randn(4, 3, seed=1)
    layer(x).backward(d)
    AnalogSGD(layer.parameters(), 0.05).step()
    twin.update(x, d, 0.05)
    assert torch.equal(layer.tile.hidden, twin.hidden)
    assert torch.equal(layer.weight, twin.weights)


def test_step_moves_digital_parameters_by_plain_descent():
    model = convert(digital(), EXACT)
    rest = {n: p for n, p in model.named_parameters() if "norm" in n or n.endswith("bias")}
    before = {n: p.detach().clone() for n, p in rest.items()}
    optimizer = AnalogSGD(model.parameters(), 0.1)
    model(randn(5, 6)).square().sum().backward()
    optimizer.step()
    for name, p in rest.items():
        assert p.grad is not None
        torch.testing.assert_close(p.detach(), before[name] - 0.1 * p.grad, rtol=1e-6, atol=1e-7)


def test_training_on_ideal_devices_follows_torch_sgd():
    """Ten steps with perfect periphery: the same as SGD to single precision, 1e-4 after ten steps."""
    model = digital()
    twin = convert(model, EXACT)
    analog = train(twin, 10)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for k in range(10):
        optimizer.zero_grad()
        y = model(randn(5, 6, seed=k))
        (y - randn(5, 3, seed=1000 + k)).square().mean().backward()
        optimizer.step()
        torch.testing.assert_close(analog[k], y.detach(), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(analog[0], analog[9])


def test_gradients_accumulate_over_backward_passes():
    one, two = (AnalogLinear(5, 3, config=NOISY, seed=2) for _ in range(2))
    twin = copy.deepcopy(two.tile)
    x, d = randn(4, 5), randn(4, 3, seed=1)
    one(x).backward(d)
    AnalogSGD(one.parameters(), 0.1).step()
    optimizer = AnalogSGD(two.parameters(), 0.1)
    two(x[:2]).backward(d[:2])
    two(x[2:]).backward(d[2:])
    optimizer.step()
    assert torch.equal(one.tile.hidden, two.tile.hidden)
    before = two.tile.hidden.clone()
    optimizer.step()  # nothing waits any more
    assert torch.equal(two.tile.hidden, before)
    assert not torch.equal(before, twin.hidden)


def test_zero_grad_drops_waiting_samples():
    layer = AnalogLinear(5, 3, config=NOISY)
    optimizer = AnalogSGD(layer.parameters(), 0.1)
    layer(randn(4, 5)).sum().backward()
    before = layer.tile.hidden.clone()
    optimizer.zero_grad()
    optimizer.step()
    assert torch.equal(layer.tile.hidden, before)


def test_parameter_groups_and_schedulers_set_the_rate_of_each_layer():
    model = nn.Sequential(AnalogLinear(5, 4, config=EXACT, seed=1), AnalogLinear(4, 3, config=EXACT, seed=2))
    groups = [{"params": model[0].parameters(), "lr": 0.0}, {"params": model[1].parameters()}]
    optimizer = AnalogSGD(groups, 0.5)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.0)
    states = [everything(model)]
    for _ in range(2):
        model(randn(4, 5)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        states.append(everything(model))
    assert torch.equal(states[1][0], states[0][0])
    assert not torch.equal(states[1][2], states[0][2])
    assert_equal(states[2], states[1])


def test_step_with_a_closure_returns_its_loss_and_updates():
    layer = AnalogLinear(5, 3, config=EXACT)
    optimizer = AnalogSGD(layer.parameters(), 0.01)

    def closure():
        optimizer.zero_grad()
        loss = layer(randn(4, 5)).square().sum()
        loss.backward()
        return loss

    first = optimizer.step(closure).item()
    assert optimizer.step(closure).item() < first


@pytest.mark.parametrize("lr", [-0.1, float("nan"), float("inf"), None, "0.1"])
def test_invalid_rate_is_refused(lr):
    with pytest.raises(ParameterError, match=r"AnalogSGD\.lr = "):
        AnalogSGD([nn.Parameter(torch.zeros(1))], lr)


# -- copies and checkpoints ------------------------------------------------------------------------------------


def test_deep_copy_lives_on_alone_and_equal():
    model = convert(digital(), NOISY, seed=5)
    train(model, 2)
    model.last.weight.requires_grad_(False)
    twin = copy.deepcopy(model)
    assert not twin.last.weight.requires_grad
    before = everything(model)
    copied = train(twin, 2, 2)
    assert_equal(everything(model), before)
    assert_equal(train(model, 2, 2), copied)
    assert_equal(everything(model), everything(twin))


def test_resumed_run_is_bit_equal_to_an_uninterrupted_one():
    whole = convert(digital(), NOISY, seed=5)
    outputs = train(whole, 6)
    interrupted = convert(digital(), NOISY, seed=5)
    train(interrupted, 3)
    state = through_a_file(interrupted.state_dict())
    resumed = convert(digital(9), NOISY, seed=77)  # other weights, other devices, other streams
    load_state(resumed, state)
    assert_equal(train(resumed, 3, 3), outputs[3:])
    assert_equal(everything(resumed), everything(whole))


def test_plain_load_state_dict_resumes_too():
    model = convert(digital(), NOISY, seed=5)
    train(model, 2)
    resumed = convert(digital(9), NOISY, seed=77)
    resumed.load_state_dict(through_a_file(model.state_dict()))
    assert_equal(train(resumed, 2, 2), train(model, 2, 2))
    assert_equal(everything(resumed), everything(model))


@pytest.mark.parametrize("assign", [True, False])
def test_loaded_weights_stay_the_tile_s_memory(assign):
    model, other = (convert(nn.Linear(4, 3), EXACT, seed=s) for s in (1, 2))
    other.load_state_dict(model.state_dict(), assign=assign)
    assert other.weight.data_ptr() == other.tile.weights.data_ptr()
    assert torch.equal(other.tile.hidden, model.tile.hidden)


@pytest.mark.parametrize("load", [load_state, lambda m, s: m.load_state_dict(s)], ids=["load_state", "load_state_dict"])
def test_other_configuration_is_refused_and_changes_nothing(load):
    model = convert(digital(), OTHER, seed=5)
    saved = through_a_file(convert(digital(3), NOISY, seed=6).state_dict())
    before = everything(model.first[0])
    with pytest.raises(ConfigMismatch, match=r"forward.inp_noise: saved 0.02, here 0.04"):
        load(model, saved)
    assert_equal(everything(model.first[0]), before)


def test_load_state_names_every_layer_that_differs_and_leaves_the_model():
    model = convert(digital(), OTHER, seed=5)
    saved = convert(digital(3), NOISY, seed=6).state_dict()
    before = everything(model)
    with pytest.raises(ConfigMismatch) as caught:
        load_state(model, saved)
    assert set(caught.value.differences) == {f"{n}.forward.inp_noise" for n in analog_layers(model)}
    assert_equal(everything(model), before)


def test_load_state_with_the_saved_configuration_takes_all():
    model, other = convert(digital(), NOISY, seed=5), convert(digital(3), OTHER, seed=6)
    train(model, 2)
    load_state(other, through_a_file(model.state_dict()), config="saved")
    assert other.last.tile.config == NOISY
    assert_equal(train(other, 2, 2), train(model, 2, 2))


def test_load_state_that_keeps_the_configuration_takes_the_devices():
    model, other = convert(digital(), NOISY, seed=5), convert(digital(3), OTHER, seed=6)
    train(model, 2)
    load_state(other, model.state_dict(), config="keep")
    assert other.last.tile.config == OTHER
    assert_equal(everything(other), everything(model))


def without(state: dict, key: str) -> dict:
    return {k: v for k, v in state.items() if k != key}


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda s: without(s, "last._extra_state"), "last._extra_state"),
        (lambda s: without(s, "last.bias"), "last.bias"),
        (lambda s: without(s, "norm.weight"), "norm.weight"),
        (lambda s: s | {"more.weight": torch.zeros(1)}, "more.weight"),
        (lambda s: s | {"more._extra_state": {}}, "more._extra_state"),
        (lambda s: digital().state_dict(), "first.0._extra_state"),
    ],
)
def test_load_state_with_other_keys_names_them_and_leaves_the_model(spoil, named):
    model = convert(digital(), NOISY, seed=5)
    before = everything(model)
    with pytest.raises(ParameterError, match=named.replace(".", r"\.")):
        load_state(model, spoil(convert(digital(2), NOISY, seed=6).state_dict()))
    assert_equal(everything(model), before)


def test_load_state_of_another_size_leaves_the_model():
    class Wider(Mixed):
        def __init__(self):
            super().__init__()
            self.norm = nn.LayerNorm(8)
            self.last = nn.Linear(8, 4)

    model = convert(digital(), NOISY, seed=5)
    before = everything(model)
    with pytest.raises(ShapeError, match="last"):
        load_state(model, convert(Wider(), NOISY).state_dict())
    assert_equal(everything(model), before)


def test_digital_checkpoint_into_an_analog_layer_is_refused_with_the_way_out():
    model = convert(nn.Linear(4, 3), NOISY)
    before = everything(model)
    with pytest.raises(RuntimeError, match="convert"):
        model.load_state_dict(nn.Linear(4, 3).state_dict(), strict=False)
    assert_equal(everything(model), before)


def test_load_state_restores_the_extra_state_of_digital_modules():
    class Counter(nn.Module):
        count = 0

        def get_extra_state(self):
            return {"count": self.count}

        def set_extra_state(self, state):
            self.count = state["count"]

    model, other = (nn.Sequential(convert(nn.Linear(4, 3), NOISY), Counter()) for _ in range(2))
    model[1].count = 7
    load_state(other, model.state_dict())
    assert other[1].count == 7


def test_tile_of_a_layer_is_reachable_and_of_the_right_shape():
    layer = AnalogLinear(5, 3, config=NOISY)
    assert isinstance(layer.tile, Tile)
    assert layer.tile.weights.shape == (3, 5)
    assert layer.weight.data_ptr() == layer.tile.weights.data_ptr()

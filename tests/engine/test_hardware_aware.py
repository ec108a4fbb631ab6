# SPDX-License-Identifier: Apache-2.0
"""Analog weights that follow a gradient, and what hardware-aware training does around them."""

import copy
import dataclasses

import pytest
import torch
from layer_cases import EXACT, randn, through_a_file
from torch import nn

from engine.errors import ParameterError, StateError
from engine.nn import HardwareAware, WeightClip, WeightRemap, analog_layers, convert, distillation_loss, load_state
from engine.nn.hardware_aware import freeze_scales
from engine.nn.modifiers.add_normal import AddNormal
from engine.nn.modifiers.copy import Copy
from engine.optim import AnalogSGD
from engine.recipes import Schedule, load, names, titles
from engine.tiles import InputRangeParameters, MappingParameters, TileConfig, UpdateParameters

FOLLOWING = dataclasses.replace(EXACT, update=UpdateParameters(pulse_type="none_but_gradient"))
STANDARD = load("standard_aimc")


def following(**mapping) -> TileConfig:
    return dataclasses.replace(FOLLOWING, mapping=MappingParameters(**mapping))


def mlp() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))


def weights_of(model: nn.Module) -> list[torch.Tensor]:
    return [t.weights.clone() for layer in analog_layers(model).values() for t in layer.tiles]


@pytest.mark.parametrize(
    "mapping",
    [
        {},
        {"weight_scaling_omega": 0.7},
        {"weight_scaling_omega": 1.0, "weight_scaling_columnwise": True},
        {"weight_scaling_omega": 1.0, "weight_scaling_lr_compensation": True},
        {"max_input_size": 4, "max_output_size": 2, "digital_bias": False},
    ],
    ids=str,
)
@pytest.mark.parametrize("optimizer", [torch.optim.SGD, AnalogSGD])
def test_a_step_of_plain_descent_moves_logical_weights_as_in_a_digital_layer(mapping, optimizer):
    """1e-5: single precision over two layers."""
    digital = mlp()
    analog = convert(digital, following(**mapping))
    x = randn(7, 6)
    for model, make in ((digital, torch.optim.SGD), (analog, optimizer)):
        steps = make(model.parameters(), 0.1)
        model(x).square().sum().backward()
        steps.step()
    for own, layer in zip((digital[0], digital[2]), analog_layers(analog).values(), strict=True):
        weight, bias = layer.logical_weights()
        torch.testing.assert_close(weight, own.weight.detach(), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(bias, own.bias.detach(), rtol=1e-5, atol=1e-6)


def test_input_range_leaves_the_logical_step_as_it_is():
    """Nothing is clipped at a range of 10: the step is the digital one."""
    ranges = InputRangeParameters(enable=True, init_value=10.0, init_from_data=0, learn_input_range=False)
    digital = nn.Linear(6, 4)
    analog = convert(digital, dataclasses.replace(following(weight_scaling_omega=1.0), input_range=ranges))
    x = randn(5, 6)
    for model in (digital, analog):
        model(x).square().sum().backward()
        torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1).step()
    torch.testing.assert_close(analog.logical_weights()[0], digital.weight.detach(), rtol=1e-4, atol=1e-6)


def test_any_optimizer_writes_what_the_tile_holds_and_a_file_keeps():
    model = convert(mlp(), following(weight_scaling_omega=1.0))
    optimizer = torch.optim.AdamW(model.parameters(), 0.01)
    before = weights_of(model)
    model(randn(4, 6)).square().sum().backward()
    optimizer.step()
    for layer in analog_layers(model).values():
        assert torch.equal(layer.tile.hidden, layer.tile.weights)
        assert layer.tile.weights.data_ptr() == layer.weight.data_ptr()
    assert not any(torch.equal(a, b) for a, b in zip(before, weights_of(model), strict=True))
    twin = convert(mlp(), following(weight_scaling_omega=1.0))
    load_state(twin, through_a_file(model.state_dict()))
    x = randn(3, 6, seed=5)
    assert torch.equal(twin(x), model(x))
    torch.optim.SGD(twin.parameters(), 0.1).zero_grad()
    twin(x).sum().backward()
    assert twin[0].weight.grad is not None
    assert twin[0].weight.pending == []


def test_pulsed_devices_cannot_follow_a_gradient():
    config = TileConfig("idealized_symmetric", update=UpdateParameters(pulse_type="none_but_gradient"))
    with pytest.raises(ParameterError, match=r"TileConfig.update.pulse_type = 'none_but_gradient'.*does not fit"):
        convert(nn.Linear(2, 2), config)


def test_training_multiplies_by_perturbed_weights_and_evaluation_by_clean_ones():
    model = convert(nn.Sequential(nn.Linear(6, 4, bias=False)), FOLLOWING)
    aware, x = HardwareAware(AddNormal(std_dev=0.1)), randn(3, 6)
    clean = model(x).detach()
    with aware.attached(model, torch.optim.SGD(model.parameters(), 0.1)):
        model.train()
        one, two = model(x), model(x)
        assert not torch.equal(one, two)
        assert not torch.allclose(one, clean)
        assert torch.equal(model.eval()(x), clean)
    assert torch.equal(model.train()(x), clean)


def test_gradient_goes_straight_through_with_the_perturbed_weights_on_the_way_back():
    model = convert(nn.Sequential(nn.Linear(6, 4, bias=False)), FOLLOWING).train()
    aware, x = HardwareAware(AddNormal(std_dev=0.1)), randn(3, 6).requires_grad_()
    aware.begin_batch(model)
    used = model[0].weight.perturbed(3)
    y = model(x)
    d = randn(3, 4, seed=1)
    y.backward(d)
    torch.testing.assert_close(y, x @ used.T)
    torch.testing.assert_close(x.grad, d @ used)
    torch.testing.assert_close(model[0].weight.grad, d.T @ x.detach())


def test_a_draw_for_each_vector_differs_from_vector_to_vector():
    model = convert(nn.Sequential(nn.Linear(6, 4, bias=False)), FOLLOWING).train()
    aware, x = HardwareAware(AddNormal(std_dev=0.1, per_sample=True)), randn(1, 6).repeat(3, 1).requires_grad_()
    aware.begin_batch(model)
    y = model(x)
    assert not torch.equal(y[0], y[1])
    assert not torch.equal(y[1], y[2])
    y.sum().backward()
    assert not torch.equal(x.grad[0], x.grad[1])
    torch.testing.assert_close(model[0].weight.grad, torch.ones(3, 4).T @ x.detach())


def test_all_steps_of_a_recurrent_layer_see_the_same_draw():
    model = convert(nn.Sequential(nn.RNN(2, 3, nonlinearity="relu")), FOLLOWING).train()
    aware = HardwareAware(AddNormal(std_dev=0.1))
    aware.begin_batch(model)
    x = randn(1, 1, 2).expand(4, 1, 2)
    found = [w.perturbed(1) for layer in analog_layers(model).values() for w in layer.analog_weights.values()]
    model(x)
    after = [w.perturbed(1) for layer in analog_layers(model).values() for w in layer.analog_weights.values()]
    assert all(a is b for a, b in zip(found, after, strict=True))


def test_a_resumed_training_draws_what_an_unbroken_one_does():
    def steps(model: nn.Module, aware: HardwareAware, optimizer: torch.optim.Optimizer, count: int) -> None:
        with aware.attached(model, optimizer):
            for _ in range(count):
                optimizer.zero_grad()
                model(randn(4, 6)).square().sum().backward()
                optimizer.step()

    def made() -> tuple:
        model = convert(mlp(), following(weight_scaling_omega=1.0), seed=4).train()
        return model, HardwareAware(AddNormal(std_dev=0.1), ramp_batches=3), torch.optim.Adam(model.parameters(), 0.01)

    whole, first, second = made(), made(), made()
    steps(*whole, 5)
    steps(*first, 2)
    load_state(second[0], through_a_file(first[0].state_dict()))
    second[1].load_state_dict(first[1].state_dict())
    second[2].load_state_dict(copy.deepcopy(first[2].state_dict()))
    steps(*second, 3)
    for a, b in zip(weights_of(whole[0]), weights_of(second[0]), strict=True):
        assert torch.equal(a, b)


def test_steps_end_with_clip_and_remap_of_what_is_trained():
    model = convert(mlp(), following(weight_scaling_omega=1.0, weight_scaling_columnwise=True)).train()
    frozen = model[2]
    frozen.train_only(weights=False, bias=False)
    before = frozen.tile.weights.clone()
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 0.05)
    aware = HardwareAware(None, WeightClip(type="layer_gaussian", sigma=1.5), WeightRemap(type="channelwise_symmetric"))
    with aware.attached(model, optimizer):
        model(randn(4, 6)).square().sum().backward()
        optimizer.step()
    largest = model[0].tile.weights.abs().amax(1)
    torch.testing.assert_close(largest, torch.ones(5))
    assert not torch.equal(
        model[0].mapping_scales, convert(mlp(), following(weight_scaling_omega=1.0))[0].mapping_scales
    )
    assert torch.equal(frozen.tile.weights, before)


def test_noise_grows_along_the_ramp():
    aware, model = HardwareAware(Copy(), ramp_batches=4, ramp_start=0.2), convert(mlp(), FOLLOWING).train()
    found = []
    for _ in range(6):
        found.append(aware.strength)
        aware.begin_batch(model)
    assert found == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])


def test_what_cannot_be_attached_is_refused():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1)
    with pytest.raises(StateError, match="no layer of the model is analog"), HardwareAware().attached(mlp(), optimizer):
        pass
    pulsed = convert(mlp(), TileConfig("idealized_symmetric"))
    with pytest.raises(StateError, match="a tile waits for pulses"), HardwareAware().attached(pulsed, optimizer):
        pass
    with pytest.raises(ParameterError, match=r"HardwareAware.ramp_batches = -1"):
        HardwareAware(ramp_batches=-1)
    with pytest.raises(ParameterError, match=r"HardwareAware.ramp_start = 2"):
        HardwareAware(ramp_start=2)


def test_frozen_scales_keep_their_values():
    model = convert(mlp(), STANDARD.config)
    freeze_scales(model)
    assert not any(p.requires_grad for n, p in model.named_parameters() if "range" in n or "scaling" in n)
    assert all(w.requires_grad for layer in analog_layers(model).values() for w in layer.analog_weights.values())


def test_standard_model_has_the_published_numbers():
    """Nat. Commun. 14, 5282 (2023), as in aihwkit 1.2.0, StandardHWATrainingPreset."""
    forward, mapping, ranges = (getattr(STANDARD.config, part) for part in ("forward", "mapping", "input_range"))
    expected = {"inp_res": 1 / 254, "out_res": 1 / 254, "inp_bound": 1, "out_bound": 10, "out_noise": 0.04,
                "w_noise": 0.0175, "w_noise_type": "pcm_read", "ir_drop": 1, "noise_management": "constant",
                "nm_thres": 1, "bound_management": "none"}  # fmt: skip
    assert {name: getattr(forward, name) for name in expected} == pytest.approx(expected)
    assert forward.ir_drop_g_ratio == pytest.approx(5.7143e5, rel=1e-4)
    assert STANDARD.config.backward.is_perfect
    assert not STANDARD.config.device.pulsed
    assert STANDARD.modifier is None
    assert (mapping.weight_scaling_omega, mapping.weight_scaling_columnwise, mapping.max_input_size) == (1, True, 512)
    assert (mapping.max_output_size, mapping.learn_out_scaling, mapping.out_scaling_columnwise) == (0, True, True)
    assert (ranges.enable, ranges.init_value, ranges.init_from_data, ranges.init_std_alpha) == (True, 3, 100, 3)
    assert (ranges.decay, ranges.input_min_percentage, ranges.gradient_relative) == (0.001, 0.95, True)
    assert (STANDARD.remap.type, STANDARD.remap.remapped_wmax) == ("channelwise_symmetric", 1)
    assert (STANDARD.clip.type, STANDARD.clip.fixed_value) == ("fixed_value", 1)


@pytest.mark.parametrize("name", names())
def test_every_recipe_names_the_source_of_each_number(name):
    recipe = load(name)
    assert recipe.title == titles()[name]
    assert recipe.source
    assert recipe.note
    assert recipe.sources
    assert all(recipe.sources.values())
    model = convert(nn.Sequential(nn.Linear(4, 3)), recipe.config)
    optimizer = recipe.schedule.make_optimizer(model.parameters())
    with HardwareAware(recipe.modifier, recipe.clip, recipe.remap).attached(model, optimizer):
        model.train()(torch.ones(2, 4)).square().sum().backward()
        optimizer.step()
    assert bool(torch.isfinite(model[0].tile.weights).all())


def test_unknown_recipe_names_a_near_miss():
    with pytest.raises(ParameterError, match=r"recipe = 'standard_aimcc'.*Did you mean 'standard_aimc'"):
        load("standard_aimcc")


def test_schedules_fall_as_they_say():
    assert [Schedule().factor(s) for s in (0, 0.5, 1)] == pytest.approx([1, 0.5, 0])
    assert [Schedule(decay="steps").factor(s) for s in (0, 0.5, 0.9)] == pytest.approx([1, 0.1, 0.01])
    assert isinstance(Schedule(optimizer="sgd").make_optimizer(mlp().parameters()), torch.optim.SGD)
    with pytest.raises(ParameterError, match=r"Schedule.ramp = 0.9"):
        Schedule(ramp=0.9, freeze_scales=0.2)


def test_distillation_is_both_parts_by_their_share():
    """By hand for one sample and two classes; T = 2, a = 0.25."""
    s, t, y = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]]), torch.tensor([0])
    p, q = torch.softmax(t / 2, 1), torch.softmax(s / 2, 1)
    expected = 0.75 * -torch.log_softmax(s, 1)[0, 0] + 0.25 * 4 * (p * (p / q).log()).sum()
    torch.testing.assert_close(distillation_loss(s, t, y, temperature=2.0, share=0.25), expected)
    with pytest.raises(ParameterError, match=r"distillation_loss.share"):
        distillation_loss(s, t, None, share=0.5)
    with pytest.raises(ParameterError, match=r"distillation_loss.temperature"):
        distillation_loss(s, t, y, temperature=0)

# SPDX-License-Identifier: Apache-2.0
"""Input ranges: estimated, then learned; numbers marked "table" were computed in double precision."""

import dataclasses

import pytest
import torch
from layer_cases import EXACT, NOISY, configured, layer_state, perceptron, randn, steps, through_a_file
from torch import nn

from engine.devices.ideal import Ideal
from engine.errors import ParameterError, StateError
from engine.nn import AnalogLinear, calibrate, convert, load_state
from engine.optim import AnalogSGD
from engine.tiles import InputRangeParameters, IOParameters, TileConfig

W = torch.tensor([[0.51, -0.26, 0.74, 0.11], [-0.97, 0.33, 0.19, -0.58], [0.07, 0.88, -0.47, 0.93]])
X = torch.tensor([[1.01, -0.53, 0.27, 1.93], [0.13, 0.22, -0.31, 0.41], [-2.9, 1.37, 0.06, -0.71]])
D = torch.tensor([[1.0, -0.5, 0.25], [0.3, 0.2, -0.1], [-1.0, 0.4, 0.6]])


def ranged(config: TileConfig, **ranges) -> TileConfig:
    ranges = {"init_from_data": 0, "decay": 0.0} | ranges
    return dataclasses.replace(config, input_range=InputRangeParameters(enable=True, **ranges))


def layer_of(config: TileConfig, weights: torch.Tensor = W, bias: torch.Tensor | None = None) -> AnalogLinear:
    rows, columns = weights.shape
    layer = AnalogLinear(columns, rows, bias is not None, config=config)
    layer.set_weights(weights, bias)
    return layer


def range_gradient(**ranges) -> tuple[float, torch.Tensor]:
    """Return the gradients of range and inputs for the table's numbers."""
    layer, x = layer_of(ranged(EXACT, **ranges)), X.clone().requires_grad_()
    layer(x).backward(D)
    return layer.input_range.grad.item(), x.grad


# -- product ---------------------------------------------------------------------------------------------------


def test_inputs_are_clipped_and_outputs_scaled_back():
    layer = layer_of(ranged(EXACT, init_value=0.7))
    torch.testing.assert_close(layer(X).detach(), X.clamp(-0.7, 0.7) @ W.T)


def test_range_replaces_the_input_scale_of_the_periphery():
    """Without noise management a range of 2 gives the bits of a tile that sees x / 2, times 2."""
    io = IOParameters(noise_management="none", bound_management="none", out_noise=0.0)
    layer = layer_of(ranged(TileConfig(Ideal(), io), init_value=2.0))
    plain = layer_of(TileConfig(Ideal(), io))
    assert torch.equal(layer(X), 2 * plain(X.clamp(-2, 2) / 2))


def test_every_tile_of_a_split_layer_has_its_own_range():
    config = ranged(configured(EXACT, max_input_size=2, max_output_size=2), init_from_data=1, init_std_alpha=2.0)
    layer = layer_of(config)
    layer(X)
    assert layer.input_range.shape == (2, 2)
    stds = torch.stack([X[:, :2].std(), X[:, 2:].std()])
    torch.testing.assert_close(layer.input_range.detach(), (2 * stds).expand(2, 2))


def test_analog_bias_is_not_scaled_by_the_range():
    bias = torch.tensor([0.5, -1.0, 0.25])
    layer = layer_of(ranged(configured(EXACT, digital_bias=False), init_value=4.0), bias=bias)
    torch.testing.assert_close(layer(X).detach(), X @ W.T + bias)


# -- estimation ------------------------------------------------------------------------------------------------


@pytest.mark.tile_conformance("T47")
def test_range_is_estimated_from_the_first_batches():
    layer = layer_of(ranged(EXACT, init_from_data=3, init_value=7.0))
    expected = 7.0
    for k in range(3):
        x = randn(8, 4, seed=k)
        expected = (k * expected + 3 * x.std().item()) / (k + 1)
        y = layer(x)
        assert layer.input_range.item() == pytest.approx(expected, rel=1e-6)
        torch.testing.assert_close(y.detach(), x.clamp(-expected, expected) @ W.T, rtol=1e-5, atol=1e-5)
    layer(100 * randn(8, 4))
    assert layer.input_range.item() == pytest.approx(expected, rel=1e-6)
    assert layer.input_range_batches.item() == 3


@pytest.mark.tile_conformance("T47")
@pytest.mark.parametrize("batch", [torch.zeros(8, 4), torch.full((8, 4), 2.0)], ids=["zero", "constant"])
def test_constant_batch_tells_nothing_about_the_range(batch):
    layer = layer_of(ranged(EXACT, init_from_data=3))
    layer(randn(8, 4))
    before = layer.input_range.item()
    layer(batch)
    assert layer.input_range.item() == before
    assert layer.input_range_batches.item() == 1


def test_single_input_tells_nothing_about_the_range():
    layer = layer_of(ranged(EXACT, init_from_data=3), torch.ones(1, 1))
    layer(torch.ones(1, 1))
    assert layer.input_range.item() == 3.0


def test_evaluation_estimates_nothing():
    layer = layer_of(ranged(EXACT, init_from_data=3)).eval()
    layer(randn(8, 4))
    assert layer.input_range.item() == 3.0
    assert layer.input_range_batches.item() == 0


def test_range_is_not_trained_until_the_estimation_is_complete():
    layer = layer_of(ranged(EXACT, init_from_data=2, decay=0.5))
    optimizer = AnalogSGD([layer.input_range], 0.1)
    seen = []
    for k in range(3):
        optimizer.zero_grad()
        layer(3 * randn(8, 4, seed=k)).square().sum().backward()
        seen.append(layer.input_range.grad.item())
        optimizer.step()
    assert seen[:2] == [0.0, 0.0]
    assert seen[2] != 0


def test_estimate_between_forward_and_backward_does_not_disturb_the_first_batch():
    """Two forward passes before one backward pass, as a recurrent layer does."""
    one, two = (layer_of(ranged(EXACT, init_from_data=9)) for _ in range(2))
    y = one(X)
    one(5 * X)
    y.backward(D)
    two(X).backward(D)
    for a, b in zip(one.weight.pending[0], two.weight.pending[0], strict=True):
        assert torch.equal(a, b)


# -- gradient --------------------------------------------------------------------------------------------------


@pytest.mark.tile_conformance("T48")
def test_gradient_of_the_range_is_the_table_s():
    one_sided, x_grad = range_gradient(init_value=0.7)
    assert one_sided == pytest.approx(-0.1512, rel=1e-4)
    torch.testing.assert_close(x_grad[2], torch.tensor([0.0, 0.0, -0.946, 0.0]), rtol=1e-4, atol=1e-6)
    assert range_gradient(init_value=0.7, range_gradient="true")[0] == pytest.approx(2.2435, rel=1e-4)
    shrinking = range_gradient(init_value=2.0, decay=0.5, input_min_percentage=0.9)[0]
    assert shrinking == pytest.approx(1.0, rel=1e-4)


def test_range_shrinks_only_where_enough_inputs_are_inside():
    """11 of 12 inputs are inside 2."""
    assert range_gradient(init_value=2.0, decay=0.5, input_min_percentage=0.92)[0] == 0


@pytest.mark.parametrize("relative", [True, False])
def test_gradient_scale_acts_with_and_without_the_range_as_a_factor(relative):
    settings = {"init_value": 0.7, "gradient_relative": relative}
    once, thrice = range_gradient(**settings)[0], range_gradient(gradient_scale=3.0, **settings)[0]
    assert once == pytest.approx(-0.1512 if relative else -0.216, rel=1e-4)
    assert thrice == pytest.approx(3 * once, rel=1e-6)


def test_true_gradient_is_the_derivative_of_the_clipped_product():
    """By autograd; not relative to the range."""
    r = torch.tensor(0.7, requires_grad=True)
    (torch.minimum(torch.maximum(X, -r), r) @ W.T).backward(D)
    found = range_gradient(init_value=0.7, range_gradient="true", gradient_relative=False)[0]
    assert found == pytest.approx(r.grad.item(), rel=1e-5)


def test_lsq_gradient_adds_the_rounding_of_inputs_inside():
    """Converter of 4 codes to its bound; straight-through estimate of r round(n x / r) / n, by autograd."""
    io = IOParameters(noise_management="none", bound_management="none", inp_res=1 / 8, out_res=0.0, out_noise=0.0)
    config = TileConfig(Ideal(), io, IOParameters(is_perfect=True))
    layer = layer_of(ranged(config, init_value=1.2, range_gradient="lsq", gradient_relative=False))
    layer(X).backward(D)
    r = torch.tensor(1.2, requires_grad=True)
    v = (X / r).clamp(-1, 1)
    rounded = v + (torch.round(v * 4) / 4 - v).detach()
    (r * rounded @ W.T).backward(D)
    assert layer.input_range.grad.item() == pytest.approx(r.grad.item(), rel=1e-5)


def test_input_at_the_range_itself_passes_its_gradient():
    layer = layer_of(ranged(EXACT, init_value=1.0), torch.ones(1, 3))
    x = torch.tensor([[1.0, -1.0, 1.5]], requires_grad=True)
    layer(x).sum().backward()
    assert torch.equal(x.grad, torch.tensor([[1.0, 1.0, 0.0]]))


def test_range_that_is_not_learned_gets_no_gradient_and_costs_no_product():
    layer = layer_of(ranged(EXACT, learn_input_range=False))
    layer(X).backward(D)
    assert layer.input_range.grad is None
    assert layer.tile.state_dict()["steps"]["backward"] == 0


def test_range_stays_positive():
    layer = layer_of(ranged(EXACT))
    with torch.no_grad():
        layer.input_range.fill_(-0.5)
    assert torch.isfinite(layer(X)).all()
    assert layer.input_range.item() == pytest.approx(1e-6)


# -- update ----------------------------------------------------------------------------------------------------


@pytest.mark.tile_conformance("T66")
@pytest.mark.parametrize("mapping", [{}, {"weight_scaling_omega": 0.6, "weight_scaling_columnwise": True}], ids=str)
@pytest.mark.parametrize("bias", [False, True])
def test_step_of_logical_weights_is_the_digital_one_whatever_the_range(mapping, bias):
    """r = 2, inputs half of the table's, all inside; 1e-4 relative to the largest change."""
    config = ranged(configured(EXACT, digital_bias=False, **mapping), init_value=2.0, learn_input_range=False)
    start = torch.tensor([0.1, -0.2, 0.3]) if bias else None
    layer = layer_of(config, bias=start)
    layer(X / 2).backward(D)
    AnalogSGD(layer.parameters(), 0.1).step()
    weight, offset = layer.logical_weights()
    torch.testing.assert_close(weight - W, -0.1 * D.T @ X / 2, rtol=1e-4, atol=1e-6)
    if bias:
        torch.testing.assert_close(offset - start, -0.1 * D.sum(0), rtol=1e-4, atol=1e-6)


# -- gradients of clipped outputs ------------------------------------------------------------------------------


@pytest.mark.tile_conformance("T59")
def test_output_that_no_converter_clipped_passes_its_gradient():
    """Four inputs of 5 give y = 20 from a code of 4 of 12: inside the bound, although y itself is beyond it."""
    quiet = IOParameters(out_noise=0.0)
    layer = layer_of(TileConfig(Ideal(), quiet, IOParameters(is_perfect=True)), torch.tensor([[1.0] * 4, [0.1] * 4]))
    x = torch.full((1, 4), 5.0, requires_grad=True)
    y = layer(x)
    assert y[0, 0].item() == pytest.approx(20, abs=0.2)  # a code is 0.24
    y.sum().backward()
    torch.testing.assert_close(x.grad, torch.full((1, 4), 1.1), rtol=1e-5, atol=1e-5)


CLIPS = IOParameters(out_noise=0.0, out_bound=2.0, bound_management="none", inp_res=0.0, out_res=0.0)


def clipping(**mapping) -> AnalogLinear:
    """Two outputs of ten and one; the first is beyond the bound of 2 for inputs of one."""
    config = configured(TileConfig(Ideal(), CLIPS, IOParameters(is_perfect=True)), **mapping)
    return layer_of(config, torch.tensor([[1.0] * 10, [0.1] * 10]))


@pytest.mark.tile_conformance("T59")
@pytest.mark.parametrize(("masks", "gradient"), [(True, 0.1), (False, 1.1)])
def test_output_that_the_converter_clipped_passes_no_gradient(masks, gradient):
    """An input of 0.2 has the value y = 0.4 at the ADC's end, far below the bound of 2; aihwkit passes the gradient."""
    layer = clipping(mask_clipped_output_gradient=masks)
    x = torch.full((1, 10), 0.2, requires_grad=True)
    y = layer(x)
    torch.testing.assert_close(y.detach(), torch.tensor([[0.4, 0.2]]))
    y.sum().backward()
    torch.testing.assert_close(x.grad, torch.full((1, 10), gradient))
    waits = layer.weight.pending[0][1]
    torch.testing.assert_close(waits, torch.tensor([[0.0 if masks else 1.0, 1.0]]))


def test_mask_follows_the_last_round_of_managed_bounds():
    """Repeated with smaller inputs the first output is no longer clipped."""
    io = CLIPS.copy(bound_management="iterative")
    layer = layer_of(TileConfig(Ideal(), io, IOParameters(is_perfect=True)), torch.tensor([[1.0] * 10, [0.1] * 10]))
    x = torch.full((1, 10), 0.2, requires_grad=True)
    layer(x).sum().backward()
    torch.testing.assert_close(x.grad, torch.full((1, 10), 1.1))


@pytest.mark.parametrize(
    ("managed", "least", "expected"), [(True, 0.95, -0.5), (True, 0.4, 0.0), (False, 0.95, 0.0)]
)
def test_range_grows_where_too_many_outputs_are_clipped(managed, least, expected):
    """Half of the outputs are clipped: the gradient is -(1 - 0.5) r, r = 1, where that is below the least share."""
    io = CLIPS.copy(noise_management="none")
    config = ranged(
        TileConfig(Ideal(), io, IOParameters(is_perfect=True)),
        init_value=1.0, manage_output_clipping=managed, output_min_percentage=least,
    )  # fmt: skip
    layer = layer_of(config, torch.tensor([[1.0] * 10, [0.1] * 10]))
    layer(torch.full((1, 10), 0.5)).sum().backward()
    assert layer.input_range.grad.item() == pytest.approx(expected, abs=1e-6)


# -- calibration -----------------------------------------------------------------------------------------------


@pytest.mark.tile_conformance("T49")
@pytest.mark.parametrize(
    ("method", "expected", "within"),
    [
        ("max", 2.0, 0.01),
        ("moving_quantile", 2.0, 0.01),
        ("cache_quantile", 2.0, 0.01),
        ("moving_std", 3 * 2.1 / 12**0.5, 0.01),
    ],
)
def test_calibration_of_one_sided_inputs_finds_their_magnitude(method, expected, within):
    """Inputs U(-2, 0.1), seed 0, 5 batches of 4000. The largest of 1000 is 1 % short of 2 once in e^9.5 seeds; a
    standard deviation of 20 000 has a relative standard error of 0.32 % (kurtosis 1.8): 1 % is z = 3.2."""
    generator = torch.Generator().manual_seed(0)
    batches = [torch.empty(1000, 4).uniform_(-2.0, 0.1, generator=generator) for _ in range(5)]
    layer = layer_of(ranged(EXACT, init_from_data=7))
    found = calibrate(layer, batches, method)
    assert found[""].item() == layer.input_range.item() == pytest.approx(expected, rel=within)
    assert layer.input_range_batches.item() == 7


def test_calibration_sees_the_inputs_of_exact_products_and_leaves_the_rest():
    """The second layer's range is that of the exact outputs of the first, though its periphery is noisy."""
    config = ranged(configured(NOISY, max_input_size=5, weight_scaling_omega=0.5, learn_out_scaling=True))
    model = convert(nn.Sequential(nn.Linear(11, 9), nn.Tanh(), nn.Dropout(), nn.Linear(9, 3)), config).train()
    before, x = [t.state_dict()["steps"] for layer in (model[0], model[3]) for t in layer.tiles], randn(20, 11)
    found = calibrate(model, [(x,)])
    weight, _ = model[0].logical_weights()
    hidden = torch.tanh(x @ weight.T + model[0].bias)
    expected = torch.stack([part.abs().max() for part in hidden.split([5, 4], 1)])[None]
    torch.testing.assert_close(found["3"], expected.detach(), rtol=1e-5, atol=1e-6)
    assert [t.state_dict()["steps"] for layer in (model[0], model[3]) for t in layer.tiles] == before
    assert model[2].training
    assert model[0].watch is None


@pytest.mark.parametrize(
    ("call", "error", "named"),
    [
        (lambda m: calibrate(m, [X], "maximum"), ParameterError, r"calibrate.method = 'maximum': .*Did you mean"),
        (lambda m: calibrate(m, [X], quantile=2.0), ParameterError, r"calibrate.quantile = 2: is no share"),
        (lambda m: calibrate(m, []), ParameterError, r"calibrate.model, tile 0, 0 = 0 x: saw no input but zeros"),
        (lambda m: calibrate(layer_of(EXACT), [X]), StateError, r"calibrate.model: no layer has an input range"),
    ],
)
def test_calibration_that_cannot_be_is_refused(call, error, named):
    layer = layer_of(ranged(EXACT))
    with pytest.raises(error, match=named):
        call(layer)
    assert layer.input_range.item() == 3.0


# -- state -----------------------------------------------------------------------------------------------------


def noisy(seed: int, **ranges) -> nn.Module:
    return perceptron(ranged(configured(NOISY, max_input_size=5), **({"init_from_data": 3} | ranges)), seed)


@pytest.mark.parametrize("stop", [2, 4], ids=["while estimating", "while learning"])
def test_resumed_run_is_bit_equal(stop):
    whole, first, resumed = noisy(5), noisy(5), noisy(77)
    outputs = steps(whole, 0, 6)
    steps(first, 0, stop)
    load_state(resumed, through_a_file(first.state_dict()))
    for one, other in zip(steps(resumed, stop, 6 - stop), outputs[stop:], strict=True):
        assert torch.equal(one, other)
    for one, other in zip(layer_state(resumed), layer_state(whole), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("wrong", [{"init_value": 0.0}, {"range_gradient": "both"}, {"input_min_percentage": 1.5}])
def test_invalid_value_is_refused_by_name(wrong):
    with pytest.raises(ParameterError, match=rf"InputRangeParameters\.{next(iter(wrong))} = "):
        InputRangeParameters(**wrong)

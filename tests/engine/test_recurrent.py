# SPDX-License-Identifier: Apache-2.0
"""Recurrent layers and cells on tiles against torch's own.

Tolerance 1e-5: products of some ten terms in single precision, over up to seven steps and two layers.
"""

import copy

import pytest
import torch
from layer_cases import EXACT, NOISY, configured, layer_state, randn
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence

from engine.errors import ParameterError, ShapeError
from engine.nn import (
    AnalogGRU,
    AnalogGRUCell,
    AnalogLSTM,
    AnalogLSTMCell,
    AnalogRNN,
    AnalogRNNCell,
    analog_layers,
)
from engine.optim import AnalogSGD

LAYERS = {"rnn": (AnalogRNN, nn.RNN), "lstm": (AnalogLSTM, nn.LSTM), "gru": (AnalogGRU, nn.GRU)}
CELLS = {
    "rnn": (AnalogRNNCell, nn.RNNCell),
    "lstm": (AnalogLSTMCell, nn.LSTMCell),
    "gru": (AnalogGRUCell, nn.GRUCell),
}
KINDS = pytest.mark.parametrize("kind", LAYERS)


def copy_cell(cell: nn.Module, theirs: nn.Module, suffix: str = "") -> None:
    with torch.no_grad():
        for name in ("ih", "hh"):
            weight, bias = getattr(cell, name).logical_weights()
            getattr(theirs, f"weight_{name}{suffix}").copy_(weight)
            if bias is not None:
                getattr(theirs, f"bias_{name}{suffix}").copy_(bias)


def pair(kind: str, config=EXACT, **settings) -> tuple[nn.Module, nn.Module]:
    """Return an analog layer and torch's with the same weights."""
    analog, digital = LAYERS[kind]
    ours, theirs = analog(5, 6, config=config, seed=3, **settings), digital(5, 6, **settings)
    for name, cell in ours.cells.items():
        copy_cell(cell, theirs, f"_{name}")
    return ours, theirs


def flat(result) -> list[torch.Tensor]:
    if isinstance(result, torch.Tensor):
        return [result]
    return [t for part in result for t in flat(part)]


def both(ours: nn.Module, theirs: nn.Module, x: torch.Tensor, *more) -> list[list[torch.Tensor]]:
    """Return output, last states, and the input's gradient of each."""
    found = []
    for module in (ours, theirs):
        given = x.clone().requires_grad_()
        results = flat(module(given, *more))
        sum((r * randn(*r.shape, seed=9)).sum() for r in results).backward()
        found.append([*(r.detach() for r in results), given.grad])
    return found


def assert_close(found: list[list[torch.Tensor]]) -> None:
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.tile_conformance("T46")
@KINDS
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"num_layers": 2, "bidirectional": True},
        {"batch_first": True, "bias": False, "bidirectional": True},
        {"num_layers": 3, "batch_first": True},
    ],
    ids=str,
)
def test_perfect_layer_equals_torch_in_output_states_and_gradient(kind, settings):
    assert_close(both(*pair(kind, **settings), randn(4, 3, 5)))


@pytest.mark.tile_conformance("T46")
@KINDS
@pytest.mark.parametrize("mapping", [{"max_input_size": 4, "max_output_size": 5}, {"digital_bias": False}], ids=str)
def test_layer_on_other_tiles_equals_torch(kind, mapping):
    assert_close(both(*pair(kind, configured(EXACT, **mapping)), randn(7, 3, 5)))


@KINDS
def test_states_given_are_where_it_starts(kind):
    ours, theirs = pair(kind, num_layers=2, bidirectional=True)
    h = randn(4, 3, 6, seed=2)
    assert_close(both(ours, theirs, randn(7, 3, 5), (h, randn(4, 3, 6, seed=3)) if kind == "lstm" else h))


@KINDS
def test_sequence_without_a_batch_equals_torch(kind):
    ours, theirs = pair(kind, bidirectional=True)
    h = randn(2, 6, seed=2)
    assert_close(both(ours, theirs, randn(7, 5), (h, h) if kind == "lstm" else h))


def test_relu_layer_equals_torch():
    assert_close(both(*pair("rnn", nonlinearity="relu"), randn(7, 3, 5)))


@KINDS
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("enforce_sorted", [False, True])
def test_packed_sequences_equal_torch(kind, given, enforce_sorted):
    ours, theirs = pair(kind, num_layers=2, bidirectional=True)
    lengths = [7, 4, 4, 1] if enforce_sorted else [4, 1, 7, 4]
    sequences = [randn(n, 5, seed=n + k) for k, n in enumerate(lengths)]
    h = randn(4, 4, 6, seed=2)
    start = ((h, h) if kind == "lstm" else h) if given else None
    found = []
    for module in (ours, theirs):
        y, state = module(pack_sequence(sequences, enforce_sorted=enforce_sorted), start)
        padded, found_lengths = pad_packed_sequence(y)
        assert found_lengths.tolist() == lengths
        found.append([padded.detach(), *(s.detach() for s in flat(state))])
    assert_close(found)


def test_padding_of_packed_sequences_is_no_vector_on_the_tiles():
    layer, _ = pair("lstm", NOISY)
    packed = pack_padded_sequence(randn(7, 3, 5), [7, 4, 1])
    layer(packed)
    assert layer.l0.ih.tile.state_dict()["steps"]["forward"] == 12
    assert layer.l0.hh.tile.state_dict()["steps"]["forward"] == 12


@KINDS
def test_training_follows_torch_sgd(kind):
    """Five steps of 0.05 on ideal devices; 1e-4 after five updates over seven steps in single precision."""
    ours, theirs = pair(kind, num_layers=2)
    rules = AnalogSGD(ours.parameters(), 0.05), torch.optim.SGD(theirs.parameters(), 0.05)
    for k in range(5):
        outputs = []
        for module, rule in zip((ours, theirs), rules, strict=True):
            rule.zero_grad()
            y, _ = module(randn(7, 3, 5, seed=k))
            (y - randn(7, 3, 6, seed=50 + k)).square().mean().mul(10).backward()
            rule.step()
            outputs.append(y.detach())
        torch.testing.assert_close(*outputs, rtol=1e-4, atol=1e-4)


def test_updates_come_in_the_order_of_time_for_inputs_and_against_it_for_states():
    layer = AnalogRNN(5, 6, bias=False, config=NOISY, seed=3)
    ih, hh = (copy.deepcopy(core.tile) for core in (layer.l0.ih, layer.l0.hh))
    y, _ = layer(randn(3, 2, 5))
    y.backward(randn(3, 2, 6, seed=1))
    ((x, d),) = layer.l0.ih.weight.pending
    assert torch.equal(x, randn(3, 2, 5).reshape(6, 5))
    states = [p[0] for p in layer.l0.hh.weight.pending]
    assert torch.equal(torch.stack(states[::-1]), torch.cat([torch.zeros(1, 2, 6), y[:2].detach()]))
    deltas = torch.cat([p[1] for p in layer.l0.hh.weight.pending[::-1]])
    assert torch.equal(deltas, d)
    AnalogSGD(layer.parameters(), 0.05).step()
    ih.update(x, d, 0.05)
    for k in (2, 1, 0):
        hh.update(states[2 - k], d[2 * k : 2 * k + 2], 0.05)
    assert torch.equal(layer.l0.ih.tile.hidden, ih.hidden)
    assert torch.equal(layer.l0.hh.tile.hidden, hh.hidden)


def test_dropout_between_layers_acts_in_training_only():
    layer = AnalogLSTM(5, 6, num_layers=2, dropout=1.0, config=EXACT)
    zeroed = AnalogLSTM(5, 6, num_layers=2, dropout=0.0, config=EXACT)
    x = randn(7, 3, 5)
    assert torch.equal(layer.eval()(x)[0], zeroed.eval()(x)[0])
    cell, state, expected = layer.l1, torch.zeros(3, 12), []
    for _ in range(7):
        state = cell.step(cell.ih(torch.zeros(3, 6)), state)
        expected.append(state[:, :6])
    torch.testing.assert_close(layer.train()(x)[0], torch.stack(expected))


# -- cells -----------------------------------------------------------------------------------------------------


@pytest.mark.tile_conformance("T46")
@KINDS
@pytest.mark.parametrize("batch", [(), (3,)])
@pytest.mark.parametrize("given", [False, True])
def test_perfect_cell_equals_torch(kind, batch, given):
    analog, digital = CELLS[kind]
    ours, theirs = analog(5, 6, config=EXACT, seed=3), digital(5, 6)
    copy_cell(ours, theirs)
    h, c = randn(*batch, 6, seed=2), randn(*batch, 6, seed=3)
    assert_close(both(ours, theirs, randn(*batch, 5), *([(h, c) if kind == "lstm" else h] if given else [])))


# -- seeds, initial weights, refusals --------------------------------------------------------------------------


def test_every_product_has_its_own_seed_and_torch_s_initial_range():
    layer = AnalogLSTM(5, 100, num_layers=2, bidirectional=True, config=EXACT, seed=4)
    cores = analog_layers(layer)
    assert list(cores) == [f"l{k}{s}.{p}" for k in (0, 1) for s in ("", "_reverse") for p in ("ih", "hh")]
    assert len({core.tile.seed for core in cores.values()}) == 8
    for core in cores.values():
        weight, bias = core.logical_weights()
        assert 0.09 < weight.abs().max() <= 0.1
        assert 0.09 < bias.abs().max() <= 0.1
    again = AnalogLSTM(5, 100, num_layers=2, bidirectional=True, config=EXACT, seed=4)
    assert all(torch.equal(a, b) for a, b in zip(layer_state(layer), layer_state(again), strict=True))


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: AnalogLSTM(5, 6, proj_size=3, config=EXACT), r"AnalogLSTM.proj_size: outputs that are projected"),
        (lambda: AnalogLSTM(5, 6, num_layers=0, config=EXACT), r"AnalogLSTM.num_layers = 0: must be a whole number"),
        (lambda: AnalogGRU(5, 6, dropout=1.5, config=EXACT), r"AnalogGRU.dropout = 1.5: must be a probability"),
        (lambda: AnalogRNN(5, 6, nonlinearity="tan", config=EXACT), r"nonlinearity = 'tan'.*Did you mean 'tanh'"),
        (lambda: AnalogGRU(0, 6, config=EXACT), r"AnalogGRUCell.input_size = 0: must be a whole number"),
    ],
)
def test_invalid_argument_is_refused_by_name(make, named):
    with pytest.raises(ParameterError, match=named):
        make()


def test_input_and_states_that_do_not_fit_are_refused():
    layer = AnalogLSTM(5, 6, config=EXACT)
    with pytest.raises(ShapeError, match=r"AnalogLSTM, x: got shape \(5,\), expected \(time, batch, in=5\)"):
        layer(torch.zeros(5))
    with pytest.raises(ShapeError, match=r"expected 2 of \(layers \* directions=1, batch=3, hidden=6\)"):
        layer(torch.zeros(7, 3, 5), torch.zeros(1, 3, 6))
    with pytest.raises(ShapeError, match=r"AnalogGRUCell, hx: got \[\(2, 6\)\], expected 1 of \(batch=3, hidden=6\)"):
        AnalogGRUCell(5, 6, config=EXACT)(torch.zeros(3, 5), torch.zeros(2, 6))


def test_flatten_parameters_does_nothing():
    layer = AnalogLSTM(5, 6, config=EXACT)
    before = layer_state(layer)
    layer.flatten_parameters()
    assert all(torch.equal(a, b) for a, b in zip(layer_state(layer), before, strict=True))

# SPDX-License-Identifier: Apache-2.0
"""Networks on chips: what they compute, keep, forget and refuse."""

import copy
import io
import warnings

import pytest
import torch
from programmed_tiles import DAY, PERFECT, STANDARD, YEAR, stuck
from torch import nn

from engine.errors import ParameterError, StateError
from engine.inference import noise, program
from engine.inference.compensation.global_drift import GlobalCompensation
from engine.nn import AnalogLinear, convert
from engine.optim import AnalogSGD
from engine.tiles import InputRangeParameters, IOParameters, MappingParameters, TileConfig

MAPPED = MappingParameters(
    weight_scaling_omega=1.0, weight_scaling_columnwise=True, max_input_size=6, max_output_size=5
)
EXACT_DEVICES = {"prog_noise_scale": 0.0, "read_noise_scale": 0.0, "drift_scale": 0.0}


def config(forward: IOParameters = STANDARD, mapping: MappingParameters = MAPPED, **others) -> TileConfig:
    return TileConfig("idealized_symmetric", forward, PERFECT, mapping=mapping, **others)


def seeded(make, seed: int = 3) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make().eval()


def analog(make, forward: IOParameters = PERFECT, **others) -> nn.Module:
    from engine.devices.ideal import Ideal

    mapping = others.pop("mapping", MAPPED)
    return convert(seeded(make), TileConfig(Ideal(), forward, PERFECT, mapping=mapping, **others)).eval()


class LastState(nn.Module):
    """A recurrent layer along the first axis, as torch has it by default, and a linear one."""

    def __init__(self, kind: type):
        super().__init__()
        self.cells, self.head = kind(3, 7, num_layers=2), nn.Linear(7, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.cells(x.transpose(0, 1))[0][-1])


class Attended(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps = x.transpose(0, 1)  # (time, batch, features)
        return self.attention(steps, steps, steps)[0].transpose(0, 1)


NETWORKS = {
    "linear": (lambda: nn.Sequential(nn.Linear(8, 11), nn.Tanh(), nn.Linear(11, 3)), (4, 8)),
    "conv1d": (lambda: nn.Sequential(nn.Conv1d(2, 4, 3, groups=2), nn.ReLU(), nn.Conv1d(4, 3, 2)), (4, 2, 9)),
    "conv2d": (lambda: nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(),
                                     nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)), (4, 2, 5, 5)),
    "conv3d": (lambda: nn.Conv3d(2, 3, 2), (2, 2, 3, 3, 3)),
    "rnn": (lambda: LastState(nn.RNN), (4, 5, 3)),
    "lstm": (lambda: LastState(nn.LSTM), (4, 5, 3)),
    "gru": (lambda: LastState(nn.GRU), (4, 5, 3)),
    "attention": (Attended, (4, 5, 8)),
    "encoder": (lambda: nn.TransformerEncoderLayer(8, 2, 10, batch_first=True), (4, 5, 8)),
}  # fmt: skip


def inputs(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize(("make", "shape"), NETWORKS.values(), ids=NETWORKS.keys())
def test_exact_devices_give_the_models_own_outputs_on_every_chip(make, shape):
    """Split over several tiles, with mapping scales; 1e-5 is a few roundings of single precision."""
    model, x = analog(make), inputs(shape)
    chips = program(model, noise.get("pcm")(**EXACT_DEVICES), chips=3)
    with torch.no_grad():
        wanted = model(x)
    found = chips.drift_to(DAY)(x)
    assert chips.batched
    assert found.shape == (3, *wanted.shape)
    assert (found - wanted).abs().max() <= 1e-5 * wanted.abs().max()


@pytest.mark.inference_conformance("I17")
@pytest.mark.parametrize(("make", "shape"), NETWORKS.values(), ids=NETWORKS.keys())
def test_chips_together_give_the_bits_of_chips_one_by_one(make, shape):
    """With converters and noise: each chip has draws of its own."""
    chips, x = program(analog(make, STANDARD), chips=3, seed=2), inputs(shape)
    together = chips.drift_to(3600.0)(x)
    chips.batched = False
    assert torch.equal(chips.drift_to(3600.0)(x), together)
    assert not torch.equal(together[0], together[1])


@pytest.fixture(scope="module")
def perceptron() -> nn.Module:
    return analog(NETWORKS["linear"][0], STANDARD)


@pytest.mark.inference_conformance("I17")
def test_bits_do_not_depend_on_order_of_times_split_and_number_of_chips(perceptron):
    x = inputs((6, 8))
    chips = program(perceptron, chips=4, seed=1)
    later = chips.drift_to(YEAR)(x)
    first = chips.drift_to(1.0)(x)
    again = program(perceptron, chips=4, seed=1)
    assert torch.equal(again.drift_to(1.0)(x), first)
    assert torch.equal(again.drift_to(YEAR)(x), later)
    split = again.drift_to(YEAR)
    assert torch.equal(torch.cat([split(x[:2]), split(x[2:])], 1), later)
    assert torch.equal(program(perceptron, chips=2, seed=1).drift_to(YEAR)(x), later[:2])


@pytest.mark.inference_conformance("I17")
def test_bits_do_not_depend_on_threads():
    model = analog(lambda: nn.Linear(96, 80), STANDARD, mapping=MappingParameters(weight_scaling_omega=1.0))
    x, before, found = inputs((200, 96)), torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(program(model, chips=3).drift_to(DAY)(x))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_changing_the_compensation_changes_factors_alone(perceptron):
    chips = program(perceptron, chips=2).drift_to(YEAR)
    tile = next(iter(chips.tiles.values()))
    weights, alpha = tile.weights.clone(), tile.alpha.clone()
    chips.compensate("none")
    assert torch.equal(tile.weights, weights)
    assert tile.alpha.tolist() == [1.0]
    chips.compensate(GlobalCompensation(n_repeat=4))
    assert not torch.equal(tile.alpha, alpha)
    assert torch.equal(chips.compensate("global") and tile.alpha, alpha)
    assert torch.equal(
        program(perceptron, chips=2, compensation="none").drift_to(YEAR).tiles["0", 0, 0].weights, weights
    )


def test_another_programming_and_another_read_draw_anew(perceptron):
    chips = program(perceptron, chips=2)
    place = ("0", 0, 0)
    first = chips.drift_to(DAY).tiles[place].weights.clone()
    read = chips.drift_to(DAY, read_id=1).tiles[place].weights.clone()
    written = chips.program(1).drift_to(DAY).tiles[place].weights.clone()
    assert not torch.equal(first, read)
    assert not torch.equal(first, written)
    assert torch.equal(chips.program(0).drift_to(DAY).tiles[place].weights, first)


def test_input_ranges_and_learned_scales_are_the_layers(perceptron):
    ranges = InputRangeParameters(enable=True, init_from_data=0, init_value=2.0)
    mapping = MappingParameters(weight_scaling_omega=1.0, learn_out_scaling=True, digital_bias=False)
    model = analog(NETWORKS["linear"][0], PERFECT, mapping=mapping, input_range=ranges)
    with torch.no_grad():
        model[0].out_scaling.fill_(1.5)
        wanted = model(inputs((4, 8)))
    found = program(model, noise.get("pcm")(**EXACT_DEVICES), chips=2).drift_to(1.0)(inputs((4, 8)))
    assert (found - wanted).abs().max() <= 1e-5 * wanted.abs().max()


@pytest.mark.inference_conformance("I59")
def test_programming_again_takes_the_weights_as_they_are_now():
    layer = AnalogLinear(5, 4, config=config(PERFECT, MappingParameters()))
    chips = program(layer, noise.get("pcm")(**EXACT_DEVICES), chips=2)
    old = layer.weight.detach().clone()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chips.train()
    optimizer = AnalogSGD(layer.parameters(), lr=0.5)
    chips(torch.ones(3, 5)).pow(2).sum().backward()
    optimizer.step()
    new = layer.weight.detach().clone()
    assert not torch.equal(old, new)
    chips.program()
    assert (chips.tiles["", 0, 0].weights - new).abs().max() <= 1e-6


@pytest.mark.inference_conformance("I61")
def test_training_forgets_the_programming_with_one_warning(perceptron):
    chips, x = program(perceptron, chips=2), inputs((3, 8))
    chips.drift_to(DAY)
    with pytest.warns(UserWarning, match="programming is forgotten"):
        chips.train()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chips.train().eval()
        chips.train()
    assert chips.t is None
    assert chips(x).shape == (3, 3)  # the model's own, no chips, no factors
    with pytest.raises(StateError, match="nothing is programmed since train"):
        chips.drift_to(1.0)
    assert chips.program()(x).shape == (2, 3, 3)
    assert not chips.training


def test_the_models_own_weights_and_mode_stay(perceptron):
    model = copy.deepcopy(perceptron)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    chips = program(model, chips=2)
    model.train()
    chips.drift_to(YEAR)(inputs((3, 8)))
    assert model.training
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert model[0].programmed is None


@pytest.mark.inference_conformance("I62")
@pytest.mark.parametrize("model", ["pcm", "log_time_relaxation", "reram_cmo"])
def test_checkpoint_restores_state_and_future(model):
    network, x = analog(NETWORKS["linear"][0], STANDARD), inputs((4, 8))
    faults = stuck(p_high=0.05, repair=model != "reram_cmo")
    chips = program(network, noise.get(model)(prog_noise_scale=0.5), chips=3, seed=8, faults=faults).drift_to(3600.0)
    chips(x)
    kept = io.BytesIO()
    torch.save(chips.state_dict(), kept)
    kept.seek(0)
    other = program(analog(NETWORKS["linear"][0], STANDARD), chips=1)
    other.load_state_dict(torch.load(kept, weights_only=True))
    for place, tile in chips.tiles.items():
        assert torch.equal(other.tiles[place].weights, tile.weights)
        assert torch.equal(other.tiles[place].alpha, tile.alpha)
    assert other.t == 3600.0
    assert torch.equal(other(x), chips(x))  # the second call of both
    assert torch.equal(other.drift_to(DAY)(x), chips.drift_to(DAY)(x))


def test_checkpoint_of_another_model_is_refused(perceptron):
    state = program(analog(NETWORKS["conv1d"][0]), chips=1).get_extra_state()
    with pytest.raises(StateError, match="the model has"):
        program(perceptron, chips=1).set_extra_state(state)
    with pytest.raises(StateError, match="format = 'older'"):
        program(perceptron, chips=1).set_extra_state({"format": "older"})


class OneRow(nn.Module):
    """Writes into a tensor of its own, which cannot be batched over chips."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept = torch.zeros(len(x), 2)
        for k in range(len(x)):
            kept[k] = self.layer(x[k : k + 1])[0]
        return kept


def test_a_model_that_cannot_be_batched_runs_chip_by_chip():
    model, x = analog(OneRow), inputs((3, 4))
    chips = program(model, noise.get("pcm")(**EXACT_DEVICES), chips=2)
    found = chips(x)
    assert not chips.batched
    with torch.no_grad():
        assert (found - model(x)).abs().max() <= 1e-5
    assert all(count == 3 for tile in chips.tiles.values() for count in tile.vectors)


def test_a_models_own_error_is_not_mistaken():
    with pytest.raises(Exception, match="got shape"):
        program(analog(NETWORKS["linear"][0]), chips=2)(inputs((3, 5)))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: program(nn.Linear(2, 2)), r"program\.model = 'Linear': has no analog layer.*convert"),
        (lambda: program(AnalogLinear(2, 2, config=config()), chips=0), r"program\.chips = 0: must be a whole number"),
        (lambda: program(AnalogLinear(2, 2, config=config()), seed=-1), r"program\.seed = -1"),
        (lambda: program(AnalogLinear(2, 2, config=config()), compensation="globl"), r"Did you mean 'global'"),
        (lambda: program(AnalogLinear(2, 2, config=config()), faults=0.1), r"program\.faults = 0\.1"),
        (lambda: program(AnalogLinear(2, 2, config=config()), "reram_cmo", faults=stuck(p_low=0.1, repair=True)),
         r"Faults\.repair = True: SingleDevice has no pairs"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(make, said):
    with pytest.raises(ParameterError, match=said):
        make()

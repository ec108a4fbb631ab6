# SPDX-License-Identifier: Apache-2.0
"""Weight modifiers: formulas, sizes of their noise, draws, what is written."""

import json
import math

import pytest
import torch

from engine.errors import ParameterError
from engine.nn import modifiers
from engine.nn.modifiers import Draws, Modifier
from engine.nn.modifiers.add_normal import AddNormal
from engine.nn.modifiers.discretize import Discretize
from engine.nn.modifiers.discretize_add_normal import DiscretizeAddNormal
from engine.nn.modifiers.dorefa import Dorefa
from engine.nn.modifiers.drop_connect import DropConnect
from engine.nn.modifiers.mult_normal import MultNormal
from engine.nn.modifiers.pcm_noise import PcmNoise
from engine.nn.modifiers.poly import Poly
from engine.nn.modifiers.prog_noise import ProgNoise

PCM = (0.26348, 1.9650, -1.1731)  # uS
REPEATS = 50
# 50 draws of 64 x 64 weights are 2e5 numbers: a standard deviation has a relative error of 1/sqrt(2 N) = 0.16 %,
# five of which are 0.8 %.
LIMIT = 0.008


@pytest.fixture(scope="module")
def weights() -> torch.Tensor:
    """64 x 64 normal weights, the largest 0.8: the matrix that the peer was measured on, with other draws."""
    w = torch.randn(64, 64, generator=torch.Generator().manual_seed(3))
    return 0.8 * w / w.abs().max()


def errors(modifier: Modifier, w: torch.Tensor, repeats: int = REPEATS) -> torch.Tensor:
    return torch.stack([modifier.apply(w, Draws(11, k, tuple(w.shape))) - w for k in range(repeats)])


def rms(values: torch.Tensor) -> float:
    return values.double().square().mean().sqrt().item()


def polynomial(w: torch.Tensor, w_max: float) -> torch.Tensor:
    q = w.abs().double() / w_max
    return sum(c * q**k for k, c in enumerate(PCM)) / 25 * w_max


@pytest.mark.parametrize(
    ("modifier", "size"),
    [
        (AddNormal(std_dev=0.1), lambda w: torch.full_like(w, 0.08)),
        (AddNormal(std_dev=0.1, rel_to_actual_wmax=False), lambda w: torch.full_like(w, 0.1)),
        (AddNormal(std_dev=0.1, wmax_of="output"), lambda w: 0.1 * w.abs().amax(1, keepdim=True).expand_as(w)),
        (MultNormal(std_dev=0.1), lambda w: 0.1 * w.abs()),
        (MultNormal(std_dev=0.1, times_wmax=True), lambda w: 0.08 * w.abs()),
        (Poly(), lambda w: polynomial(w, 0.8)),
        (Poly(std_dev=3.0), lambda w: 3 * polynomial(w, 0.8)),
    ],
    ids=["add", "add of one", "add of each output", "mult", "mult of largest", "poly", "poly times three"],
)
def test_noise_has_the_size_of_the_formula(modifier, size, weights):
    """N = 2e5, seed 11, z 5; weights above 0.4 apart: fewer (about a tenth of all), 2.5 %."""
    found, expected = errors(modifier, weights), size(weights).double()
    assert rms(found) == pytest.approx(rms(expected), rel=LIMIT)
    large = weights.abs() > 0.4
    assert rms(found[:, large]) == pytest.approx(rms(expected[large]), rel=0.04)
    assert abs(found.double().mean().item()) < 5 * rms(expected) / math.sqrt(found.numel())


@pytest.mark.tile_conformance("T50")
@pytest.mark.parametrize(
    ("modifier", "expected"),
    [(AddNormal(std_dev=0.1), 0.05), (DiscretizeAddNormal(res=0.1, std_dev=0.05), 0.025)],
    ids=["add", "discretize and add"],
)
def test_noise_of_a_matrix_of_largest_weight_one_half(modifier, expected, weights):
    """Beside aihwkit's 0.04980 and 0.02490 (within 2 %); N = 2e5, seed 11, z 5."""
    w = weights * 0.5 / weights.abs().max()
    clean = Discretize(res=0.1).apply(w, Draws(11, 0, (64, 64))) if isinstance(modifier, DiscretizeAddNormal) else w
    assert rms(errors(modifier, w) + w - clean) == pytest.approx(expected, rel=LIMIT)


def test_programming_noise_keeps_signs_and_makes_zeros_positive(weights):
    """Large weights (whose sign noise cannot turn) have the polynomial's size; N = 50 x some 400, z 5: 2.5 %."""
    w = weights.clone()
    w[0] = 0.0
    found = errors(ProgNoise(), w) + w
    assert bool((found[:, 1:] * torch.sign(w[1:]) >= 0).all())
    assert bool((found[:, 0] >= 0).all())
    assert rms(found[:, 0]) == pytest.approx(PCM[0] / 25 * 0.8, rel=0.08)  # 3200 numbers, z 5: 6.3 %
    large = w.abs() > 0.3
    assert rms((found - w)[:, large]) == pytest.approx(rms(polynomial(w, 0.8)[large]), rel=0.025)


def test_discretize_gives_the_grid_with_halves_away_from_zero(weights):
    found = Discretize(res=0.1).apply(weights, Draws(0, 0, (64, 64)))
    v = weights.double() / 0.08
    torch.testing.assert_close(found.double(), 0.08 * torch.sign(v) * torch.floor(v.abs() + 0.5), atol=1e-7, rtol=0)
    halves = torch.tensor([[0.5, -0.5, 1.5, -2.5, 10.0]]) / 10
    expected = torch.tensor([[0.1, -0.1, 0.2, -0.3, 1.0]])
    torch.testing.assert_close(Discretize(res=0.1).apply(halves, Draws(0, 0, (1, 5))), expected)
    assert len(torch.linspace(-1, 1, 2001).mul(10).round().unique()) == 21  # what the peer counts at res 0.1
    torch.testing.assert_close(Discretize(res=10).apply(weights, Draws(0, 0, (64, 64))), found)


def test_stochastic_rounding_is_right_on_average():
    """10,000 draws of 0.025 between 0 and 0.1: mean within 5 x 0.0433/100."""
    w = torch.full((100, 101), 0.025)
    w[:, -1] = 1.0
    found = Discretize(res=0.1, sto_round=True).apply(w, Draws(1, 0, (100, 101)))[:, :-1]
    assert found.unique().tolist() == pytest.approx([0.0, 0.1])
    assert found.mean().item() == pytest.approx(0.025, abs=5 * 0.0433 / 100)


def test_discretized_noise_is_the_grid_and_noise(weights):
    grid = Discretize(res=0.25).apply(weights, Draws(11, 0, (64, 64)))
    found = errors(DiscretizeAddNormal(res=0.25, std_dev=0.05), weights) + weights - grid
    assert rms(found) == pytest.approx(0.04, rel=LIMIT)


def test_dorefa_follows_its_formula(weights):
    v = torch.tanh(weights.double()) * 0.6 / math.tanh(0.8) / 0.05
    expected = 0.05 * torch.sign(v) * torch.floor(v.abs() + 0.5)
    found = Dorefa(res=0.05).apply(weights, Draws(0, 0, (64, 64))).double()
    agree = (found - expected).abs() < 1e-6  # single precision may round a number next to a half the other way
    assert agree.double().mean() > 0.999


@pytest.mark.tile_conformance("T50")
def test_dropped_weights_have_their_share_and_the_rest_stays(weights):
    """1.6e5 weights at 0.2: 4 standard errors are 0.004, which is 2 % of it."""
    found = torch.stack([DropConnect(pdrop=0.2).apply(weights, Draws(2, k, (64, 64))) for k in range(40)])
    assert (found == 0).double().mean().item() == pytest.approx(0.2, abs=0.004)
    kept = found != 0
    assert torch.equal(found[kept], weights.expand_as(found)[kept])


@pytest.mark.parametrize(("r", "spread"), [(0.5, 0.0955), (1.0, 0.0561), (0.1, 0.2426)])
def test_pcm_noise_spreads_as_one_device_at_the_first_read(r, spread):
    """Spread of g/g_T at t = 0 as tabulated for one device (the peer's, N = 4e5); here 4e4: 2 %.

    For r = 0.1 too: magnitudes do not fold, 0.1 is four standard deviations of the noise away from zero.
    """
    w = torch.full((200, 201), r)
    w[:, -1] = 1.0
    found = PcmNoise().apply(w, Draws(5, 0, (200, 201)))[:, :-1] / r
    assert found.mean().item() == pytest.approx(1.0, abs=0.005)
    assert found.std().item() == pytest.approx(spread, rel=0.02)


def test_pcm_noise_drifts_by_its_spread_or_with_the_mean():
    """r = 0.5 at one year: mean drift leaves 0.500 of a device (0.002; here 4e4 devices with spread 0.08: 0.004)."""
    w = torch.full((200, 201), 0.5)
    w[:, -1] = 1.0
    year = {"pcm_t_inference": 365 * 86400.0}
    with_mean = PcmNoise(mean_drift=True, **year).apply(w, Draws(5, 0, (200, 201)))[:, :-1] / 0.5
    assert with_mean.mean().item() == pytest.approx(0.5001, abs=0.004)
    spread_only = PcmNoise(**year).apply(w, Draws(5, 0, (200, 201)))[:, :-1] / 0.5
    expected = math.exp(-0.008 * math.sqrt(2 / math.pi) * math.log1p(365 * 86400 / 20))  # first order in the exponent
    assert spread_only.mean().item() == pytest.approx(expected, abs=0.01)


def test_pcm_noise_sticks_devices_by_chance():
    """4e4 devices: shares within 5 standard errors, 0.007."""
    w = torch.full((200, 200), 0.5)
    reset = PcmNoise(std_dev=0.0, pcm_prob_at_reset=0.1).apply(w, Draws(5, 0, (200, 200)))
    assert (reset == 0).double().mean().item() == pytest.approx(0.1, abs=0.008)
    high = PcmNoise(std_dev=0.0, rel_to_actual_wmax=False, pcm_prob_at_gmax=0.1).apply(w, Draws(5, 0, (200, 200)))
    assert (high == 1).double().mean().item() == pytest.approx(0.05, abs=0.006)  # up; down is -0.5, of magnitude 0.5
    low = PcmNoise(std_dev=1.0, rel_to_actual_wmax=False, pcm_zero_thres=50.0).apply(w, Draws(5, 0, (200, 200)))
    assert bool((low == 0).all())


@pytest.mark.parametrize("name", modifiers.names())
def test_every_modifier_is_a_function_of_seed_step_and_weights(name, weights):
    modifier = modifiers.get(name)()
    kept = weights.clone()
    one, again, other = (modifier.apply(weights, Draws(7, step, (64, 64))) for step in (1, 1, 2))
    assert torch.equal(weights, kept)
    assert torch.equal(one, again)
    deterministic = name in ("copy", "discretize", "dorefa")
    assert torch.equal(one, other) == deterministic
    assert bool(torch.isfinite(modifier.apply(torch.zeros(3, 4), Draws(7, 0, (3, 4)))).all())


@pytest.mark.parametrize("name", modifiers.names())
def test_every_modifier_survives_json_and_names_its_sources(name):
    modifier = modifiers.get(name)(pdrop=0.125)
    assert Modifier.from_dict(json.loads(json.dumps(modifier.to_dict()))) == modifier
    assert modifier.title
    assert modifier.formula
    assert all(modifier.describe(field)["source"] and modifier.describe(field)["doc"] for field in modifier.fields())


def test_bias_column_stays_where_asked():
    w = torch.ones(5, 4)
    found = AddNormal(copy_last_column=True).apply(w, Draws(0, 0, (5, 4)), bias_line=True)
    assert torch.equal(found[:, -1], w[:, -1])
    assert not bool((found[:, :-1] == 1).any())


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: modifiers.get("add_normall"), r"modifier = 'add_normall'.*Did you mean 'add_normal'"),
        (lambda: AddNormal(std_dev=-1), r"AddNormal.std_dev = -1: is outside its bounds \(allowed: \[0, inf\)\)"),
        (lambda: Discretize(res=0), r"Discretize.res = 0: is outside its bounds"),
        (lambda: Modifier.from_dict({"modifier": "copy"}), r"Modifier.from_dict: this is no modifier"),
    ],
)
def test_wrong_modifiers_are_refused(make, text):
    with pytest.raises(ParameterError, match=text):
        make()

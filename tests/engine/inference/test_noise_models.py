# SPDX-License-Identifier: Apache-2.0
"""Formulas of the noise models, without draws."""

import math

import pytest
import torch
from programmed_tiles import DAY, GOLDEN, TIMES, devices, fixed_tile, programmed, recipe, relative_error

from engine.errors import ParameterError
from engine.inference import noise, program
from engine.inference.converters.single_pair import SinglePair
from engine.inference.noise.log_time_relaxation import LogTimeRelaxation
from engine.inference.noise.pcm import Pcm
from engine.inference.noise.reram_cmo import ReramCmo
from engine.inference.noise.reram_wan import ReramWan
from engine.inference.noise.sonos import Sonos
from engine.inference.noise.tabulated import Tabulated
from engine.nn import AnalogLinear
from engine.tiles import TileConfig

FORMULA = GOLDEN["formula"]
R = torch.tensor(FORMULA["r"])
CURVES = {"sigma_prog_uS": "programming_sigma", "nu_mean": "nu_mean", "nu_std": "nu_std", "Q": "read_share"}


@pytest.mark.parametrize(
    ("model", "key"),
    [
        pytest.param("pcm", "pcm", marks=pytest.mark.conformance("I5")),
        pytest.param("hermes_one", "hermes_1", marks=pytest.mark.conformance("I6")),
        pytest.param("hermes_two", "hermes_2", marks=pytest.mark.conformance("I6")),
    ],
)
@pytest.mark.parametrize(("column", "method"), CURVES.items())
def test_curve_equals_the_table(model, key, column, method):
    """To 1e-5: the table's six digits."""
    own = noise.get(model)()
    found = getattr(own, method)(R * own.g_max)
    assert found.tolist() == pytest.approx(FORMULA[key][column], rel=1e-5)


@pytest.mark.conformance("I7")
@pytest.mark.parametrize(("t", "key"), [(1.0, "1 s"), (DAY, "1 d"), (2 * DAY, "2 d")])
def test_reram_array_deviation_equals_the_table(t, key):
    table = FORMULA["reram_array_2d"]
    found = ReramWan().deviation(40 * torch.tensor(table["r"], dtype=torch.float32), t)
    assert found.tolist() == pytest.approx(table[key], abs=5.1e-5)  # four decimals


def test_reram_array_deviation_scales_with_g_max_and_lies_between_times():
    wide, narrow = ReramWan(), ReramWan(g_max=20.0)
    full = torch.tensor([1.0])
    assert narrow.deviation(20 * full, DAY) == pytest.approx(wide.deviation(40 * full, DAY).item() / 2)
    middle = wide.deviation(20 * full, math.sqrt(DAY)).item()  # half way in lg t
    assert middle == pytest.approx((wide.deviation(20 * full, 1.0) + wide.deviation(20 * full, DAY)).item() / 2)


@pytest.mark.conformance("I8")
@pytest.mark.parametrize("g", [9, 20, 50, 88])
def test_cmo_moments_equal_the_table(g):
    model, table = ReramCmo(), FORMULA["cmo_hfox"]
    for t, (mean, relaxation, read, total) in zip(table["t"], table[f"g{g}"], strict=True):
        moved = g + model.mean_shift(t)
        sigma = model.read_sigma(torch.tensor([moved]), t).item()
        found = [moved, model.relaxation(t), sigma, math.hypot(model.relaxation(t), sigma)]
        assert found == pytest.approx([mean, relaxation, read, total], abs=1e-4)


@pytest.mark.conformance("I9")
def test_sonos_moments_equal_the_table():
    model, table = Sonos(), FORMULA["crosssim"]["sonos"]
    current = torch.tensor(table["I_nA"], dtype=torch.float32)
    assert model.deviation(current, 0.0).tolist() == pytest.approx(table["sigma_t0"], abs=1e-3)
    assert model.deviation(current, 5 * DAY).tolist() == pytest.approx(table["sigma_5d"], abs=1e-3)
    assert model.mean_drift(current, DAY).tolist() == pytest.approx(table["drift_1d"], abs=1e-3)
    assert model.mean_drift(current, 5 * DAY).tolist() == pytest.approx(table["drift_5d"], abs=1e-3)
    assert model.read_sigma(current).tolist() == pytest.approx(table["read_sigma"], abs=1e-3)
    assert not model.mean_drift(current, 0.0).any()


@pytest.mark.conformance("I10")
@pytest.mark.parametrize(("name", "key"), [("pcm_joshi", "pcm_sigma"), ("rram_wan_second", "rram_1s_sigma")])
def test_crosssim_programming_errors_equal_the_table(name, key):
    table = FORMULA["crosssim"][key]
    found = noise.get(name)().programming_sigma(torch.tensor(table["G"], dtype=torch.float32))
    assert found.tolist() == pytest.approx(table["v"], abs=1e-4)


@pytest.mark.conformance("I10")
def test_hfo2_programming_error_is_the_published_line_and_reset_devices_have_none():
    found = noise.get("rram_milo")().programming_sigma(torch.tensor([0.0, 50.0, 225.0]))
    assert found.tolist() == pytest.approx([0.0, 4.326971, 2.733246], rel=1e-5)


@pytest.mark.conformance("I11")
def test_drift_factor_equals_the_table():
    found = [Pcm().drift_factor(0.05, t) for t in TIMES]
    assert found == pytest.approx([1, 0.99756, 0.77111, 0.65799, 0.55510, 0.48990], abs=1e-5)


@pytest.mark.conformance("I12")
def test_growth_of_the_read_noise_equals_the_table():
    found = [Pcm().read_growth(t) for t in TIMES]
    assert found == pytest.approx(list(FORMULA["pcm"]["sqrt_log"].values()), rel=1e-5)


@pytest.mark.conformance("I13")
@pytest.mark.parametrize("name", ["pcm", "hermes_one", "state_independent", "tabulated", "log_time_relaxation"])
def test_without_noise_and_drift_weights_stay(name):
    w, _ = fixed_tile()
    model = noise.get(name)(drift_scale=0.0, read_noise_scale=0.0, prog_noise_scale=0.0)
    tile = programmed(w, recipe(model), chips=2)
    for t in (0.0, 1.0, 1e5):
        tile.drift_to(t)
        assert (tile.weights - w).abs().max() <= 1e-6


@pytest.mark.conformance("I14")
def test_uniform_drift_is_a_factor_that_compensation_takes_back():
    """With one exponent for all: 1e-6 of the largest weight, single precision."""
    w, _ = fixed_tile()
    model = Pcm(prog_noise_scale=0.0, read_noise_scale=0.0, nu_mean_min=0.05, nu_mean_max=0.05, nu_std_min=0.0,
                nu_std_max=0.0)  # fmt: skip
    tile = programmed(w, recipe(model, strategy="ideal_readout"), chips=2)
    for t in TIMES:
        tile.drift_to(t)
        assert (tile.weights - w * model.drift_factor(0.05, t)).abs().max() <= 1e-6
        assert relative_error(tile).max() <= 1e-6


@pytest.mark.conformance("I15")
def test_programming_error_scales_with_g_max_unless_fixed():
    full = torch.tensor([10.0])
    assert Pcm(g_max=10.0).programming_sigma(full).item() == pytest.approx(0.42215, abs=5e-6)
    fixed = Pcm(g_max=10.0, scale_with_g_max=False).programming_sigma(full).item()
    assert fixed == pytest.approx(1.05538, rel=1e-6)
    reference = Pcm(g_max=10.0, prog_coeff_g_max_reference=50.0).programming_sigma(full).item()
    assert reference == pytest.approx(1.05538 / 5, rel=1e-6)


@pytest.mark.conformance("I16")
@pytest.mark.parametrize(
    ("model", "t", "said"),
    [
        (ReramWan(), 60 * DAY, r"t = 5184000 s: was not measured"),
        (ReramWan(), 0.5, r"t = 0.5 s: was not measured"),
        (Sonos(), 6 * DAY, r"t = 518400 s: was not measured"),
        (LogTimeRelaxation(), 2e5, r"t = 200000 s: lies behind the tables"),
        (Pcm(), -1.0, r"t = -1 s: is no time"),
        (Pcm(), float("nan"), r"is no time"),
    ],
)
def test_time_without_statistics_is_refused(model, t, said):
    tile = programmed(torch.eye(3), recipe(model), chips=1)
    with pytest.raises(ParameterError, match=said):
        tile.drift_to(t)


@pytest.mark.conformance("I16")
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Pcm(t_0=0.0), r"Pcm\.t_0 = 0.*s: is outside its bounds"),
        (lambda: ReramCmo(acceptance="0.02"), r"ReramCmo\.acceptance = '0.02': is not one of the options"),
        (lambda: recipe(Pcm(), SinglePair(g_max=40.0)), r"SinglePair\.g_max = 40 uS: differs from the noise model's"),
        (lambda: Tabulated(nu_std_lst=[0.1]), r"Tabulated\.nu_std_lst.*3, as g_lst"),
        (lambda: Tabulated(g_lst=[0.0, 30.0, 20.0]), r"Tabulated\.g_lst.*must increase"),
        (lambda: recipe(Tabulated(g_max=40.0)), r"Tabulated\.g_lst.*does not reach over"),
        (lambda: Pcm(states=1), r"Pcm\.states = 1: holds no weight"),
        (lambda: noise.get("pmc"), r"unknown.*Did you mean 'pcm'"),
        (lambda: noise.made(3, "program.noise"), r"program\.noise = 3: is no noise model"),
        (lambda: recipe(pair_state="together"), r"pair_state = 'together': is unknown"),
        (lambda: recipe(peer_compat=True), r"peer_compat = True: has no effect"),
    ],
)
def test_parts_that_do_not_fit_are_refused_by_name(make, said):
    with pytest.raises(ParameterError, match=said):
        make()


def test_times_beyond_a_measurement_are_taken_when_asked():
    for model, t in ((ReramWan(extrapolate=True), 60 * DAY), (Sonos(extrapolate=True), 6 * DAY)):
        tile = programmed(torch.eye(3), recipe(model), chips=1)
        tile.drift_to(t)
        assert tile.weights.isfinite().all()


def test_cmo_before_a_second_lies_between_programming_and_a_second():
    read, state = devices(ReramCmo(read_noise_scale=0.0), 50.0, count=1000)
    start, end = state["programmed"][0, 0, 0].double(), read(1.0)[0]
    assert read(0.25)[0].numpy() == pytest.approx((start + 0.25 * (end - start)).numpy(), abs=1e-4)


def test_conductances_are_written_to_states_where_there_are_few():
    w, _ = fixed_tile()
    tile = programmed(w, recipe(noise.get("power_law_retention")(states=5)), chips=1)
    levels = tile.state["programmed"].unique()
    assert levels.tolist() == pytest.approx([0, 6.25, 12.5, 18.75, 25])
    tile.drift_to(1e-10)
    largest = tile.weights.max().item() * 25
    assert largest == pytest.approx(25 * 100**-0.1, rel=1e-5)


@pytest.mark.parametrize("name", noise.names())
def test_every_model_runs_on_a_layer_and_tells_its_parameters(name):
    layer = AnalogLinear(6, 4, config=TileConfig("idealized_symmetric"))
    chips = program(layer, name, chips=2)
    outputs = [chips.drift_to(t)(torch.ones(3, 6)) for t in (0.0, 1.0, 3600.0)]
    assert all(y.shape == (2, 3, 4) and y.isfinite().all() for y in outputs)
    model = noise.get(name)
    assert model.title
    assert all(model.describe(field)["doc"].endswith(".") for field in model.fields())
    assert noise.made(model().to_dict(), "noise") == model()

# SPDX-License-Identifier: Apache-2.0
"""The first fit: exact data, noisy data, honest reservations, real files."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from itertools import product

import lmfit
import numpy as np
import pytest
from synthetic_ramps import Device, ramps

from engine import devices
from engine.errors import ParameterError
from explorer.fitting import Measured, MeasuredDataError, fit, guess, models, read_measured
from explorer.fitting.covariance import sensitivity
from explorer.fitting.noise import moments
from explorer.fitting.ramps import Ramp
from explorer.fitting.recursion import Shape, project
from explorer.fitting.stack import Stack
from explorer.fitting.trace import pulse_trace

CURRENT = {"unit": "A", "read_voltage_v": 0.1}
IDENTITY = {"w_lo": -1.0, "w_hi": 1.0, "g_lo": -1.0, "g_hi": 1.0}
SOFT = Device(dw_min=0.01, up_down=0.2, w_max=1.1, w_min=-0.9)
LINEAR = Device(dw_min=0.012, up_down=-0.15, w_max=1.0, w_min=-1.1, gamma_up=0.5, gamma_down=0.3)
EXACT = 1e-4
"""Relative error allowed on noise-free data: the limit set in the specification of the fitter (T43)."""

SEEDS = 25
Z_LIMIT = 4.5
"""Standard errors by which an estimate may miss; with about 40 degrees of freedom in the errors (6 ramps or
more) a correct fitter exceeds it once in 20 000 estimates."""


def identity(measured: Measured):
    """Normalise synthetic weights to themselves."""
    return measured.normalise(**IDENTITY)


def true_values(device: Device, model: str) -> dict[str, float]:
    return {name: getattr(device, name) for name in models.get(model).parameters}


# ------------------------------------------------------------------------------------------- exact data


@pytest.mark.conformance("T43")
@pytest.mark.parametrize("device", [SOFT, replace(SOFT, up_down=-0.4), replace(SOFT, up_down=0.0)])
@pytest.mark.parametrize("cycles", ["joint", "average"])
def test_soft_bounds_exact_data_are_recovered(device, cycles):
    result = fit(identity(ramps(device, 200, cycles=2)), "soft_bounds", cycles=cycles)
    for name, value in true_values(device, "soft_bounds").items():
        if cycles == "joint" or name in ("w_max", "w_min"):
            assert result.values[name] == pytest.approx(value, rel=EXACT, abs=EXACT * device.dw_min), name
    assert result.residual_rms < 1e-8
    assert result.r_squared > 1 - 1e-12
    assert result.values["dw_min_std"] == 0
    assert result.values["write_noise_std"] == 0


@pytest.mark.conformance("T43")
@pytest.mark.parametrize("factors", list(product([0.5, 2.0], repeat=3)))
def test_soft_bounds_from_starts_off_by_two_is_recovered(factors):
    start = {"dw_min": SOFT.dw_min * factors[0], "w_max": SOFT.w_max * factors[1], "w_min": SOFT.w_min * factors[2]}
    start["up_down"] = SOFT.up_down * factors[0]
    result = fit(identity(ramps(SOFT, 300)), "soft_bounds", start=start)
    for name, value in true_values(SOFT, "soft_bounds").items():
        assert result.values[name] == pytest.approx(value, rel=EXACT), name


@pytest.mark.conformance("T43")
@pytest.mark.parametrize("factors", list(product([0.5, 2.0], repeat=3)))
def test_linear_step_from_starts_off_by_two_is_recovered(factors):
    start = {name: value * factors[0] for name, value in true_values(LINEAR, "linear_step").items()}
    start |= {"w_max": LINEAR.w_max * factors[1], "gamma_up": LINEAR.gamma_up * factors[2]}
    result = fit(identity(ramps(LINEAR, 400)), "linear_step", start=start)
    for name, value in true_values(LINEAR, "linear_step").items():
        assert result.values[name] == pytest.approx(value, rel=EXACT), name
        assert result.parameters[name].determined, name


@pytest.mark.parametrize("gamma", [0.0, -0.6, 0.9])
def test_linear_step_constant_growing_and_shrinking_steps_are_recovered(gamma):
    device = replace(LINEAR, gamma_up=gamma, gamma_down=gamma)
    result = fit(identity(ramps(device, 400)), "linear_step")
    for name, value in true_values(device, "linear_step").items():
        assert result.values[name] == pytest.approx(value, rel=EXACT, abs=EXACT), name
    assert result.device_parameters()["allow_increasing"] == (gamma < -EXACT)


def test_linear_step_without_plateau_gives_steps_and_ratio_and_says_so():
    device = replace(LINEAR, dw_min=0.002)
    result = fit(identity(ramps(device, 300, start=-0.5)), "linear_step")
    assert result.values["dw_min"] == pytest.approx(device.dw_min, rel=EXACT)
    ratio = result.values["gamma_up"] / result.values["w_max"]
    assert ratio == pytest.approx(device.gamma_up / device.w_max, rel=EXACT)
    assert math.isnan(result.parameters["w_max"].stderr)
    assert not result.parameters["w_max"].determined
    assert sum("is not determined: no plateau was reached" in note for note in result.notes) == 2


def test_several_pulses_per_reading_scale_the_step():
    result = fit(identity(ramps(SOFT, 300, pulses_per_reading=5)), "soft_bounds")
    for name, value in true_values(SOFT, "soft_bounds").items():
        assert result.values[name] == pytest.approx(value, rel=EXACT), name


def test_fit_of_conductances_equals_fit_of_weights():
    weights = ramps(SOFT, 200)
    siemens = Measured(tuple(t.with_values(70e-6 + 50e-6 * t.value) for t in weights.traces), "S", "siemens")
    result = fit(siemens.normalise(g_lo=20e-6, g_hi=120e-6))
    expected = fit(identity(weights))
    for name in ("dw_min", "up_down", "w_max", "w_min"):
        assert result.values[name] == pytest.approx(expected.values[name], rel=1e-8)  # rounding of the map
    assert result.in_reading_units() == {"dw_min": "500 nS", "w_max": "125 uS", "w_min": "25 uS"}


@pytest.mark.parametrize(("model", "device"), [("soft_bounds", SOFT), ("linear_step", LINEAR)])
def test_guess_on_exact_data_is_close(model, device):
    found = guess(identity(ramps(device, 150, start=-0.5)), model)
    assert found["dw_min"] == pytest.approx(device.dw_min, rel=0.1)
    assert found["up_down"] == pytest.approx(device.up_down, abs=0.1)


# ------------------------------------------------------------------------------- agreement with the engine


@pytest.mark.parametrize(("model", "device"), [("soft_bounds", SOFT), ("linear_step", LINEAR)])
def test_device_parameters_build_the_engine_device_with_the_same_step(model, device):
    result = fit(identity(ramps(device, 400)), model)
    built = devices.get(model)(**result.device_parameters())
    w = np.linspace(-0.8, 0.8, 9)
    for direction in (1, -1):
        # the engine returns the size of a step; single precision there, a fit to EXACT here
        expected = [abs(device.step(x, direction)) for x in w]
        np.testing.assert_allclose(np.abs(built.step(w, direction)), expected, rtol=2 * EXACT)
    assert built.dw_min_dtod == built.w_max_dtod == built.w_min_dtod == built.up_down_dtod == 0


@pytest.mark.parametrize("model", models.names())
def test_every_model_names_parameters_its_device_has(model):
    known = set(devices.get(model).fields())
    result = fit(identity(ramps(LINEAR, 200)), model)
    assert {*result.device_parameters()} <= known
    for name in models.get(model).parameters:
        assert devices.get(model).describe(name)["unit"] == models.get(model).parameters[name][0], name


def test_device_parameters_away_from_zero_are_refused_with_remedy():
    shifted = ramps(replace(LINEAR, w_min=-1.0), 300).normalise(w_lo=0.5, w_hi=1.5, g_lo=-1.0, g_hi=1.0)
    with pytest.raises(MeasuredDataError, match=r"linear_step.w_min = 0\.[45].*normalise\(-1, 1\)"):
        fit(shifted, "linear_step").device_parameters()


@pytest.mark.parametrize("up_down", [-0.3, 0.0, 0.3])
@pytest.mark.parametrize("model", models.names())
def test_shapes_follow_the_one_sided_rule_and_have_an_inverse(model, up_down):
    device = replace(LINEAR, up_down=up_down)
    if model == "soft_bounds":
        device = replace(device, gamma_up=1.0, gamma_down=1.0)
    values, chosen = true_values(device, model), models.get(model)
    up, down = chosen.shapes(values)
    for w in (-0.4, 0.0, 0.7):
        assert up.step(w) == pytest.approx(device.step(w, 1), rel=1e-12)
        assert down.step(-w) == pytest.approx(-device.step(w, -1), rel=1e-12)  # mirrored coordinates
    assert chosen.device_values(up, down) == pytest.approx(values, rel=1e-12, abs=1e-12)


def test_curve_follows_the_recursion():
    shape = Shape(0.02, -0.03, 0.4)
    w, expected = -0.5, [-0.5]
    for _ in range(80):
        w = min(w + 0.02 - 0.03 * w, 0.4)
        expected.append(w)
    np.testing.assert_allclose(shape.curve(np.arange(81), -0.5), expected, rtol=1e-12)  # 80 roundings
    np.testing.assert_allclose(Shape(0.02, 0.0).curve(np.arange(5), -0.5), -0.5 + 0.02 * np.arange(5))


# ------------------------------------------------------------------------------------------- noisy data


def z_scores(model: str, device: Device, n_pulses: int, cycles: int, how: str = "joint") -> dict[str, np.ndarray]:
    """Return (estimate - truth) / standard error of every parameter over `SEEDS` simulations."""
    scores: dict[str, list[float]] = {}
    names = [*models.get(model).parameters, "dw_min_std", "write_noise_std"]
    for seed in range(SEEDS):
        result = fit(identity(ramps(device, n_pulses, cycles=cycles, seed=seed)), model, cycles=how)
        for name in names:
            estimate = result.parameters[name]
            scores.setdefault(name, []).append((estimate.value - getattr(device, name)) / estimate.stderr)
    return {name: np.array(z) for name, z in scores.items()}


@pytest.mark.parametrize(
    ("model", "device", "n_pulses", "cycles", "how"),
    [
        ("soft_bounds", SOFT.noisy(1.0, 4.0), 200, 6, "joint"),
        ("soft_bounds", SOFT.noisy(1.0, 4.0), 200, 6, "average"),
        ("linear_step", LINEAR.noisy(0.3, 1.0), 280, 6, "joint"),
    ],
)
def test_noisy_data_errors_are_honest(model, device, n_pulses, cycles, how):
    """Seeds 0..24, one simulated device each: no estimate misses by more than 4.5 of its standard errors.

    The spread of the scores, 1 if the errors are right, must lie in 0.5 .. 1.6: with 25 samples its own
    standard error is 0.14, and the errors are first-order ones of a nonlinear fit with estimated noise.
    """
    for name, z in z_scores(model, device, n_pulses, cycles, how).items():
        assert np.isfinite(z).all(), name
        assert np.abs(z).max() < Z_LIMIT, (name, np.abs(z).max())
        assert 0.5 < z.std() < 1.6, (name, z.std())
        assert abs(z.mean()) < Z_LIMIT * 1.6 / math.sqrt(SEEDS), (name, z.mean())


def test_moments_are_unbiased():
    """Seeds 0..399, one up ramp of 60 pulses each: means within 4.5 standard errors of the true variances.

    Short ramps: there the trend takes away so many degrees of freedom that a missing correction shows.
    """
    device = replace(SOFT, up_down=0.0, w_max=1e3, w_min=-1e3).noisy(1.0, 0.3)
    shape = Shape(device.dw_min, -device.dw_min / device.w_max)
    found = []
    for seed in range(400):
        value = ramps(device, 60, start=0.0, seed=seed).traces[0].value[:60]
        stack = Stack(1, (Ramp("1", 1, 1, np.arange(1, 61), value),))
        found.append(moments(stack, shape, project(shape, stack)))
    for name, truth in (("step_var", device.dw_min**2), ("read_var", (0.3 * device.dw_min) ** 2)):
        values = np.array([getattr(noise, name) for noise in found])
        assert abs(values.mean() - truth) < Z_LIMIT * values.std() / math.sqrt(400), name
        errors = np.array([getattr(noise, name + "_se") for noise in found])
        # the errors are right on average; a quarter covers what 60 readings leave uncertain about them
        assert math.sqrt((errors**2).mean()) == pytest.approx(values.std(), rel=0.25), name


def test_linear_step_ramps_that_end_at_different_heights_get_no_bound():
    """Seeds 0..9: noisy ramps that never reach a bound; a bound at the higher ends would fit a little better."""
    device = replace(LINEAR, dw_min=0.01, up_down=0.0, w_max=9.0, w_min=-9.0, gamma_up=0.0, gamma_down=0.0)
    for seed in range(10):
        result = fit(identity(ramps(device.noisy(1.5, 0.3), 120, cycles=6, start=-0.6, seed=seed)), "linear_step")
        assert not result.parameters["w_max"].determined, seed
        assert not result.parameters["w_min"].determined, seed


def test_covariance_without_step_noise_is_that_of_lmfit():
    """Independent check: the same curve fitted by lmfit with the starting point as a third parameter."""
    measured = ramps(SOFT.noisy(0.0, 5.0), 400, seed=3)
    solution = fit(identity(measured), "soft_bounds").solutions[1]
    up = measured.traces[0].value[:400]
    n = np.arange(1, 401)

    def residual(p):
        shape = Shape(p["step0"].value, p["slope"].value)
        return up - shape.curve(n, p["w0"].value)

    parameters = lmfit.create_params(step0=0.012, slope=-0.01, w0=-0.9)
    expected = lmfit.minimize(residual, parameters, method="leastsq")
    reach = sensitivity(solution.form, solution.free, solution.stack, solution.fitted)
    ours = reach.covariance(read_var=solution.sum_of_squares / reach.n_free, relative_var=0.0)
    np.testing.assert_allclose(solution.free, [expected.params[k].value for k in ("step0", "slope")], rtol=1e-5)
    np.testing.assert_allclose(ours, expected.covar[:2, :2], rtol=1e-3)  # both by finite differences


def test_step_noise_widens_the_errors_beyond_plain_least_squares():
    quiet = fit(identity(ramps(SOFT.noisy(0.0, 2.0), 300, cycles=3, seed=5)))
    loud = fit(identity(ramps(SOFT.noisy(2.0, 2.0), 300, cycles=3, seed=5)))
    assert loud.parameters["dw_min"].stderr > 3 * quiet.parameters["dw_min"].stderr


def test_average_of_many_cycles_agrees_with_joint_fit():
    data = identity(ramps(SOFT.noisy(0.5, 2.0), 200, cycles=6, seed=1))
    joint, mean = fit(data, cycles="joint"), fit(data, cycles="average")
    assert mean.n_ramps == 2
    assert joint.n_ramps == 12
    for name in ("dw_min", "w_max", "w_min"):
        limit = Z_LIMIT * joint.parameters[name].stderr
        assert abs(joint.values[name] - mean.values[name]) < limit, name


# ----------------------------------------------------------------------------------- honest reservations


def test_straight_ramps_leave_soft_bounds_undetermined():
    straight = replace(SOFT, dw_min=0.001, w_max=50.0, w_min=-50.0)
    result = fit(identity(ramps(straight, 100, start=-0.05)), "soft_bounds")
    for name in ("w_max", "w_min"):
        assert not result.parameters[name].determined
        assert math.isnan(result.parameters[name].stderr)
    assert any("w_max is at its limit" in note for note in result.notes)
    assert result.values["dw_min"] == pytest.approx(0.001, rel=0.01)  # a bound ten ranges away bends it little


def test_bound_with_an_error_above_its_value_is_called_undetermined():
    """Seeds 0..19, ramps over a tenth of the way to the bound in strong noise: the note appears at least once."""
    device = replace(SOFT, dw_min=0.002, up_down=0.0, w_max=1.0, w_min=-1.0).noisy(0.0, 20.0)
    notes = [n for seed in range(20) for n in fit(identity(ramps(device, 150, start=0.0, seed=seed))).notes]
    assert any("is not determined: its standard error" in n and "exceeds the value" in n for n in notes)


def test_wrong_shape_is_called_so():
    growing = replace(LINEAR, gamma_up=-0.6, gamma_down=-0.6).noisy(0.1, 0.1)
    result = fit(identity(ramps(growing, 300, cycles=2, seed=2)), "soft_bounds")
    assert any("the curves miss the data" in note for note in result.notes)
    assert not any(
        "miss the data" in n for n in fit(identity(ramps(growing, 300, cycles=2, seed=2)), "linear_step").notes
    )


def test_one_direction_only_mirrors_and_says_so():
    whole = ramps(SOFT, 200)
    up = whole.traces[0]
    only = Measured((pulse_trace("1", 1, up.direction[:200], up.value[:200]),), "1", "up only")
    result = fit(identity(only))
    assert result.values["w_max"] == pytest.approx(SOFT.w_max, rel=EXACT)
    assert result.values["w_min"] == pytest.approx(-SOFT.w_max, rel=EXACT)
    assert result.values["up_down"] == 0
    assert not result.parameters["w_min"].determined
    assert not result.parameters["up_down"].determined
    assert result.notes == ("no down ramp was measured; down pulses are taken as the mirror image of the others",)
    assert [*result.curve()] == ["up"]


def test_stuck_traces_short_ramps_and_many_devices_are_named():
    good, other = ramps(SOFT, 50), ramps(SOFT, 50, device_id="2")
    stuck = pulse_trace("3", 1, np.ones(9), np.full(9, 0.4))
    alternating = pulse_trace("4", 1, np.array([1, -1] * 5), 0.1 * np.array([1, 0] * 5))
    result = fit(identity(Measured((*good.traces, *other.traces, stuck, alternating), "1", "mixed")))
    assert "1 stuck traces were left out" in result.notes
    assert "10 ramps with fewer than 3 readings were left out" in result.notes
    assert any(note.startswith("4 devices were fitted as one") for note in result.notes)
    assert result.values["w_max"] == pytest.approx(SOFT.w_max, rel=EXACT)


def test_slow_reading_noise_is_not_taken_for_step_noise():
    """Seed 4: telegraph noise on every reading, no step noise; dw_min_std must stay far below what neighbours say."""
    rng = np.random.default_rng(4)
    clean = ramps(SOFT, 400, cycles=3)
    traces = []
    for trace in clean.traces:
        level = np.cumsum(rng.random(len(trace)) < 0.15) % 2
        traces.append(trace.with_values(trace.value + 0.1 * (level - 0.5)))
    result = fit(identity(Measured(tuple(traces), "1", "telegraph")))
    assert any("slow reading noise" in note for note in result.notes)
    assert result.values["dw_min_std"] < 2.0


# ------------------------------------------------------------------------------------------------ refused


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"model": "soft_bound"}, "fit model = 'soft_bound'.*Did you mean 'soft_bounds'"),
        ({"cycles": "mean"}, "fit cycles = 'mean'.*joint, average"),
        ({"start": {"dwmin": 0.1}}, "fit start = 'dwmin'.*Did you mean 'dw_min'"),
        ({"start": {"dw_min": -0.1}}, "fit start dw_min = -0.1: is out of range .allowed: > 0"),
        ({"start": {"w_min": 0.1}}, "fit start w_min = 0.1: is out of range .allowed: < 0"),
        ({"start": {"up_down": 1.0}}, "fit start up_down = 1: is out of range"),
        ({"start": {"w_max": float("nan")}}, "fit start w_max = nan: must be finite"),
    ],
)
def test_bad_option_is_refused(options, part):
    with pytest.raises(MeasuredDataError, match=part):
        fit(identity(ramps(SOFT, 50)), **options)


def test_alternating_pulses_cannot_be_fitted():
    value = 0.1 * np.array([1, 0] * 20) + 0.001 * np.arange(40)
    measured = Measured((pulse_trace("1", 1, np.array([1, -1] * 20), value),), "1", "alternating")
    with pytest.raises(MeasuredDataError, match="no stretch of pulses in one direction is long enough"):
        fit(measured)


def test_average_of_ramps_without_common_pulse_counts_is_refused():
    sparse = [pulse_trace(str(k), 1, np.ones(4), 0.1 * np.arange(4)) for k in (1, 7)]
    traces = [replace(t, n_pulses=np.full(4, int(t.device_id))) for t in sparse]
    measured = identity(Measured(tuple(traces), "1", "sparse"))
    with pytest.raises(MeasuredDataError, match="up ramps have too few pulse counts in common"):
        fit(measured, cycles="average")
    assert fit(measured).n_ramps == 2


def test_inverted_polarity_is_refused_with_remedy():
    whole = ramps(SOFT, 100).traces[0]
    inverted = Measured((pulse_trace("1", 1, -whole.direction, whole.value),), "1", "inverted")
    with pytest.raises(MeasuredDataError, match=r"up pulses do not move the reading up.*swap \+1 and -1"):
        fit(identity(inverted))


# ------------------------------------------------------------------------------------------- the result


def test_result_curves_lie_on_exact_data():
    measured = ramps(SOFT, 100)
    result = fit(identity(measured))
    up = result.curve()["up"]
    np.testing.assert_array_equal(up.pulses, np.arange(101))
    np.testing.assert_allclose(up.weight[1:], measured.traces[0].value[:100], atol=1e-8)  # fitted to residual_rms
    np.testing.assert_allclose(up.value, up.weight, rtol=1e-12)
    device_id, cycle, pulses, weight = result.ramp_curves()[1]
    assert (device_id, cycle, pulses[-1]) == ("1", 1, 100)
    np.testing.assert_allclose(weight, measured.traces[0].value[100:], atol=1e-8)


def test_result_report_and_json_hold_every_parameter_and_note():
    result = fit(identity(ramps(replace(LINEAR, dw_min=0.002), 200, start=-0.5)), "linear_step")
    report = result.report()
    for name in result.parameters:
        assert f"  {name} = " in report
    for note in result.notes:
        assert note in report
    assert " w" in next(line for line in report.split("\n") if "dw_min =" in line)
    stored = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert {row["name"] for row in stored["parameters"]} == {*result.parameters}
    assert next(row["stderr"] for row in stored["parameters"] if row["name"] == "w_max") is None


def test_fit_twice_gives_the_same_bits():
    data = identity(ramps(SOFT.noisy(1.0, 2.0), 100, seed=9))
    first, second = fit(data), fit(data)
    assert asdict(first.parameters["w_max"]) == asdict(second.parameters["w_max"])


# -------------------------------------------------------------------------------------------- real files


def test_real_reram_trace_gives_small_steps_and_admits_what_it_cannot_tell(measured_data):
    result = fit(read_measured(measured_data / "aihwkit_reram_pulse_response.csv"))
    assert result.n_readings == 2000
    # 1000 pulses cross a range of about 2, so the mean step is near 0.002
    assert 0.001 < result.values["dw_min"] < 0.006
    assert not result.parameters["w_max"].determined
    # reading noise of that trace is about 0.11 in its own unit, and 2 weights are 1.9 of them
    noise = result.values["write_noise_std"] * result.values["dw_min"]
    assert noise == pytest.approx(0.11 * result.normalised.slope, rel=0.15)
    assert 0.15 < result.residual_rms < 0.22


def test_real_ramps_prefer_linear_steps_and_show_growing_up_steps(measured_data):
    sets = read_measured(measured_data / "crosssim_set.csv", **CURRENT)
    data = sets.merge(read_measured(measured_data / "crosssim_reset.csv", **CURRENT))
    linear, soft = fit(data, "linear_step"), fit(data, "soft_bounds")
    assert linear.n_ramps == 79
    assert linear.residual_rms < 0.25 * soft.residual_rms
    assert any("the curves miss the data" in note for note in soft.notes)
    # up steps grow along the ramp (1.4 to 6.5 uS), so gamma_up is negative and the device must allow it
    assert linear.values["gamma_up"] < -0.3
    parameters = linear.device_parameters()
    assert parameters["allow_increasing"] is True
    # step noise of a pulse 0.55 to 0.6 uS of steps around 5 uS
    assert 0.08 < linear.values["dw_min_std"] < 0.2
    step = linear.values["dw_min"] / linear.normalised.slope
    assert 4e-6 < step < 7e-6
    try:
        devices.get("linear_step")(**parameters)
    except ParameterError as error:
        pytest.fail(str(error))

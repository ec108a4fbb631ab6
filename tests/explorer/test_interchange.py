# SPDX-License-Identifier: Apache-2.0
"""Devices to and from aihwkit, CrossSim and NeuroSim: round trips, and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from engine import devices, presets
from engine.devices.lookup_table import LookupTable
from engine.errors import ParameterError
from explorer.interchange import aihwkit, crosssim, neurosim

PRINTED = json.loads((Path(__file__).parents[1] / "data" / "peer" / "aihwkit_printed.json").read_text())["printed"]
"""What aihwkit 1.2.0 prints of the devices that our code made there."""

EXTRA = {
    "drifting": devices.get("constant_step")(up_down=0.1, drift_nu=0.05, drift_t_0=2.0),
    "pmax": devices.get("soft_bounds_pmax")(p_max=500, alpha=0.002, peer_compat=True),
    "piecewise": devices.get("piecewise_step")(piecewise_up=[1.0, 2.0, 0.5], piecewise_down=[0.5, 1.0, 1.0]),
    "linear": devices.get("linear_step")(gamma_up=0.3, mult_noise=False),
}


def device_of(name: str):
    return EXTRA[name] if name in EXTRA else presets.load(name)


def same(a, b) -> bool:
    """Whether two devices agree in everything but ``peer_compat``."""
    left, right = ({n: v for n, v in d.values().items() if n != "peer_compat"} for d in (a, b))
    return type(a) is type(b) and left == right


# ---------------------------------------------------------------------------------------------------- aihwkit


@pytest.mark.parametrize("name", PRINTED)
def test_device_that_aihwkit_made_of_our_code_reads_back_the_same(name):
    assert same(aihwkit.read(PRINTED[name]).device, device_of(name))


@pytest.mark.parametrize("name", presets.names())
def test_exported_code_reads_back_the_same_without_aihwkit(name):
    text = aihwkit.export(presets.load(name)).text
    assert same(aihwkit.read(text).device, presets.load(name))


def test_dictionary_form_reads_with_its_drift():
    values = {"class": "SoftBoundsDevice", "dw_min": 0.01, "w_max": 1, "drift": {"nu": 0.1}, "construction_seed": 3}
    found = aihwkit.read(values)
    assert (found.device.dw_min, found.device.w_max, found.device.drift_nu) == (0.01, 1.0, 0.1)
    assert "construction_seed" in found.notes[0]


def test_curve_device_is_written_as_the_soft_bounds_that_follow_it():
    curve = devices.get("soft_bounds_pmax")()
    exported = aihwkit.export(curve)
    device = aihwkit.read(exported.text).device
    assert device.stem() == "soft_bounds"
    assert device.w_max == curve.soft_bounds()["w_max"]
    assert "misses it" in exported.notes[0]


def test_curve_device_of_aihwkit_behaves_as_it_does_there():
    found = aihwkit.read("SoftBoundsPmaxDevice()")
    assert found.device.peer_compat
    assert "peer_compat is on" in found.notes[0]


def test_lookup_table_is_written_as_piecewise_with_the_same_mean_steps():
    table = LookupTable(mean_up=[0.02, 0.01, 0.005], mean_down=[0.004, 0.01, 0.02], spread_up=[0.002, 0.001, 0.0005],
                        spread_down=[0.0004, 0.001, 0.002], w_min=-1, w_max=1)  # fmt: skip
    device = aihwkit.read(aihwkit.export(table).text).device
    assert device.dw_min_std == pytest.approx(0.1)
    for w in (-1.0, -0.3, 0.5):
        for d in (1, -1):
            # single precision of the engine, twice rounded: 1e-6
            assert float(device.step(w, d)) == pytest.approx(float(table.step(w, d)), rel=1e-6)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("SoftBoundsDevice(dw_min=__import__('os').getpid())", "no plain value for 'dw_min'"),
        ("SoftBoundsDevice(**{'dw_min': 1})", "from elsewhere"),
        ("SoftBoundsDevice(0.1)", "without a name"),
        ("SoftBoundsDevice(dw_min=", "cannot be parsed"),
        ("ReRamESPresetDevice()", "'ReRamESPresetDevice'"),
        ("x = 1", "makes no device"),
        ("SoftBoundDevice(dw_min=0.1)", "Did you mean 'SoftBoundsDevice'"),
        ("SoftBoundsDevice(dw_mni=0.1)", "dw_min"),
        ("SoftBoundsDevice(dw_min=-0.1)", "dw_min"),
        ("(" * 50_000, "cannot be parsed"),
        ("#" * 100_001, "is too long"),
        ({"dw_min": 0.1}, "does not name its class"),
    ],
)
def test_what_is_no_device_is_refused(text, part):
    with pytest.raises(ParameterError, match=part.replace("(", r"\(")):
        aihwkit.read(text)


def test_name_that_python_cannot_take_is_refused():
    with pytest.raises(ParameterError, match="is no Python name"):
        aihwkit.export(presets.load("ecram_li_2018"), "my device")


# --------------------------------------------------------------------------------------------------- CrossSim


def table() -> LookupTable:
    x = np.linspace(0, 1, 30)
    return LookupTable(
        w_min=-1, w_max=1, mean_up=(0.002 + 0.01 * x).tolist(), mean_down=(0.008 - 0.004 * x).tolist(),
        spread_up=(0.001 + 0.001 * x).tolist(), spread_down=(0.002 + 0 * x).tolist(),
    )  # fmt: skip


def test_lookup_tables_of_crosssim_survive_a_round_trip():
    """Ten digits are written: 1e-8 relative."""
    files = crosssim.export(table(), 1e-6, 9e-6).files
    device = crosssim.read(files[crosssim.INCREASING], files[crosssim.DECREASING]).device
    for name in ("mean_up", "mean_down", "spread_up", "spread_down"):
        np.testing.assert_allclose(getattr(device, name), getattr(table(), name), rtol=1e-8, err_msg=name)


def test_layout_is_that_of_crosssims_loader():
    files = crosssim.export(table(), 1e-6, 9e-6).files
    for name, sign in ((crosssim.INCREASING, 1), (crosssim.DECREASING, -1)):
        lines = files[name].splitlines()
        g, p = (np.array(lines[k].split(","), float) for k in (1, 2))
        change = np.genfromtxt(lines, delimiter=",", skip_header=3)
        assert (g[0], g[-1], p[0], p[-1]) == (1e-6, 9e-6, 0.0, 1.0)
        assert change.shape == (p.size, g.size)
        assert (np.diff(change, axis=0) > 0).all()  # a quantile grows with its probability
        weights = np.diff(p)[:, None]
        assert np.sign((weights * change[:-1]).sum(0).mean()) == sign  # the sum that the loader takes for the mean


def test_any_bounded_device_gives_tables_of_its_mean_step():
    device = presets.load("reram_softbounds_hfo2_2018")
    exported = crosssim.export(device, 0.0, 1e-4, nodes=11)
    found = crosssim.read(exported.files[crosssim.INCREASING], exported.files[crosssim.DECREASING]).device
    low, high = device.range
    steps = [device.step(float(w), 1) * 2 / (high - low) for w in np.linspace(low, high, 11)]
    np.testing.assert_allclose(found.mean_up, steps, rtol=1e-6, atol=1e-9)
    assert "device to device" in exported.notes[1]


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda up, down: (down, up), "wrong way"),
        (lambda up, down: (up, up), "wrong way"),
        (lambda up, down: ("x\n1,2\n", down), "no table of steps"),
        (lambda up, down: (up.replace("e-06", "e-0x", 1), down), "is no number"),
        (lambda up, down: (up, crosssim.export(table(), 2e-6, 9e-6).files[crosssim.DECREASING]), "other conductances"),
    ],
)
def test_damaged_tables_are_refused(change, part):
    files = crosssim.export(table(), 1e-6, 9e-6).files
    with pytest.raises(ParameterError, match=part):
        crosssim.read(*change(files[crosssim.INCREASING], files[crosssim.DECREASING]))


def test_conductances_that_do_not_grow_are_refused():
    with pytest.raises(ParameterError, match="must lie above"):
        crosssim.export(table(), 2e-6, 1e-6)


# --------------------------------------------------------------------------------------------------- NeuroSim


def ramp(device, n: int, direction: int, start: float) -> float:
    w = start
    for _ in range(n):
        w += direction * abs(float(device.step(w, direction)))
    return w


@pytest.mark.parametrize(("a_ltp", "a_ltd", "levels"), [(50.0, None, 97), (30.0, 80.0, 64)])
def test_neurosim_curves_run_from_end_to_end_in_their_levels(a_ltp, a_ltd, levels):
    """Single precision of the engine over up to 97 steps: 1e-4."""
    device = neurosim.read(a_ltp, levels, a_ltd).device
    assert ramp(device, levels, 1, -1.0) == pytest.approx(1.0, abs=1e-4)
    assert ramp(device, levels, -1, 1.0) == pytest.approx(-1.0, abs=1e-4)
    half = levels // 2
    curve = -1 + 2 * (1 - math.exp(-half / a_ltp)) / (1 - math.exp(-levels / a_ltp))
    assert ramp(device, half, 1, -1.0) == pytest.approx(curve, abs=1e-4)


def test_neurosim_settings_survive_a_round_trip():
    device = neurosim.read(50.0, 97, sigma_c2c=0.01).device
    told = neurosim.settings(device)
    assert told == pytest.approx({"a_ltp": 50.0, "levels_ltp": 97, "sigma_c2c": 0.01})
    assert neurosim.read(**told).device.p_max == 97


@pytest.mark.parametrize("options", [{"a_ltp": -1.75}, {"levels_ltp": 0}, {"sigma_c2c": 2.0}])
def test_neurosim_settings_that_break_a_rule_are_refused(options):
    with pytest.raises(ParameterError, match="neurosim"):
        neurosim.read(**{"a_ltp": 50.0, "levels_ltp": 97, **options})

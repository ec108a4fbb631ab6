# SPDX-License-Identifier: Apache-2.0
"""Devices against the published limits: what is measured, what is named, what is let pass."""

from __future__ import annotations

import math

import pytest

from engine import devices, presets
from engine.devices import Device
from explorer.assessment import FAIL, MARGINAL, PASS, REFERENCE, Finding, assess, limits, verdict, write_noise
from explorer.experiments.pulse_response import PulseResponse


def findings(device: Device, n_devices: int = 200, seed: int = 0) -> dict[str, Finding]:
    response = PulseResponse(device=device, n_devices=n_devices, n_pulses=2, seed=seed).run()
    return {f.name: f for f in assess(device, response, response.attrs["seed"])}


def statuses(found: dict[str, Finding], *wanted: str) -> set[str]:
    return {name for name, f in found.items() if f.status in wanted}


@pytest.mark.parametrize("name", ["idealized_symmetric", REFERENCE])
@pytest.mark.parametrize("seed", range(5))
def test_assess_reference_and_ideal_preset_keep_all_limits(name: str, seed: int):
    # spreads at their limits over 200 devices: three standard errors are allowed, seeds 0 to 4
    found = findings(presets.load(name), seed=seed)
    assert statuses(found, FAIL, MARGINAL) == set()
    assert "Keeps all" in verdict(list(found.values()))


def test_assess_reram_names_noise_and_asymmetry():
    found = findings(presets.load("reram_exp_hfo2_2018"))
    assert {"asymmetry", "step_noise", "symmetry_mean", "write_noise"} <= statuses(found, FAIL)
    words = verdict(list(found.values()))
    assert "noise to step" in words
    assert "asymmetry at zero" in words


@pytest.mark.parametrize("stem", devices.names())
def test_assess_every_class_gives_a_number_or_a_reason(stem: str):
    found = findings(devices.get(stem)(), n_devices=5)
    assert list(found) == list(limits())
    for finding in found.values():
        assert finding.words
        assert finding.limit.origin
        if math.isnan(finding.value):
            assert finding.name.startswith("symmetry_")


def test_assess_numbers_are_those_of_the_parameters():
    device = presets.load(REFERENCE).copy(dw_min=0.01, up_down=0.1, dw_min_std=0.7)
    found = findings(device, n_devices=2000)
    assert found["states"].value == pytest.approx(200)
    # down steps are 0.9 of the up steps: their difference over their mean, kernels in single precision
    assert found["asymmetry"].value == pytest.approx(100 * 0.1 / 0.95, rel=1e-4)
    # the noise of each direction is 0.7 of its own step: the ratio of the two means
    assert found["step_noise"].value == pytest.approx(70, rel=1e-4)
    # 2000 devices: the standard error of a standard deviation is 1/sqrt(4000) = 1.6 %; folding and step: 5 % in all
    assert found["bound_spread"].value == pytest.approx(30, rel=0.08)
    assert found["step_spread"].value == pytest.approx(30, rel=0.08)


def test_assess_constant_asymmetry_without_symmetry_point_fails():
    found = findings(presets.load(REFERENCE).copy(up_down=0.3, up_down_dtod=0.0))
    assert math.isnan(found["symmetry_mean"].value)
    assert found["symmetry_mean"].status == FAIL
    assert "bound" in found["symmetry_mean"].words


def test_assess_soft_bounds_is_blamed_for_its_range_not_for_zero():
    found = findings(devices.get("soft_bounds")())
    # at half of the bound b the steps are 1/2 and 3/2 of dw_min: their difference over their mean is 1
    assert found["asymmetry_range"].value == pytest.approx(100, rel=1e-3)
    assert found["asymmetry_range"].status == FAIL
    assert found["asymmetry"].status == PASS


@pytest.mark.parametrize(("states", "status"), [(1000, PASS), (999, MARGINAL), (500, MARGINAL), (499, FAIL)])
def test_assess_states_at_limit_and_margin(states: int, status: str):
    device = presets.load("idealized_symmetric").copy(dw_min=2 / states)
    assert findings(device, n_devices=5)["states"].status == status


def test_assess_stuck_devices_do_not_count_as_spread():
    clean = presets.load("idealized_symmetric").copy(dw_min_dtod=0.0, w_max_dtod=0.0, w_min_dtod=0.0)
    found = findings(clean.copy(corrupt_devices_prob=0.3))
    assert found["step_spread"].value == pytest.approx(0, abs=1e-5)
    assert found["bound_spread"].value == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("stem", ["soft_bounds", "exp_step", "soft_bounds_pmax", "lookup_table"])
def test_write_noise_is_parameter_times_step(stem: str):
    device = devices.get(stem)(write_noise_std=3.0)
    assert write_noise(device) == pytest.approx(3 * device.physical_values()["dw_min"])


def test_write_noise_of_class_without_is_none():
    assert write_noise(devices.get("constant_step")()) is None

# SPDX-License-Identifier: Apache-2.0
"""Programmed weights over time: laws of the processes, units, and which devices change at all."""

from __future__ import annotations

import numpy as np
import pytest

from engine import devices, presets
from engine.errors import ParameterError
from explorer.experiments import Experiment
from explorer.experiments.retention import Retention, clocks

STILL = devices.get("soft_bounds")(w_max=1.0, w_min=-0.5).nominal()


def test_retention_drift_follows_power_law_from_every_level():
    ds = Retention(device=STILL.copy(drift_nu=0.1), n_devices=3, n_times=7, first=2.0, last=2e5).run()
    expected = ds.target.values[:, None] * ds.time.values**-0.1  # t_0 is 1 s
    # float32 powers, one call after the other: each call rounds once (6e-8), seven calls
    np.testing.assert_allclose(ds.nominal.values, expected, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(ds.weight.isel(device=1).values, expected, rtol=1e-5, atol=1e-9)


def test_retention_decay_follows_geometric_law_in_batches():
    ds = Retention(device=STILL.copy(lifetime=100.0), clock="batches", n_devices=2, n_batches=300).run()
    expected = ds.target.values[:, None] * (1 - 1 / 100) ** ds.time.values
    # three hundred products in float32, 6e-8 each
    np.testing.assert_allclose(ds.nominal.values, expected, rtol=3e-5, atol=1e-9)


def test_retention_diffusion_spreads_with_root_of_batches_and_leaves_nominal():
    device = STILL.copy(diffusion=0.002, w_max=10.0, w_min=-10.0)
    ds = Retention(device=device, clock="batches", n_devices=2000, levels=[0.0], n_batches=100, seed=3).run()
    # 2000 devices, seed 3: a standard deviation has a standard error of 1/sqrt(4000) = 1.6 %; five of them
    np.testing.assert_allclose(ds["std"].values[0], 0.002 * np.sqrt(ds.time.values), rtol=0.08)
    assert (ds.nominal.values == 0).all()


def test_retention_levels_are_shares_of_both_bounds():
    ds = Retention(device=STILL, n_devices=2, levels=[-1.0, 0.5]).run()
    np.testing.assert_array_equal(ds.target.values, [-0.5, 0.5])
    np.testing.assert_allclose(ds.programmed.values, [[-0.5, -0.5], [0.5, 0.5]])


def test_retention_without_bounds_takes_levels_as_weights():
    ds = Retention(device=devices.get("floating_point")(drift_nu=0.1), n_devices=2, levels=[3.0]).run()
    assert ds.target.values.tolist() == [3.0]


def test_retention_band_is_ordered_and_within_the_devices():
    device = presets.load("reram_exp_hfo2_2018").copy(drift_nu=0.05, drift_nu_dtod=0.3)
    ds = Retention(device=device, n_devices=50).run()
    assert (np.diff(ds.band.values, axis=0) >= 0).all()
    assert (ds.band.max("quantile") <= ds.weight.max("device")).all()
    assert (ds.band.min("quantile") >= ds.weight.min("device")).all()
    assert {v.attrs["units"] for v in ds.data_vars.values()} == {"w"}


@pytest.mark.parametrize(("clock", "unit"), [("drift", "s"), ("batches", "batches")])
def test_retention_times_are_increasing_log_spaced_with_unit(clock: str, unit: str):
    ds = Retention(device=STILL, n_devices=1, clock=clock).run()
    assert ds.time.attrs["units"] == unit
    assert (np.diff(ds.time.values) > 0).all()
    assert (ds.time.values[0], ds.time.values[-1]) == (1, 1e6 if clock == "drift" else 1000)


def test_retention_same_seed_same_bits():
    device = STILL.copy(diffusion=0.01)
    runs = [Retention(device=device, clock="batches", n_devices=5, n_batches=20, seed=s).run() for s in (1, 1, 2)]
    np.testing.assert_array_equal(runs[0].weight.values, runs[1].weight.values)
    assert (runs[0].weight.values != runs[2].weight.values).any()


def test_retention_survives_json():
    written = Retention(device=STILL, levels=[0.1, 0.2], clock="batches").to_dict()
    assert Experiment.from_dict(written).to_dict() == written


@pytest.mark.parametrize(
    ("values", "words"),
    [({"first": 10.0, "last": 1.0}, "later than first"), ({"levels": []}, "at least one"),
     ({"n_devices": 100_000, "n_times": 10_000}, "fit in memory")],
)  # fmt: skip
def test_retention_nonsense_is_refused(values: dict, words: str):
    with pytest.raises(ParameterError, match=words):
        Retention(**values)


@pytest.mark.parametrize(
    ("values", "expected"),
    [({}, []), ({"drift_nu": 0.1}, ["drift"]), ({"drift_w_noise_std": 0.1}, ["drift"]),
     ({"lifetime": 9.0}, ["batches"]),
     ({"diffusion": 0.1, "drift_nu": -0.1}, ["drift", "batches"]), ({"diffusion_dtod": 0.5}, [])],
)  # fmt: skip
def test_clocks_name_what_changes_the_device(values: dict, expected: list[str]):
    assert clocks(STILL.copy(**values)) == expected


@pytest.mark.parametrize("stem", devices.names())
def test_retention_of_every_class_runs(stem: str):
    for clock in ("drift", "batches"):
        ds = Retention(device=devices.get(stem)(), clock=clock, n_devices=2, n_times=3, n_batches=4).run()
        assert np.isfinite(ds.weight.values).all()

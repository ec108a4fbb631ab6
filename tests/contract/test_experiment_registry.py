# SPDX-License-Identifier: Apache-2.0
"""What every experiment that is found keeps: it runs small, travels as JSON, labels its data, can be stopped."""

import json

import numpy as np
import pytest
import xarray as xr

from engine import devices
from engine.quantity import Quantity
from explorer import experiments
from explorer.experiments import Cancelled, Experiment

NAMES = experiments.names()
# Sizes that keep a run in the tests short, by the name of the parameter; an experiment takes those it has.
SMALL = {"n_devices": 5, "n_pulses": 12, "epochs": 1, "n_seeds": 1, "batch_size": 100,
         "n_chips": 3, "n_draws": 2, "samples": 90, "test_samples": 50, "held_out": False}  # fmt: skip


def small(name: str, **more) -> Experiment:
    cls = experiments.get(name)
    return cls(**{n: v for n, v in SMALL.items() if n in cls.parameters()} | more)


@pytest.fixture(scope="module")
def run_of():
    """Return the data of an experiment's small run; each is run once."""
    done: dict[str, xr.Dataset] = {}

    def run(name: str) -> xr.Dataset:
        if name not in done:
            done[name] = small(name, seed=3).run()
        return done[name]

    return run


def test_the_two_first_experiments_are_found():
    assert {"PulseResponse", "Training"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_experiment_round_trips_through_json_with_and_without_changes(name):
    for one in (experiments.get(name)(), small(name, seed=7)):
        other = Experiment.from_dict(json.loads(json.dumps(one.to_dict(), allow_nan=False)))
        assert other == one
        assert other.content_id == one.content_id
    assert small(name, seed=7).content_id != small(name, seed=8).content_id


@pytest.mark.parametrize("stem", devices.names())
@pytest.mark.parametrize("name", [n for n in NAMES if "device" in experiments.get(n).parameters()])
def test_experiment_with_any_device_round_trips_and_its_pulses_run(name, stem):
    one = small(name, device=devices.get(stem)())
    assert Experiment.from_dict(json.loads(one.to_json())) == one
    if "n_pulses" in one.parameters():
        assert one.run().sizes


@pytest.mark.parametrize("name", NAMES)
def test_experiment_tells_meaning_and_source_of_every_parameter(name):
    cls = experiments.get(name)
    assert len(cls.__doc__.strip().splitlines()[0]) > 20
    for parameter in cls.parameters():
        assert cls.param[parameter].doc, parameter
    for field in cls.fields():
        told = cls.describe(field)
        assert told["source"]
        if isinstance(cls.param[field], Quantity):
            low, high = told["softbounds"]
            assert told["bounds"] is None or told["bounds"][0] is None or told["bounds"][0] <= low < high


@pytest.mark.parametrize("name", NAMES)
def test_run_labels_every_variable_and_every_axis(name, run_of):
    ds = run_of(name)
    for variable in ds.data_vars:
        assert ds[variable].attrs["units"], variable
        assert ds[variable].attrs["long_name"], variable
        assert ds[variable].dtype.kind in "fiub", variable
        assert not any(str(d).startswith("dim_") for d in ds[variable].dims), variable
    for coordinate in ds.coords:
        if ds[coordinate].dtype.kind == "f":
            assert ds[coordinate].attrs["units"], coordinate


@pytest.mark.parametrize("name", NAMES)
def test_run_knows_where_it_comes_from(name, run_of):
    ds = run_of(name)
    assert Experiment.from_dict(json.loads(ds.attrs["experiment"])) == small(name, seed=3)
    assert ds.attrs["seed"] == 3


@pytest.mark.parametrize("name", NAMES)
def test_run_repeated_gives_the_same_data_other_seed_other_data(name, run_of):
    """All but measured times."""
    timed = [v for v in run_of(name).data_vars if run_of(name)[v].attrs["units"] == "s"]
    first = run_of(name).drop_vars(timed)
    xr.testing.assert_equal(small(name, seed=3).run().drop_vars(timed), first)
    other = small(name, seed=4).run().drop_vars(timed)
    assert not other.equals(first)


@pytest.mark.parametrize("name", NAMES)
def test_run_reports_rising_fractions_from_0_to_1(name):
    seen = []

    def progress(fraction, message="", **payload):
        json.dumps(payload, allow_nan=False)  # small plain values only: they travel to the browser
        seen.append((fraction, message))

    small(name).run(progress)
    fractions = [f for f, _ in seen]
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    assert (np.diff(fractions) >= 0).all()
    assert len(seen) > 2
    assert all(message for _, message in seen)


@pytest.mark.parametrize("name", NAMES)
def test_run_stops_where_progress_says_so(name):
    def stop(fraction, message="", **payload):
        if fraction > 0:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        small(name).run(stop)

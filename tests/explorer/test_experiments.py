# SPDX-License-Identifier: Apache-2.0
"""Experiments: JSON form, identity, provenance, discovery."""

import json
import math
import sys
from datetime import datetime

import numpy as np
import param
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ParameterError
from engine.quantity import Quantity
from explorer import experiments
from explorer.experiments import Cancelled, Experiment, codec


@pytest.fixture(scope="module")
def probe(plugin):
    import probe_experiments

    return probe_experiments


class Bare(Experiment):
    """Returns a variable without a unit."""

    def compute(self, progress):
        progress(0.5, "half", value=1)
        return xr.Dataset({"w": ("n", [1.0])})


finite = st.floats(min_value=0, max_value=1e300)
counting = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**53 - 1),
        "steps": st.integers(1, 100_000),
        "step_s": st.floats(0, 10),
        "mode": st.sampled_from(["plain", "offset"]),
        "levels": st.lists(st.floats(allow_nan=False)),
        "window": st.tuples(st.integers(), st.integers()),
        "note": st.text(),
    }
)


@given(values=counting, gain=finite, sharp=st.booleans())
def test_experiment_any_parameters_round_trip_through_json(probe, values, gain, sharp):
    one = probe.Counting(**values, inner=probe.Inner(gain=gain, sharp=sharp))
    other = Experiment.from_dict(json.loads(one.to_json()))
    assert type(other) is probe.Counting
    assert other == one
    assert other.content_id == one.content_id
    assert isinstance(other.window, tuple)


@given(name=st.sampled_from(["seed", "steps", "mode", "note"]))
def test_content_id_one_parameter_changed_differs(probe, name):
    change = {"seed": 1, "steps": 6, "mode": "offset", "note": "x"}
    assert probe.Counting().content_id != probe.Counting(**{name: change[name]}).content_id


def test_content_id_nested_parameter_changed_differs(probe):
    assert probe.Counting().content_id != probe.Counting(inner=probe.Inner(gain=2)).content_id


def test_content_id_whole_number_as_int_or_float_is_equal(probe):
    assert probe.Counting(step_s=3).content_id == probe.Counting(step_s=3.0).content_id
    assert probe.Counting(levels=[3]).content_id == probe.Counting(levels=[3.0]).content_id


def test_content_id_other_package_version_differs(probe, monkeypatch):
    one = probe.Counting().content_id
    monkeypatch.setattr(experiments.base, "package_version", lambda: "9.9")
    assert probe.Counting().content_id != one


def test_copy_with_change_leaves_the_original_and_its_nested_model(probe):
    one = probe.Counting(steps=7)
    two = one.copy(seed=5)
    two.inner.gain = 9.0
    assert (one.seed, one.inner.gain) == (0, 1.0)
    assert (two.seed, two.steps) == (5, 7)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"schema": 1, "class": "Countin", "parameters": {}}, "Counting"),
        ({"schema": 1, "class": "os.system", "parameters": {}}, "there is none"),
        ({"schema": 1, "class": "Counting", "parameters": {"stepz": 3}}, "steps"),
        ({"schema": 1, "class": "Counting", "parameters": {"steps": 0}}, r"Counting.steps = 0"),
        ({"schema": 1, "class": "Counting", "parameters": []}, "name and value"),
        ({"schema": 2, "class": "Counting", "parameters": {}}, "another version"),
        ({"class": "Counting"}, "no experiment"),
        ([1, 2], "no experiment"),
        ({"schema": 1, "class": "Counting", "parameters": {"inner": 3}}, "inner"),
        ({"schema": 1, "class": "Counting", "parameters": {"inner": {"gian": 3}}}, "gain"),
    ],
)
def test_from_dict_wrong_input_says_what_is_wrong(probe, written, message):
    with pytest.raises(ValueError, match=message):
        Experiment.from_dict(written)


def test_from_dict_on_another_subclass_refuses(probe):
    with pytest.raises(ParameterError, match="another experiment"):
        probe.Deaf.from_dict(probe.Counting().to_dict())


def test_from_dict_absent_parameter_takes_its_default(probe):
    assert Experiment.from_dict({"schema": 1, "class": "Counting", "parameters": {}}) == probe.Counting()


def test_to_dict_value_that_json_cannot_carry_names_the_parameter(probe):
    with pytest.raises(ParameterError, match=r"Counting.levels = object"):
        probe.Counting(levels=[object()]).to_dict()


def test_to_dict_subclass_of_a_declared_model_without_written_form_refuses(probe):
    class Sharper(probe.Inner):
        pass

    with pytest.raises(ParameterError, match=r"Counting.inner = Sharper"):
        probe.Counting(inner=Sharper()).to_dict()


@given(st.sampled_from([math.inf, -math.inf, math.nan, 1e300, -0.0]))
def test_codec_unusual_numbers_survive_strict_json(value):
    anything = param.Parameter()
    text = json.dumps(codec.encode(anything, value, "x"), allow_nan=False)
    back = codec.decode(anything, json.loads(text))
    assert back == value or (math.isnan(back) and math.isnan(value))


def test_run_adds_parameters_seed_versions_and_times(probe):
    ds = probe.Counting(seed=3, steps=4).run()
    assert Experiment.from_dict(json.loads(ds.attrs["experiment"])) == probe.Counting(seed=3, steps=4)
    assert ds.attrs["seed"] == 3
    assert ds.attrs["numpy_version"] == np.__version__
    assert ds.attrs["python_version"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    begin, end = (datetime.fromisoformat(ds.attrs[k]) for k in ("started", "finished"))
    assert begin.utcoffset().total_seconds() == 0
    assert begin <= end
    assert ds.attrs["wall_time_s"] > 0
    assert "cores" in ds.attrs["machine"]


def test_run_same_seed_gives_the_same_data(probe):
    one, two = probe.Counting(seed=3).run(), probe.Counting(seed=3).run()
    xr.testing.assert_equal(one, two)


def test_run_variable_without_unit_warns_with_its_name():
    with pytest.warns(UserWarning, match=r"Bare.compute: no attrs\['units'\] in w"):
        Bare().run()


def test_run_progress_gets_fractions_messages_and_payload():
    seen = []
    with pytest.warns(UserWarning, match="units"):
        Bare().run(lambda fraction, message="", **payload: seen.append((fraction, message, payload)))
    assert seen == [(0.0, "starting", {}), (0.5, "half", {"value": 1}), (1.0, "finished", {})]


def test_run_progress_raises_cancelled_passes_through():
    def stop(fraction, message="", **payload):
        if fraction >= 0.5:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        Bare().run(stop)


@pytest.mark.parametrize("fraction", [-0.1, 1.1, math.nan, math.inf])
def test_progress_fraction_outside_0_to_1_is_refused(fraction):
    with pytest.raises(ParameterError, match="share of the work"):
        experiments.NoProgress()(fraction)


def test_subclass_that_overrides_run_is_refused():
    with pytest.raises(TypeError, match="override compute"):
        type("Wrong", (Experiment,), {"run": lambda self: None})


def test_experiment_unknown_parameter_names_near_miss_among_all_parameters(probe):
    with pytest.raises(ParameterError, match="inner"):
        probe.Counting(iner=probe.Inner())


def test_names_hold_every_experiment_of_the_folder_and_of_plugins(probe):
    assert {"Counting", "Deaf"} <= set(experiments.names())
    assert "Inner" not in experiments.names()
    assert "Experiment" not in experiments.names()
    for name in experiments.names():
        assert experiments.get(name).__name__ == name


@pytest.fixture
def another_plugin(plugin, tmp_path, monkeypatch):
    """Return a function that installs a second plugin package with the given source."""

    def install(source: str) -> None:
        (tmp_path / "second_probe.py").write_text(source)
        info = tmp_path / "second_probe-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: second-probe\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[ohmscape.experiments]\nsecond = second_probe\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        experiments.classes.cache_clear()

    yield install
    sys.modules.pop("second_probe", None)
    monkeypatch.undo()
    experiments.classes.cache_clear()


def test_classes_two_of_one_name_says_where_both_are(another_plugin):
    another_plugin(
        "from explorer.experiments import Experiment\n"
        "class Counting(Experiment):\n"
        "    def compute(self, progress): ...\n"
    )
    with pytest.raises(ParameterError, match=r"defined in \w+ and \w+"):
        experiments.classes()


def test_classes_broken_plugin_warns_and_keeps_the_others(another_plugin):
    another_plugin("raise RuntimeError('half installed')\n")
    with pytest.warns(UserWarning, match="half installed"):
        assert "Counting" in experiments.classes()


def test_seed_beyond_exact_json_numbers_is_refused(probe):
    with pytest.raises(ParameterError, match="seed"):
        probe.Counting(seed=2**53)


def test_quantity_default_of_seed_is_exported_to_widgets():
    assert Experiment.describe("seed")["integer"] is True
    assert isinstance(Experiment.param["seed"], Quantity)

# SPDX-License-Identifier: Apache-2.0
"""The drift lab: its state goes out and comes back, its curves are the experiments' numbers, stale ones say so."""

from __future__ import annotations

import csv as csv_format
import io
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ParameterError
from engine.inference import converters
from engine.inference import noise as noises
from explorer import figures
from explorer.experiments.blame import Blame
from explorer.experiments.drift_accuracy import DriftAccuracy
from explorer.experiments.quick import quick
from explorer.experiments.scenario import Scenario
from explorer.jobs import Job
from explorer.labs import link
from explorer.labs.drift_lab import DriftLab
from explorer.labs.drift_state import MAX_SCENARIOS, DriftState, FlatDrift
from explorer.results import Store
from explorer.views import time_axis
from explorer.views.blame_view import BlameView
from explorer.views.drift_data import LiveChip, Moment, curves, table_rows
from explorer.views.drift_share import csv, snippet
from explorer.views.drift_view import DriftView
from explorer.views.parameters import ParameterPanel
from explorer.views.scenario_list import ScenarioList, suggestions
from explorer.views.time_cursor import TimeCursor
from explorer.views.times_field import TimesField

SMALL = {"n_chips": 3, "samples": 60, "times": [0.0, 1.0, 86400.0]}


class Here:
    """A runner that is done as soon as it is asked."""

    def __init__(self) -> None:
        self.submitted: list = []

    def submit(self, experiment, *, label="", owner=None) -> Job:
        self.submitted.append(experiment)
        job = Job(experiment.to_dict(), Store(), label=label)
        job.begin(0)
        job.finish("done", kept=experiment.run())
        return job

    def get(self, job_id):
        raise NotImplementedError

    def jobs(self, owner=None):
        return []


@pytest.fixture
def state() -> DriftState:
    return DriftState(**SMALL)


@pytest.fixture
def view(state, home) -> DriftView:
    made = DriftView(state, Here(), Here())
    settle(made)
    return made


def settle(view: DriftView) -> None:
    """Let the estimates arrive."""
    for _ in range(20):
        if not view.quick.busy:
            return
        view.quick.poll()
    pytest.fail("the estimates did not arrive")


# the state


@pytest.mark.parametrize(
    ("noise", "converter"), list(itertools.product(noises.names(), [None, *converters.names()]))
)
def test_parameters_of_any_devices_have_one_name_each_and_tell_their_meaning(noise, converter):
    flat = FlatDrift(DriftAccuracy())
    flat = flat.copy(noise=noise, converter="of the noise model" if converter is None else converter)
    names = flat.fields()
    assert len(names) == len(set(names))
    for name in names:
        about = flat.describe(name)
        assert about["name"] == name
        assert about["doc"]
        assert getattr(flat, name) is not None


def test_values_reach_the_part_they_belong_to(state):
    assert state.set(drift_scale=0.5, out_noise=0.1, p_high=0.01, n_repeat=4)
    scenario = state.scenario
    assert (scenario.noise.drift_scale, scenario.forward.out_noise) == (0.5, 0.1)
    assert (scenario.faults.p_high, scenario.compensation.n_repeat) == (0.01, 4)
    assert set(state.edited_fields()) >= {"drift_scale", "out_noise", "p_high", "n_repeat"}
    state.reset("drift_scale")
    assert state.scenario.noise.drift_scale == 1


def test_other_devices_bring_their_defaults_and_keep_converter_and_range_together(state):
    state.set(drift_scale=0.5)
    assert state.set(noise="hermes_one")
    assert state.scenario.noise.drift_scale == 1
    assert state.set(converter="dual_pair")
    assert state.set(g_max=8.0)
    assert state.scenario.made_converter().g_max == 8
    assert not state.set(drift_scale=11.0)
    assert "outside its bounds" in state.problem_of("drift_scale")


def test_scenarios_are_added_under_free_titles_renamed_removed_and_undone(state):
    assert state.duplicate()
    assert [s.title for s in state.experiment.scenarios] == ["PCM", "PCM 2"]
    assert not state.rename("PCM")
    assert "two are called 'PCM'" in state.problem_of("title")
    assert state.rename("Late")
    assert state.set(compensation="none")
    assert [s.compensation.stem() for s in state.experiment.scenarios] == ["global", "none"]
    assert state.remove()
    assert not state.remove()  # the last one stays
    for _ in range(4):
        state.undo()
    assert [s.title for s in state.experiment.scenarios] == ["PCM"]


def test_scenarios_beyond_what_can_be_told_apart_are_refused(state):
    for _ in range(MAX_SCENARIOS - 1):
        assert state.duplicate()
    assert not state.duplicate()
    assert f"at most {MAX_SCENARIOS}" in state.problem_of("title")


def test_link_restores_the_whole_state(state):
    state.set(noise="hermes_two", out_res=0.0, compensation="per_column", repair=True, p_low=0.01)
    state.add(Scenario(title="Two pairs", converter="dual_pair", input_range="calibrated"))
    state.time = 3600.0
    other = DriftState()
    assert link.restore(other, link.encode(state)) == ""
    assert other.drift == state.drift
    assert other.time == 3600
    assert len(link.encode(state)) < 1500


def test_link_never_names_a_file(state, tmp_path):
    file = tmp_path / "own.py"
    file.write_text("raise SystemExit('ran')\n")
    query = state.to_query() | {"network": f"{file}:Own"}
    with pytest.raises(ParameterError, match="unknown"):
        DriftState().from_query(query)


@given(st.text(max_size=60))
def test_link_of_any_text_changes_nothing(text):
    state = DriftState()
    before = state.to_query()
    assert bool(link.restore(state, text)) == bool(text)
    assert state.to_query() == before


# curves


def test_estimate_is_drawn_under_the_title_of_the_scenario(view, state):
    (curve,) = view.shown
    assert (curve.title, curve.full, curve.stale, curve.chips) == ("PCM", False, False, 3)
    ds = quick(state.experiment, state.scenario).run()
    np.testing.assert_array_equal(view.accuracy.sources[0].data["mean"], 100 * ds.accuracy_mean.values[0])
    np.testing.assert_array_equal(view.accuracy.bands[0].data["high"], 100 * ds.accuracy_high.values[0])
    assert view.chip.label == "Estimate"
    state.rename("Mine")
    assert view.shown[0].title == "Mine"
    assert not view.quick.busy  # a title is no reason to compute


def test_knob_moved_marks_the_curve_stale_until_its_estimate_arrives(view, state):
    state.set(out_noise=0.5)
    assert view.shown[0].stale
    assert view.chip.label == "Stale"
    assert view.status.visible
    settle(view)
    assert not view.shown[0].stale
    state.undo()
    assert not view.shown[0].stale  # known from before
    assert not view.quick.busy


def test_curve_of_another_network_is_not_shown_as_a_stale_one(view, state):
    state.set(network="mlp-digits-deep")
    assert view.shown == []
    assert view.empty.visible
    assert not view.chip.visible
    state.undo()
    assert not view.shown[0].stale  # known from before


def test_only_what_changed_is_estimated_again(view, state):
    state.add(Scenario(title="none", compensation="none"))
    settle(view)
    runner = view.quick.runner
    before = len(runner.submitted)
    state.set(out_noise=0.3)
    settle(view)
    assert len(runner.submitted) == before + 1


def test_full_run_replaces_the_estimate_and_turns_stale_with_the_knobs(view, state):
    view.job.run()
    (curve,) = view.shown
    assert curve.full
    assert view.chip.label == "Full run"
    assert view.job.chip.label == "Finished"
    ds = state.experiment.run()
    np.testing.assert_array_equal(curve.mean, ds.accuracy_mean.values[0])
    state.set(out_noise=0.3)
    assert view.shown[0].stale
    settle(view)
    assert not view.shown[0].full
    state.undo()
    assert view.shown[0].full


def test_network_too_large_for_an_estimate_says_so(monkeypatch, state, home):
    monkeypatch.setattr("explorer.views.quick_estimates.quick", lambda experiment, scenario: None)
    view = DriftView(state, Here(), Here())
    assert view.note.visible
    assert view.empty.visible
    assert not view.quick.busy


def test_time_is_one_for_slider_box_marker_and_weights(view, state):
    cursor = view.cursor
    cursor.slider.value = time_axis.place(3600.0)
    assert state.time == 3600
    assert cursor.box.value == "1 h"
    assert view.accuracy.marker.location == pytest.approx(time_axis.place(3600.0))
    assert "1 h" in view.tiles.object
    view.accuracy.marker.location = time_axis.place(1.0)
    assert state.time == 1
    cursor.box.value = "10 parsecs"
    assert "unknown unit" in cursor.problem.object
    assert state.time == 1
    cursor.box.value = "1 y"
    assert state.time == pytest.approx(3.1536e7)
    assert not cursor.problem.visible


def test_times_typed_are_those_of_the_run(state):
    field = TimesField(state)
    field.box.value = "1 d, 1 s"
    assert state.experiment.times == [1, 86400]
    field.box.value = "1 s, 1 fortnight"
    assert "unknown unit" in field.box.helper_text
    assert state.experiment.times == [1, 86400]


def test_weights_at_a_moment_are_those_of_the_first_chip():
    """The live chip is chip 0 of the run: same weights, at any order of times."""
    ds = DriftAccuracy(n_chips=2, samples=20, times=[1.0, 86400.0], seed=4).run()
    chip = LiveChip()
    for t in (86400.0, 1.0):
        found = chip.at(Moment("mlp-digits", Scenario(), t, 4))
        assert found.alpha == pytest.approx(float(ds.alpha.sel(time=t)[0, 0]))
        assert found.error == pytest.approx(float(ds.error.sel(time=t)[0, 0]))
        assert found.drifted.sum() == found.programmed.sum() == found.count == 64 * 64 + 64 * 10


def test_table_tells_score_interval_and_points(view, state):
    columns, rows = table_rows(view.shown)
    assert [c for c, _ in columns][:3] == ["Scenario", "1 s", "1 d"]
    curve = view.shown[0]
    assert rows[0][1] == f"{100 * curve.mean[1]:.1f} ± {100 * curve.half_width[1]:.1f}"
    assert rows[0][3].endswith("points")
    assert rows[-1][0] == "Floating point"


def test_time_axis_has_a_place_for_zero_and_goes_both_ways():
    assert time_axis.time_at(time_axis.place(0.0)) == 0
    for t in (1.0, 60.0, 86400.0, 3.15e8):
        assert time_axis.time_at(time_axis.place(t)) == pytest.approx(t, rel=5e-3)  # three digits


# the rest of the page


def test_list_of_scenarios_follows_the_state_and_edits_it(state):
    listed = ScenarioList(state)
    listed.add.value = "No compensation"
    assert state.scenario.compensation.stem() == "none"
    assert [b.label for b in listed.buttons[:2]] == ["PCM", "No compensation"]
    listed.title.value = "Bare"
    assert state.scenario.title == "Bare"
    state.select(0)
    assert listed.title.value == "PCM"


@pytest.mark.parametrize("title", list(suggestions()))
def test_every_suggested_scenario_runs(title, short_training, home):
    scenario = suggestions()[title]
    times = [max(1.0, scenario.noise.shortest)]
    assert DriftAccuracy(n_chips=2, samples=20, times=times, scenarios=[scenario]).run().accuracy.notnull().all()


def test_panel_follows_a_change_of_devices_with_other_rows(state):
    panel = ParameterPanel(state)
    assert "nu_mean_slope" in panel.fields
    state.set(noise="hermes_two")
    assert "nu_mean_slope" not in panel.fields
    state.undo()
    assert "nu_mean_slope" in panel.fields


def test_blame_draws_the_costs_and_turns_stale(state, home):
    view = BlameView(state, Here())
    view.job.run()
    ds = Blame(n_chips=3, samples=60, time=state.time).run()
    source, _ = view.plot.sources["removed"]
    assert sorted(source.data["cost"]) == pytest.approx(sorted(100 * ds.cost_removed.values))
    assert "together cost" in view.sentence.object or "nothing that" in view.sentence.object
    assert not view.stale.visible
    state.set(out_noise=0.5)
    assert view.stale.visible


def test_share_gives_curves_as_csv_pictures_and_a_script_that_makes_them_again(view, state):
    rows = list(csv_format.DictReader(io.StringIO(csv(view.shown).decode())))
    assert [float(r["time (s)"]) for r in rows] == SMALL["times"]
    assert [float(r["mean (1)"]) for r in rows] == pytest.approx(list(view.shown[0].mean))
    figure = figures.drift_accuracy(view.shown, "digits")
    assert figures.png(figure)[:4] == b"\x89PNG"
    assert b"<svg" in figures.svg(figure)
    state.set(noise="hermes_one", out_noise=0.1, drift_scale=0.5, p_low=0.001)
    state.add(Scenario(title="Two pairs", converter="dual_pair", compensation="none"))
    made: dict = {}
    exec(snippet(state.experiment).rpartition("print")[0].replace(".run()", ""), {}, made)  # without the run
    assert made["ds"] == state.experiment


def test_snippet_runs(state):
    made: dict = {}
    exec(snippet(state.experiment).rpartition("print")[0], {}, made)
    np.testing.assert_array_equal(made["ds"].accuracy, state.experiment.run().accuracy)


def test_page_is_built_with_a_message_where_a_link_was_bad(home, monkeypatch):
    monkeypatch.setattr("explorer.jobs.quick_runner", Here)
    monkeypatch.setattr("explorer.jobs.runner", Here)
    lab = DriftLab(state=DriftState(**SMALL))
    page = lab.page(problem="link.state: cannot be read", apps=["device_lab", "drift_lab"])
    assert "cannot be read" in page.main[0][0].object


def test_cursor_and_view_share_one_time(state):
    one, other = TimeCursor(state), TimeCursor(state)
    one.box.value = "1 h"
    assert other.slider.value == pytest.approx(time_axis.place(3600.0), abs=0.01)


def test_curves_of_a_result_are_its_numbers():
    experiment = DriftAccuracy(**SMALL)
    ds = experiment.run()
    (curve,) = curves(ds, experiment, full=True)
    np.testing.assert_array_equal(curve.low, ds.accuracy_low[0])
    np.testing.assert_allclose(curve.half_width, ds.accuracy_half_width[0])
    assert curve.digital == float(ds.digital_accuracy)

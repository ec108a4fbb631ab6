# SPDX-License-Identifier: Apache-2.0
"""The training panel on the server side: jobs are real objects, the worker is the test."""

import json
import math
import time

import numpy as np
import pytest

from explorer import results
from explorer.experiments.training import Training
from explorer.jobs import Job, JobLimit, UnknownJob
from explorer.labs.state import DeviceState
from explorer.views.job_words import ahead, duration
from explorer.views.training_data import MAX_COLUMNS, MAX_POINTS, History
from explorer.views.training_job import FollowedJob, differences
from explorer.views.training_panel import CALM_S, PATIENCE_S, TrainingPanel
from explorer.views.training_plots import MAX_COMPARED

EDGES = [-1.0, 0.0, 1.0]


class HandRunner:
    """Takes jobs and leaves them to the test."""

    def __init__(self):
        self.submitted = []
        self.refusal = None

    def submit(self, experiment, *, label="", owner=None):
        if self.refusal:
            raise self.refusal
        stop = lambda job: job.finish("cancelled", message="cancelled")  # noqa: E731
        job = Job(experiment.to_dict(), results.Store(), label=label, owner=owner, ask_to_stop=stop)
        self.submitted.append(job)
        return job

    def get(self, job_id):
        for job in self.submitted:
            if job.id == job_id:
                return job
        raise UnknownJob(f"jobs.id = {job_id!r}: there is no such job (allowed: none here). Start one.")

    def jobs(self, owner=None):
        return self.submitted[::-1]


def told(epoch, *, kind="analog", seed_index=0, epochs=3, accuracy=0.5, loss=1.0):
    counts = {"0": {"counts": [1, 3], "edges": EDGES}} if kind == "analog" else {}
    return {"epoch": epoch, "epochs": epochs, "kind": kind, "seed_index": seed_index, "loss": loss,
            "accuracy": accuracy, "test_accuracy": accuracy, "seconds": 0.5, "histograms": counts}  # fmt: skip


@pytest.fixture
def runner():
    return HandRunner()


@pytest.fixture
def panel(runner):
    return TrainingPanel(DeviceState("idealized_symmetric"), runner=runner)


@pytest.fixture
def running(panel):
    """A panel whose job has begun and told of two epochs."""
    panel.run()
    job = panel.followed.job
    job.begin(1)
    job.report(0.3, "epoch 1", [told(1, accuracy=0.4)])
    job.report(0.6, "epoch 2", [told(2, accuracy=0.6)])
    panel.poll()
    return panel


@pytest.fixture(scope="module")
def trained(own_home):
    """The smallest real training: its events, its result, its stored run."""
    experiment = Training(epochs=1, batch_size=64, seed=5)
    events = []
    ds = experiment.run(lambda fraction, message="", **payload: events.append(payload))
    return events, ds, results.save(ds, experiment, label="kept run")


# the numbers


def test_history_two_seeds_give_mean_and_extremes():
    history = History()
    history.add(told(1, accuracy=0.4))
    history.add(told(1, seed_index=1, accuracy=0.6))
    history.add(told(2, accuracy=0.8))
    curve = history.curve("accuracy", "analog")
    assert curve.epoch.tolist() == [1, 2]
    assert curve.mean == pytest.approx([0.5, 0.8])  # two numbers each: rounding only
    assert (curve.low.tolist(), curve.high.tolist(), curve.n.tolist()) == ([0.4, 0.8], [0.6, 0.8], [2, 1])


def test_history_event_without_epoch_is_passed_over():
    history = History()
    history.add({})
    assert history.empty


def test_history_long_run_is_thinned_to_its_last_epoch():
    history = History()
    for epoch in range(1, 3 * MAX_POINTS):
        history.add(told(epoch, epochs=3 * MAX_POINTS))
    curve, density = history.curve("loss", "analog"), history.density("0")
    assert curve.epoch.size == MAX_POINTS
    assert curve.epoch[-1] == density.last == 3 * MAX_POINTS - 1
    assert density.percent.shape == (2, MAX_COLUMNS)


def test_density_columns_are_percent_and_empty_bins_are_left_blank():
    history = History()
    history.add(told(1))
    history.weights["0"][0, 1] = np.array([0.0, 4.0])
    density = history.density("0")
    assert math.isnan(density.percent[0, 0])
    assert density.percent[1, 0] == 100.0


def test_density_of_a_baseline_is_none():
    history = History()
    history.add(told(1, kind="baseline"))
    assert history.density("0") is None


def test_outcome_counts_only_finished_seeds():
    history = History()
    for seed, last in ((0, 3), (1, 3), (2, 2)):
        for epoch in range(1, last + 1):
            history.add(told(epoch, seed_index=seed, accuracy=0.8 + 0.1 * seed))
    (outcome,) = history.outcomes()
    assert outcome.n_seeds == 2
    assert outcome.accuracy == pytest.approx(0.85)  # mean of 0.8 and 0.9
    assert outcome.accuracy_std == pytest.approx(0.1 / math.sqrt(2))  # sample standard deviation of the two


def test_outcome_of_one_seed_has_no_spread():
    history = History()
    history.add(told(1, epochs=1))
    assert math.isnan(history.outcomes()[0].accuracy_std)


def test_history_of_a_result_equals_that_of_its_events(trained):
    events, ds, _ = trained
    live, stored = History(), History.of(ds)
    for event in events:
        live.add(event)
    assert live.epochs == stored.epochs == 1
    told_of, kept = ([(o.kind, o.n_seeds, o.accuracy, o.loss) for o in h.outcomes()] for h in (live, stored))
    assert told_of == kept
    assert list(live.weights) == list(stored.weights)
    for layer in live.weights:
        np.testing.assert_array_equal(live.density(layer).percent, stored.density(layer).percent)


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "1 s"), (42, "42 s"), (100, "2 min"), (6000, "1.7 h")])
def test_duration_is_worded_in_a_fitting_unit(seconds, words):
    assert duration(seconds) == words


# the job


def test_start_submits_the_device_and_settings_on_show(panel, runner):
    panel.settings.boxes["epochs"].box.value = "7"
    panel.settings.boxes["lr"].box.value = "2e-2"
    panel.run()
    experiment = runner.submitted[0].experiment
    assert (experiment.epochs, experiment.lr, experiment.device) == (7, 0.02, panel.state.device)
    assert panel.chip.label == "Queued"
    assert not panel.empty.visible


@pytest.mark.parametrize(("name", "text"), [("epochs", "0"), ("epochs", "1.5"), ("lr", "nan"), ("n_seeds", "many")])
def test_setting_out_of_its_rule_is_refused_and_the_last_good_one_kept(panel, name, text):
    box = panel.settings.boxes[name]
    before = box.value
    box.box.value = text
    assert box.problem
    assert panel.settings.problem == box.problem
    assert box.box.error_state
    assert box.value == before


def test_start_with_a_refused_setting_says_so_and_submits_nothing(panel, runner):
    panel.settings.boxes["epochs"].box.value = "0"
    panel.run()
    assert runner.submitted == []
    assert "epochs" in panel.problem.object
    assert panel.problem.visible


def test_start_beyond_the_job_limit_shows_the_reason(panel, runner):
    runner.refusal = JobLimit("jobs.active = 4: you have too many unfinished jobs (allowed: 4). Cancel one.")
    panel.run()
    assert "too many unfinished jobs" in panel.problem.object
    assert panel.followed is None


def test_curves_grow_with_the_job(running):
    accuracy = running.plots.accuracy.sources["analog"]
    assert accuracy.data["mean"].tolist() == [40.0, 60.0]
    running.followed.job.report(0.9, "epoch 3", [told(3, accuracy=0.7), told(1, kind="baseline", accuracy=0.9)])
    running._draw_next = 0.0
    running.poll()
    assert accuracy.data["epoch"].tolist() == [1, 2, 3]
    assert running.plots.accuracy.sources["baseline"].data["mean"].tolist() == [90.0]
    assert running.bar.value == 90
    assert running.cancel.visible


def test_weight_distribution_is_drawn_beside(running):
    plot = running.plots.weights["0"]
    assert plot.source.data["image"][0].shape == (2, 2)
    assert plot.bounds[0].location == running.state.device.w_min


def test_poll_without_news_draws_nothing(running):
    before = running.plots.accuracy.sources["analog"].data
    running.poll()
    assert running.plots.accuracy.sources["analog"].data is before


def test_news_wait_while_drawing_is_dear_but_the_end_is_drawn_at_once(running):
    accuracy = running.plots.accuracy.sources["analog"]
    running._draw_next = math.inf
    running.followed.job.report(0.9, "epoch 3", [told(3)])
    running.poll()
    assert len(accuracy.data["epoch"]) == 2
    running.followed.job.cancel()
    running.poll()
    assert len(accuracy.data["epoch"]) == 3


def test_news_wait_while_a_knob_moves_but_not_for_ever(running, monkeypatch):
    now = [time.monotonic() + 10]
    monkeypatch.setattr("explorer.views.training_panel.time.monotonic", lambda: now[0])
    accuracy, dw_min = running.plots.accuracy.sources["analog"], running.state.device.dw_min
    running.poll()
    began = now[0]
    running.followed.job.report(0.9, "epoch 3", [told(3)])
    while now[0] - began < PATIENCE_S:
        assert len(accuracy.data["epoch"]) == 2
        running.state.set(dw_min=dw_min * (1.001 + now[0] - began))
        now[0] += 0.15
        running.poll()
    assert len(accuracy.data["epoch"]) == 3
    assert f"→ {running.state.device.dw_min:.6g}" in running.stale_box.object


def test_news_are_drawn_once_the_knob_rests(running, monkeypatch):
    now = [time.monotonic() + 10]
    monkeypatch.setattr("explorer.views.training_panel.time.monotonic", lambda: now[0])
    accuracy = running.plots.accuracy.sources["analog"]
    running.poll()
    running.state.set(dw_min=2 * running.state.device.dw_min)
    assert running.stale.visible  # this is told at once
    running.followed.job.report(0.9, "epoch 3", [told(3)])
    running.poll()
    assert len(accuracy.data["epoch"]) == 2
    now[0] += 1.01 * CALM_S
    running.poll()
    assert len(accuracy.data["epoch"]) == 3


def test_end_of_a_job_is_shown_while_a_knob_moves(running):
    running.state.set(dw_min=2 * running.state.device.dw_min)
    running.followed.job.cancel()
    running.poll()
    assert running.chip.label == "Cancelled"


def test_cancel_stops_the_job_and_keeps_the_curves(running):
    running.followed.job.cancel()
    running.poll()
    assert running.chip.label == "Cancelled"
    assert not running.cancel.visible
    assert running.start.label == "Run again"
    assert not running.start.disabled
    assert len(running.plots.accuracy.sources["analog"].data["epoch"]) == 2


def test_lost_worker_gives_one_line_and_the_next_run_works(running, runner):
    reason = "Training: the worker process 1 ended while the job ran (killed). Start the job again."
    running.followed.job.finish("failed", error=reason, message="failed")
    running.poll()
    assert running.chip.label == "Failed"
    assert reason in running.problem.object
    running.run()
    assert len(runner.submitted) == 2
    assert not running.problem.visible
    assert running.chip.label == "Queued"


def poll_while_polled(panel, polls=20):
    """Poll as the page does: only while the poller runs; return whether it has come to rest."""
    for _ in range(polls):
        if not panel._poller.running:
            return True
        panel.poll()
    return False


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("part", ["followed.hear", "plots.draw", "_compare", "_show", "_progress"])
def test_job_that_ends_while_its_news_are_drawn_is_shown_as_ended(running, trained, monkeypatch, part, moment):
    job = running.followed.job
    owner, _, name = part.rpartition(".")
    owner = getattr(running, owner) if owner else running
    whole = getattr(owner, name)

    def ends(*args):
        if moment == "after":
            result = whole(*args)
        job.finish("done", run_id=trained[2].run_id, message="finished")
        return result if moment == "after" else whole(*args)

    monkeypatch.setattr(owner, name, ends)
    job.report(1.0, "finished", [told(3)])
    running._draw_next = 0.0
    assert poll_while_polled(running)
    assert running.chip.label == "Finished"
    assert running.start.label == "Train again"
    assert not running.cancel.visible
    assert "Floating point" in running.table.object  # only the result has it


def test_job_that_ends_as_its_page_begins_to_follow_is_shown_as_ended(panel, monkeypatch):
    draw = panel.plots.draw

    def ends(*args):
        draw(*args)
        panel.followed.job.finish("failed", error="lost", message="failed")

    monkeypatch.setattr(panel.plots, "draw", ends)
    panel.run()
    assert poll_while_polled(panel)
    assert panel.chip.label == "Failed"
    assert "lost" in panel.problem.object


def test_queued_job_says_how_many_are_before_it(panel, runner):
    runner.submit(Training(epochs=1))
    panel.run()
    assert ahead(runner, panel.followed.job) == 1
    assert "behind 1 other job" in panel.told.object


# stale


def test_knob_moved_during_a_job_marks_the_result_and_offers_a_restart(running, runner):
    dw_min = running.state.device.dw_min
    running.state.set(dw_min=2 * dw_min)
    assert running.stale.visible
    assert running.start.label == "Restart with the current device"
    assert not running.start.disabled
    assert f"dw_min {dw_min:.6g} → {2 * dw_min:.6g}" in running.stale_box.object
    pale = running.plots.accuracy._renderers["analog"][1].glyph.line_alpha
    assert pale < 1
    running.run()
    assert runner.submitted[0].state == "cancelled"
    assert runner.submitted[1].experiment.device == running.state.device
    assert not running.stale.visible
    assert running.plots.accuracy._renderers["analog"][1].glyph.line_alpha == 1


def test_knob_moved_back_makes_the_result_fresh_again(running):
    running.state.set(dw_min=2 * running.state.device.dw_min)
    running.state.undo()
    assert not running.stale.visible
    assert not running.stale_box.visible


def test_seed_and_class_count_as_changes():
    experiment = Training(seed=1)
    other = DeviceState("reram_softbounds_hfo2_2018").device
    assert differences(experiment, experiment.device, 1) == []
    assert differences(experiment, experiment.device, 2) == ["seed 1 → 2"]
    assert differences(experiment, other, 1) == [f"{experiment.device.title} → {other.title}"]


def test_its_device_comes_back_with_one_click(running):
    device = running.state.device
    running.followed.job.cancel()
    running.poll()
    running.state.load_preset("capacitor_14nm_2018")
    assert running.its_device.visible
    running._adopt()
    assert running.state.device == device
    assert not running.stale.visible


# stored runs


def test_finished_job_shows_the_table_of_its_result(panel, trained):
    _, _, run = trained
    panel.run()
    job = panel.followed.job
    job.finish("done", run_id=run.run_id, message="finished")
    panel.poll()
    assert panel.chip.label == "Finished"
    assert "This device" in panel.table.object
    assert "Floating point" in panel.table.object
    assert panel.followed.address == run.run_id
    assert run.run_id in [r.run_id for r in panel.runs.runs]


def test_stored_run_opens_by_its_id_without_a_job(panel, trained):
    events, _, run = trained
    panel.open_run(run.run_id)
    assert panel.chip.label == "Finished"
    last = [e["test_accuracy"] for e in events if e.get("kind") == "analog"][-1]
    assert panel.plots.accuracy.sources["analog"].data["mean"][-1] == 100 * last
    assert panel.settings.boxes["batch_size"].value == 64


@pytest.mark.parametrize("named", ["0123456789ab-01234567", "nonsense", "../../etc/passwd"])
def test_unknown_run_is_told_and_the_page_goes_on(panel, runner, named):
    panel.open_run(named)
    assert panel.problem.visible
    assert panel.followed is None
    panel.run()
    assert len(runner.submitted) == 1


def test_job_of_another_experiment_is_refused(panel, runner):
    written = json.loads(json.dumps({"schema": 1, "class": "PulseResponse", "parameters": {}}))
    runner.submitted.append(Job(written, results.Store(), job_id="f" * 32))
    panel.open_run("f" * 32)
    assert "PulseResponse" in panel.problem.object


def test_ticked_run_is_laid_over_and_listed(panel, trained):
    _, _, run = trained
    panel.runs.update()
    panel.runs.chosen = [run.run_id]
    assert len(panel.plots.accuracy.sources["compared0"].data["epoch"]) == 1
    assert "kept run" in panel.table.object
    assert not panel.empty.visible
    panel.runs.chosen = []
    assert len(panel.plots.accuracy.sources["compared0"].data["epoch"]) == 0
    assert panel.empty.visible


def test_more_runs_than_colours_are_refused(panel):
    panel.runs.chosen = [f"run{k}" for k in range(MAX_COMPARED)]
    tick = type("Tick", (), {"value": True})()
    panel.runs._ticked("one more", True, tick)
    assert tick.value is False
    assert panel.runs.problem.visible
    assert len(panel.runs.chosen) == MAX_COMPARED


def test_followed_job_without_its_result_says_so(trained, runner):
    job = runner.submit(Training(epochs=1))
    job.finish("done", run_id="0123456789ab-01234567", message="finished")
    followed = FollowedJob(job)
    followed.hear()
    assert "there is no such run" in followed.problem

# SPDX-License-Identifier: Apache-2.0
"""Jobs on real worker processes: one warm cluster with one worker is shared by all tests here."""

import json
import os
import signal
import threading
import time

import pytest
import xarray as xr

from engine.errors import ParameterError
from explorer import jobs, results
from explorer.experiments import Experiment
from explorer.jobs import JobError, JobLimit, JobRunner, UnknownJob

PATIENCE_S = 200.0  # low-priority workers starve on a busy machine; a hang fails before the suite's timeout
STEP_S = 0.02


@pytest.fixture(scope="module")
def probe(plugin):
    import probe_experiments

    return probe_experiments


@pytest.fixture(autouse=True)
def _own_results(home):
    """Every test has an empty results folder."""


@pytest.fixture(autouse=True)
def _no_job_left(cluster):
    yield
    for job in cluster.jobs():
        job.cancel()
    for job in cluster.jobs():
        assert job.wait(PATIENCE_S)


def until(condition, what):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.01)


def begun(job):
    """Wait until the worker has reported; return the id of its process."""
    until(lambda: job.events or job.finished, "the first report")
    assert job.events, job.error
    return job.events[0]["pid"]


def polite():
    """Return the niceness of a worker: 10 above our own, 19 at most."""
    return min(os.nice(0) + 10, 19)


def long_count(probe, **kw):
    return probe.Counting(steps=20_000, step_s=STEP_S, **kw)


def test_job_runs_in_another_process_and_stores_its_result(cluster, probe):
    experiment = probe.Counting(seed=5, steps=6)
    job = cluster.submit(experiment, label="six steps")
    assert job.state in ("queued", "running")
    ds = job.result(PATIENCE_S)
    assert (job.state, job.fraction, job.error, job.message) == ("done", 1.0, None, "finished")
    xr.testing.assert_equal(ds, experiment.run())
    assert [e["step"] for e in job.events] == list(range(6))
    assert job.events[0]["pid"] != os.getpid()
    stored = results.info(job.run_id)
    assert (stored.job_id, stored.label) == (job.id, "six steps")
    assert Experiment.from_dict(stored.experiment) == experiment
    xr.testing.assert_identical(results.load(job.run_id), ds)


def test_worker_is_warm_polite_spawned_and_may_have_children(cluster, probe):
    job = cluster.submit(probe.Inside())
    job.result(PATIENCE_S)
    seen = job.events[0]
    assert cluster.ready
    assert seen["warm"] is True
    assert seen["prepared"] == 1
    assert seen["torch_threads"] == 1
    assert seen["nice"] == polite()
    assert seen["daemon"] is False
    assert seen["method"] == "spawn"


def test_progress_grows_while_running_and_every_payload_arrives_once(cluster, probe):
    job = cluster.submit(probe.Counting(steps=60, step_s=0.02))
    fractions, versions, collected, position, remaining = [], [], [], 0, []
    while not job.finished:
        status = job.status
        fractions.append(status.fraction)
        versions.append(status.version)
        new, position = job.events_since(position)
        collected += new
        remaining.append(job.eta_s)
        time.sleep(0.02)
    collected += job.events_since(position)[0]
    assert [e["step"] for e in collected] == list(range(60))
    assert fractions == sorted(fractions)
    assert versions == sorted(versions)
    assert len(set(fractions)) >= 3  # five messages a second for more than a second
    assert any(r is not None and r > 0 for r in remaining)
    assert job.eta_s == 0.0
    assert job.elapsed_s > 1.0  # sleeps 1.2 s


def test_submit_later_change_of_parameters_does_not_reach_the_job(cluster, probe):
    experiment = probe.Counting(seed=1)
    job = cluster.submit(experiment)
    experiment.seed = 2
    assert job.result(PATIENCE_S).attrs["seed"] == 1
    assert job.experiment.seed == 1


def test_cancel_running_job_stops_within_a_second_and_stores_nothing(cluster, probe):
    job = cluster.submit(long_count(probe))
    begun(job)
    seen = job.events[-1]["step"]
    job.cancel()
    assert job.wait(PATIENCE_S)
    # One second of steps, counted in steps so that a starved worker does not fail it; the first 10 of them
    # may have been done and not yet told. Measured on an idle machine: 5 to 20.
    assert job.events[-1]["step"] - seen < 1.0 / STEP_S
    assert (job.state, job.error, job.message) == ("cancelled", None, "cancelled")
    assert results.listing() == []
    with pytest.raises(JobError, match="was cancelled"):
        job.result()
    job.cancel()  # again does nothing
    assert job.state == "cancelled"


def test_two_jobs_on_one_worker_the_second_waits_and_then_runs(cluster, probe):
    first = cluster.submit(probe.Counting(steps=20, step_s=0.02))
    second = cluster.submit(probe.Counting(steps=3))
    begun(first)
    assert (second.state, second.message) == ("queued", "waiting for a worker")
    assert second.eta_s is None
    second.result(PATIENCE_S)
    assert first.state == "done"


def test_cancel_queued_job_is_at_once_and_the_running_one_goes_on(cluster, probe):
    first = cluster.submit(probe.Counting(steps=30, step_s=0.02))
    second = cluster.submit(long_count(probe))
    begun(first)
    second.cancel()
    assert second.state == "cancelled"
    assert first.wait(PATIENCE_S)
    assert first.state == "done"
    third = cluster.submit(probe.Counting())
    assert third.wait(PATIENCE_S)  # the cancelled one does not block the worker
    assert second.events == []


def test_error_in_an_experiment_comes_back_as_one_line_and_a_traceback(cluster, probe):
    job = cluster.submit(probe.Failing())
    assert job.wait(PATIENCE_S)
    assert job.state == "failed"
    assert job.error == "Failing stopped with an error: ZeroDivisionError: division by zero"
    assert "probe_experiments.py" in job.traceback
    with pytest.raises(JobError, match="division by zero"):
        job.result()
    assert results.listing() == []


def test_payload_that_is_no_plain_data_fails_the_job_with_what_is_allowed(cluster, probe):
    job = cluster.submit(probe.Refusing())
    assert job.wait(PATIENCE_S)
    assert job.state == "failed"
    assert job.error.startswith("progress.payload = object: cannot be sent")


def test_killed_worker_fails_its_job_in_one_line_and_the_next_job_works(cluster, probe):
    victim = cluster.submit(long_count(probe))
    behind = cluster.submit(probe.Counting(steps=2))
    pid = begun(victim)
    os.kill(pid, signal.SIGKILL)
    assert victim.wait(PATIENCE_S)
    assert victim.state == "failed"
    assert f"worker process {pid} ended while the job ran" in victim.error
    assert "Start the job again" in victim.error
    assert "\n" not in victim.error
    assert behind.wait(PATIENCE_S)  # it only waited for that worker: it runs on the new one
    assert (behind.state, behind.error) == ("done", None)
    assert behind.events[0]["pid"] != pid
    assert behind.events[0]["nice"] == polite()  # the new process is prepared like the first


def test_job_that_never_looks_at_its_progress_is_cancelled_all_the_same(cluster, probe):
    job = cluster.submit(probe.Deaf())
    begun(job)
    job.cancel()
    assert job.state == "running"
    assert job.message == "stopping"
    assert job.wait(PATIENCE_S)
    assert (job.state, job.error) == ("cancelled", None)


def test_worker_that_nobody_restarts_is_replaced_by_a_new_one(cluster, probe):
    running = cluster.submit(long_count(probe))
    waiting = cluster.submit(probe.Counting(steps=2))
    pid = begun(running)
    cluster._cluster._local.scale(0)  # its nanny leaves too
    os.kill(pid, signal.SIGKILL)
    assert running.wait(PATIENCE_S)
    assert running.state == "failed"
    assert "ended while the job ran" in running.error
    assert waiting.wait(PATIENCE_S)
    assert (waiting.state, waiting.error) == ("done", None)


def test_get_from_another_session_is_the_same_job(cluster, probe):
    job = cluster.submit(probe.Counting(), owner="anna")
    assert cluster.get(job.id) is job
    assert cluster.jobs(owner="anna")[0] is job
    assert cluster.jobs()[0] is job
    assert cluster.jobs(owner="nobody") == []


def test_get_after_a_restart_of_the_server_finds_the_stored_run(cluster, probe):
    job = cluster.submit(probe.Counting(seed=4), label="kept")
    ds = job.result(PATIENCE_S)
    found = JobRunner().get(job.id)
    assert (found.id, found.state, found.label, found.run_id) == (job.id, "done", "kept", job.run_id)
    assert found.experiment == probe.Counting(seed=4)
    xr.testing.assert_identical(found.result(), ds)


@pytest.mark.parametrize("job_id", ["", "nonsense", "../x"])
def test_get_unknown_job_says_so(cluster, job_id):
    with pytest.raises(UnknownJob, match="there is no such job"):
        cluster.get(job_id)


def test_get_mistyped_id_names_the_near_miss(cluster, probe):
    job = cluster.submit(probe.Counting())
    with pytest.raises(UnknownJob, match=job.id):
        cluster.get(job.id[:-1])


def test_submit_beyond_the_limit_of_an_owner_is_refused_until_one_ends(cluster, probe):
    first, _ = (cluster.submit(long_count(probe), owner="anna") for _ in range(2))
    with pytest.raises(JobLimit, match=r"jobs.active = 2.*allowed: 2"):
        cluster.submit(probe.Counting(), owner="anna")
    cluster.submit(long_count(probe), owner="ben")
    first.cancel()
    assert first.wait(PATIENCE_S)
    cluster.submit(probe.Counting(), owner="anna")


def test_submit_beyond_the_limit_of_all_is_refused(cluster, probe):
    for _ in range(cluster.max_active):
        cluster.submit(long_count(probe))
    with pytest.raises(JobLimit, match=r"jobs.active = 8: no more jobs"):
        cluster.submit(probe.Counting())


def test_submit_class_a_worker_cannot_find_is_refused(cluster):
    class Local(Experiment):
        def compute(self, progress):
            return xr.Dataset()

    with pytest.raises(JobError, match="cannot find this class"):
        cluster.submit(Local())


def test_result_that_cannot_be_saved_stays_in_memory_until_saved(cluster, probe, tmp_path, monkeypatch):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    monkeypatch.setenv("OHMSCAPE_HOME", str(blocked))
    job = cluster.submit(probe.Counting(seed=8))
    ds = job.result(PATIENCE_S)
    assert (job.state, job.run_id) == ("done", None)
    assert "cannot be written" in job.error
    xr.testing.assert_equal(ds, probe.Counting(seed=8).run())
    with pytest.raises(results.SaveFailed):
        job.save()
    blocked.unlink()
    info = job.save()
    assert (job.run_id, job.error) == (info.run_id, None)
    xr.testing.assert_identical(job.result(), ds)


def test_result_before_the_end_says_how_far_the_job_is(cluster, probe):
    job = cluster.submit(long_count(probe))
    with pytest.raises(JobError, match="is still"):
        job.result(0.01)


def test_submit_from_many_threads_runs_every_job(cluster, probe):
    done = []

    def session(seed):
        job = cluster.submit(probe.Counting(seed=seed, steps=3))
        done.append(job.result(PATIENCE_S).attrs["seed"])

    threads = [threading.Thread(target=session, args=(k,)) for k in range(cluster.max_active)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert sorted(done) == list(range(cluster.max_active))


def test_runner_with_an_address_uses_that_scheduler(cluster, probe):
    other = JobRunner(address=cluster._started()._local.scheduler_address)
    try:
        job = other.submit(probe.Counting(steps=2))
        job.result(PATIENCE_S)
        assert job.state == "done"
        running = other.submit(long_count(probe))
        begun(running)
        running.cancel()
        assert running.wait(PATIENCE_S)
        assert running.state == "cancelled"
    finally:
        other.shutdown()
    after = cluster.submit(probe.Counting())
    after.result(PATIENCE_S)  # a foreign cluster is left running


def test_runner_with_a_dead_address_fails_the_job_and_names_it(probe, monkeypatch):
    from explorer.jobs import cluster as module

    monkeypatch.setattr(module, "CONNECT_S", 0.2)
    dead = JobRunner(address="tcp://127.0.0.1:9")
    try:
        job = dead.submit(probe.Counting())
        assert job.wait(PATIENCE_S)
    finally:
        dead.shutdown()
    assert job.state == "failed"
    assert job.error.startswith("OHMSCAPE_SCHEDULER = 'tcp://127.0.0.1:9': cannot be used")


def test_runner_is_one_for_all_sessions_until_shut_down(monkeypatch):
    jobs.shutdown()  # of what other tests left
    monkeypatch.setenv("OHMSCAPE_SCHEDULER", "tcp://somewhere:8786")
    one = jobs.runner()
    assert jobs.runner() is one
    assert one.address == "tcp://somewhere:8786"
    jobs.shutdown()
    with pytest.raises(JobError, match="was shut down"):
        one.warm()
    assert jobs.runner() is not one
    jobs.shutdown()


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", ""])
def test_number_of_workers_that_is_none_is_refused(monkeypatch, text):
    from explorer.jobs.cluster import default_workers

    monkeypatch.setenv("OHMSCAPE_WORKERS", text)
    with pytest.raises(JobError, match="OHMSCAPE_WORKERS"):
        default_workers()


def test_request_to_a_worker_is_json(probe):
    written = probe.Counting().to_dict()
    assert json.loads(json.dumps(written, allow_nan=False)) == written


def test_submit_parameters_that_json_cannot_carry_are_refused_here(cluster, probe):
    with pytest.raises(ParameterError, match=r"Counting.levels"):
        cluster.submit(probe.Counting(levels=[object()]))

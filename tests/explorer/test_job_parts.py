# SPDX-License-Identifier: Apache-2.0
"""The parts of a job that need no worker process: its bookkeeping and its reporter."""

import threading

import numpy as np
import pytest

from engine.errors import ParameterError
from explorer.experiments import Cancelled, Experiment
from explorer.jobs.job import MAX_EVENTS, Job
from explorer.jobs.worker import INTERVAL_S, MAX_PAYLOAD_BYTES, Reporter, _prepare, one_line, plain
from explorer.results import Store


@pytest.fixture
def job(tmp_path):
    return Job({"schema": 1, "class": "Counting", "parameters": {}}, Store(tmp_path))


def test_job_begins_queued_and_keeps_its_final_state(job):
    assert (job.state, job.fraction, job.finished, job.eta_s, job.elapsed_s) == ("queued", 0.0, False, None, None)
    job.begin(pid=1)
    job.report(0.5, "half", [{"a": 1}])
    assert job.finish("failed", error="x")
    assert not job.finish("done")
    job.report(0.9, "late", [{"a": 2}])
    job.begin(pid=2)
    job.tell("late")
    assert (job.state, job.fraction, job.message, job.events) == ("failed", 0.5, "half", [{"a": 1}])


def test_job_seen_as_finished_is_waited_for_no_more(job):
    job._over.wait = None  # a view may look between the two last steps of finish
    job.finish("failed", error="x")
    assert job.wait(0)


def test_job_every_change_raises_the_version(job):
    seen = [job.version]
    for change in (lambda: job.tell("a"), lambda: job.begin(1), lambda: job.report(0.1, "b", [])):
        change()
        seen.append(job.version)
    assert seen == sorted(set(seen))


def test_job_events_are_bounded_and_positions_stay_valid(job):
    job.begin(1)
    total = 3 * MAX_EVENTS
    position, collected = 0, []
    for start in range(0, total, 100):
        job.report(0.5, "", [{"n": n} for n in range(start, start + 100)])
        new, position = job.events_since(position)
        collected += [e["n"] for e in new]
    assert collected == list(range(total))
    assert MAX_EVENTS <= len(job.events) <= 2 * MAX_EVENTS
    assert job.events[-1] == {"n": total - 1}
    late, end = job.events_since(0)  # a page opened late gets what is left
    assert late == job.events
    assert end == total


def test_job_eta_follows_the_pace_of_the_last_reports(job, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("explorer.jobs.job.time.monotonic", lambda: now[0])
    job.begin(1)
    job.report(0.0, "", [])
    assert job.eta_s is None
    for k in range(1, 41):  # slow for a while, then 1 % a second
        now[0] += 10.0 if k <= 10 else 1.0
        job.report(0.01 * k, "", [])
    assert job.eta_s == pytest.approx(60.0, rel=1e-6)  # exact but for the sums of 0.01
    now[0] += 20.0
    assert job.eta_s == pytest.approx(40.0, rel=1e-6)
    now[0] += 1000.0
    assert job.eta_s == 0.0


def test_job_asked_to_stop_says_stopping_whatever_it_reports(job):
    job.begin(1)
    job.cancel_asked = 0.0
    job.report(0.5, "epoch 3", [])
    assert job.message == "stopping"


def test_prepare_that_fails_is_logged_and_does_not_stop_the_worker(caplog):
    class Broken(Experiment):
        @classmethod
        def prepare(cls):
            raise RuntimeError("no data")

    _prepare(Broken)
    assert "Broken.prepare failed" in caplog.text
    assert "no data" in caplog.text


@pytest.fixture
def sent():
    return []


@pytest.fixture
def make_reporter(sent):
    made = []

    def make(cancel_asked=lambda: False):
        made.append(Reporter(sent.append, cancel_asked))
        return made[-1]

    yield make
    for reporter in made:
        reporter.close()


def test_reporter_many_quick_reports_few_messages_no_payload_lost(make_reporter, sent):
    report = make_reporter()
    for n in range(1000):
        report(n / 1000, f"step {n}", n=n)
    report.close()
    assert [e["n"] for m in sent for e in m["events"]] == list(range(1000))
    assert len(sent) <= 1000 / 200 + 50  # full batches, plus one for every 0.2 s of ten seconds
    assert sent[-1]["message"] == "step 999"


def test_reporter_last_report_before_a_silence_is_sent(sent):
    arrived = threading.Event()
    report = Reporter(lambda message: (sent.append(message), arrived.set()), lambda: False)
    report(0.3, "now a long step")
    assert arrived.wait(100 * INTERVAL_S)
    report.close()
    assert sent == [{"fraction": 0.3, "message": "now a long step", "events": []}]


def test_reporter_cancel_raises_at_the_next_report(make_reporter):
    asked = threading.Event()
    seen = threading.Event()

    def look():
        if asked.is_set():
            seen.set()
            return True
        return False

    report = make_reporter(look)
    report(0.1)
    asked.set()
    assert seen.wait(100 * INTERVAL_S)
    report.close()  # joins the thread that looked
    with pytest.raises(Cancelled):
        report(0.2)


def test_reporter_unreachable_scheduler_does_not_stop_the_work(make_reporter, sent):
    tries = threading.Semaphore(0)

    def look():
        tries.release()
        raise OSError("no answer")

    report = make_reporter(look)
    for _ in range(2):
        assert tries.acquire(timeout=100 * INTERVAL_S)
    report(0.5, "goes on")
    report.close()
    assert sent[-1]["message"] == "goes on"


def test_reporter_large_payload_is_refused(make_reporter):
    with pytest.raises(ParameterError, match=f"more than {MAX_PAYLOAD_BYTES} bytes"):
        make_reporter()(0.5, "x", values=[0.1] * MAX_PAYLOAD_BYTES)


def test_reporter_fraction_out_of_range_is_refused(make_reporter):
    with pytest.raises(ParameterError, match="share of the work"):
        make_reporter()(1.5)


def test_plain_numpy_values_become_python_values():
    got = plain({"a": np.float32(0.5), "b": np.arange(3), "c": (1, None), 4: np.bool_(True)})
    assert got == {"a": 0.5, "b": [0, 1, 2], "c": [1, None], "4": True}
    assert type(got["4"]) is bool


@pytest.mark.parametrize("value", [object(), 2**63, -(2**63) - 1, {1, 2}, b"x", [object()]])
def test_plain_anything_else_is_refused(value):
    with pytest.raises(ParameterError, match="cannot be sent"):
        plain(value)


def test_one_line_long_text_with_breaks_is_one_bearable_line():
    text = one_line(ValueError("a\n  b\n" + "c" * 1000))
    assert text.startswith("a b ccc")
    assert "\n" not in text
    assert len(text) == 500
    assert one_line(ValueError()) == "ValueError"

# SPDX-License-Identifier: Apache-2.0
"""Training in the browser: start, watch, cancel, come back, survive the loss of the worker."""

import psutil
import pytest
from lab_page import LabPage

ACCURACY = "Test accuracy (%)"
LONG = "2000"  # epochs: nobody waits for the end of these


@pytest.fixture(scope="module")
def visitor(browser, app_url):
    page = browser.new_page()
    lab = LabPage(page, app_url)
    lab.tab("Train")
    yield lab
    page.close()


@pytest.fixture
def lab(visitor):
    """One page for all tests: to open it costs seconds."""
    lab = visitor
    yield lab
    if lab.button("Cancel").is_visible():  # leave no job behind for the next test
        lab.button("Cancel").click()
        lab.sees("Cancelled", exact=True)
    assert lab.errors == []


def start(lab, epochs):
    lab.fill("Epochs", epochs)
    names = ("Start training", "Run again", "Re-run with the current device")  # the last where a knob was moved since
    first, *others = (lab.button(name) for name in names)
    for other in others:
        first = first.or_(other)
    first.click()
    lab.sees("Running", exact=True)


def test_training_is_started_watched_and_cancelled(lab):
    start(lab, LONG)
    lab.wait_for_points(ACCURACY, 2)
    seen = max(lab.points(ACCURACY))
    lab.wait_for_points(ACCURACY, seen + 1)
    lab.button("Cancel").click()
    lab.sees("Cancelled", exact=True)
    assert max(lab.points(ACCURACY)) > seen  # what was learnt stays on show
    assert lab.button("Run again").is_enabled()


def test_reloaded_page_has_its_device_and_follows_its_training_again(lab):
    lab.fill("dw_min, number", "0.002")
    start(lab, LONG)
    lab.wait_for_points(ACCURACY, 1)
    lab.page.wait_for_url("**state=**")
    address = lab.page.url
    lab.open(address)
    lab.tab("Train")
    lab.sees("Running", exact=True)
    assert lab.box("dw_min, number").input_value() == "0.002"
    assert not lab.page.get_by_text("Stale", exact=True).is_visible()
    lab.wait_for_points(ACCURACY, max(2, max(lab.points(ACCURACY), default=0) + 1))


def test_knob_moved_during_a_training_marks_it_stale_and_back_again(lab):
    start(lab, LONG)
    lab.fill("dw_min, number", "0.003")
    lab.sees("Stale", exact=True)
    lab.sees("Restart with the current device")
    lab.button("Undo").first.click()
    lab.page.get_by_text("Stale", exact=True).wait_for(state="hidden")


def test_killed_worker_gives_one_line_and_the_next_training_runs(lab, served_apps):
    start(lab, LONG)
    lab.wait_for_points(ACCURACY, 1)
    children = psutil.Process(served_apps.process.pid).children(recursive=True)
    workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    assert workers
    for worker in workers:
        worker.kill()
    lab.sees("Failed", exact=True)
    lab.sees("ended while the job ran")
    lab.fill("Epochs", "1")
    lab.button("Run again").click()
    lab.sees("Finished", exact=True)
    lab.sees("Floating point", exact=True)
    assert not lab.page.get_by_text("ended while the job ran").is_visible()

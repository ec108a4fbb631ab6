# SPDX-License-Identifier: Apache-2.0
"""The workers beside the event loop: which requests are answered, and how changes reach the page."""

import asyncio
import threading

import pytest
from bokeh.document import Document
from panel.io.state import set_curdoc

from explorer.views.live import InOrder, LatestWins, served, together


def answers(worker_class):
    """Send three requests while the first is still computed; return what was drawn."""
    drawn, go = [], threading.Event()

    def compute(asked):
        go.wait(10)
        return asked

    async def send():
        worker = worker_class(compute, drawn.append)
        for asked in "abc":
            worker.request(asked)
            await asyncio.sleep(0)  # lets the worker take the first one
        assert worker.waiting
        go.set()
        await worker._task
        assert not worker.waiting

    asyncio.run(send())
    return drawn


def test_latest_wins_requests_meanwhile_answers_the_first_and_the_last():
    assert answers(LatestWins) == ["a", "c"]


def test_in_order_requests_meanwhile_answers_every_one():
    assert answers(InOrder) == ["a", "b", "c"]


@pytest.mark.parametrize("worker_class", [LatestWins, InOrder])
def test_worker_without_a_loop_answers_at_once(worker_class):
    drawn = []
    worker = worker_class(str.upper, drawn.append)
    worker.request("a")
    assert drawn == ["A"]
    assert not worker.waiting


def test_changes_in_a_notebook_are_not_held_back():
    document = Document()  # without a session, as in a notebook: Panel would drop what was held
    with set_curdoc(document):
        assert not served()
        with together():
            assert document.callbacks.hold_value is None

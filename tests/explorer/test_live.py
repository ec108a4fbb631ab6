# SPDX-License-Identifier: Apache-2.0
"""The workers beside the event loop: which requests are answered, and how changes reach the page."""

import asyncio
import threading

import numpy as np
import panel as pn
import pytest
from bokeh.document import Document
from bokeh.server.contexts import BokehSessionContext, _RequestProxy
from bokeh.server.session import ServerSession
from panel.io.state import set_curdoc
from tornado.ioloop import IOLoop

from explorer.fitting import read_measured
from explorer.views.live import InOrder, LatestWins, served, together
from explorer.views.measured_files import example_csv
from explorer.views.measured_plot import MeasuredPlot
from explorer.views.response_plots import CurvePlot
from explorer.views.training_data import History
from explorer.views.training_plots import TrainingPlots


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


MEASURED = read_measured(example_csv().encode()).normalise()
HISTORY = History(epochs=1)
HISTORY.add({"kind": "analog", "seed_index": 0, "epoch": 1, "seconds": 1, "loss": 1, "accuracy": 0.5,
             "test_accuracy": 0.5})  # fmt: skip
# What is drawn by a callback itself and not by a worker.
DRAWN_AT_ONCE = {
    "training": (TrainingPlots, lambda view: view.draw(HISTORY, None)),
    "comparison": (TrainingPlots, lambda view: view.compare([("earlier", HISTORY)])),
    "stale": (TrainingPlots, lambda view: view.fade(True)),
    "measured": (MeasuredPlot, lambda view: view.draw(MEASURED, 1.0, "w")),
    "fit": (MeasuredPlot, lambda view: view.fit(None)),
    "overlay": (CurvePlot, lambda view: view.overlay({"pulse": np.arange(2.0), "w": np.zeros(2)})),
}


@pytest.fixture
def own_documents(monkeypatch):
    """Bokeh's list of current documents, put back afterwards: a refused change leaves its document there."""
    monkeypatch.setattr("bokeh.io.doc._PATCHED_CURDOCS", [])


def draw_without_lock(make, draw):
    """Draw in a served page whose document nobody has locked: Bokeh refuses changes that are not held."""

    async def page():
        doc = Document()
        context = BokehSessionContext("page", None, doc)
        context._request = _RequestProxy(None)
        context._set_session(ServerSession("page", doc, IOLoop.current()))
        doc._session_context = lambda: context
        pn.state._loaded[doc] = pn.state._connected[doc] = True
        with set_curdoc(doc):
            pn.state._thread_id = threading.get_ident()
            view = make()
            with together():
                doc.add_root(pn.panel(getattr(view, "view", view)).get_root(doc))
            draw(view)
            assert doc.callbacks.hold_value is None
            await asyncio.sleep(0)  # what was held is sent

    asyncio.run(page())


@pytest.mark.parametrize("name", DRAWN_AT_ONCE)
def test_drawing_in_a_callback_without_the_documents_lock_is_let_through(name, own_documents):
    draw_without_lock(*DRAWN_AT_ONCE[name])


def test_change_of_a_source_without_the_documents_lock_is_refused_by_bokeh(own_documents):
    def change(view):
        view.measured.data = {"pulse": [], "w": []}

    with pytest.raises(RuntimeError, match="document lock"):  # else the tests above show nothing
        draw_without_lock(CurvePlot, change)

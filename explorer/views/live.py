# SPDX-License-Identifier: Apache-2.0
"""Plots that follow a slider: compute beside the event loop, keep only the newest request, draw under the lock."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Generic, TypeVar

import panel as pn
from panel.viewable import Viewable

log = logging.getLogger(__name__)

Asked = TypeVar("Asked")
Found = TypeVar("Found")

SLIDER_DEBOUNCE_MS = 0
"""The latest-wins worker holds back what is too much, so the slider itself need not wait."""

AFTER_CURVE_MS = 30
"""What need not move with the slider waits so long: by then the server has sent the curve that the user looks at."""


def undelayed(cls: type) -> type:
    """Take Panel's hidden 50 ms wait off a widget class of ours, and the busy sign that nobody shows (a decorator)."""
    if hasattr(cls, "_debounce"):  # private in Panel; a test tells when it is gone
        cls._debounce = SLIDER_DEBOUNCE_MS
    if hasattr(cls, "_busy__ignore"):  # private too
        cls._busy__ignore = ["value"]
    return cls


def served() -> bool:
    """Whether there is a page of our own; in a notebook the page belongs to JupyterLab."""
    doc = pn.state.curdoc
    return doc is not None and doc.session_context is not None


def together() -> AbstractContextManager:
    """Send what changes in the block to the page as one message.

    In a notebook each change travels by itself: there Panel takes a held change for one that the page will get when it
    connects, and drops it.
    """
    return pn.io.hold(pn.state.curdoc) if served() else nullcontext()


def in_one_message(draw: Callable[..., Any]) -> Callable[..., Any]:
    """Make a method that changes raw Bokeh models one that may be called from any callback (a decorator).

    Panel runs a click without the document's lock while a typed value is still on its way, as when a user leaves a
    field by pressing a button. Bokeh refuses changes then, unless they are held and sent together.
    """

    @functools.wraps(draw)
    def held(*args: Any, **kwargs: Any) -> Any:
        with together():
            return draw(*args, **kwargs)

    return held


def refresh(*views: Viewable) -> None:
    """Send changes of raw Bokeh sources to a notebook; a served page needs no such push."""
    if not served():
        pn.io.push_notebook(*views)


class Later:
    """Calls ``act`` a little after a change, once for all changes until then; at once where there is no page.

    Parameters
    ----------
    act : callable
        Takes nothing; runs with the document's lock.
    after_ms : int
        Milliseconds from the first of the changes.
    rested : bool
        From the last of them instead: ``act`` waits until the state rests.
    """

    def __init__(self, act: Callable[[], Any], after_ms: int = AFTER_CURVE_MS, *, rested: bool = False):
        self._act, self._after_ms, self._rested = act, after_ms, rested
        self._waiting: Any = None

    def changed(self, *events: Any) -> None:
        """Something has changed."""
        if not served():
            self._act()
            return
        doc = pn.state.curdoc
        if self._waiting is not None:
            if not self._rested:
                return
            doc.remove_timeout_callback(self._waiting)
        self._waiting = doc.add_timeout_callback(self._over, self._after_ms)

    def _over(self) -> None:
        self._waiting = None
        with together():
            self._act()


class LatestWins(Generic[Asked, Found]):
    """Compute answers to requests one at a time; of the requests that come meanwhile only the last counts.

    Parameters
    ----------
    compute : callable
        Request to answer; runs in a thread and touches nothing that is drawn.
    draw : callable
        Takes the answer; runs with the document's lock, so that it may change Bokeh sources.
    failed : callable, optional
        Takes the exception of a computation that failed; runs with the lock too.
    views : tuple of Viewable
        What `draw` changes, to be pushed in a notebook.

    Notes
    -----
    Without a running event loop (scripts, tests) a request is computed and drawn before `request` returns.
    """

    def __init__(
        self,
        compute: Callable[[Asked], Found],
        draw: Callable[[Found], None],
        failed: Callable[[Exception], None] | None = None,
        views: tuple[Viewable, ...] = (),
    ):
        self._compute, self._draw, self._failed, self._views = compute, draw, failed, views
        self._waiting: list[Asked] = []  # one at most here, see `InOrder`
        self._task: asyncio.Task | None = None
        self._doc = pn.state.curdoc
        self.computed = 0

    @property
    def busy(self) -> bool:
        """Whether a computation runs or waits."""
        return bool(self._waiting) or (self._task is not None and not self._task.done())

    @property
    def waiting(self) -> bool:
        """Whether a request waits behind the one that is computed or drawn."""
        return bool(self._waiting)

    def request(self, asked: Asked) -> None:
        """Ask for an answer; replaces a request that still waits."""
        self._queue(asked)
        if self._task is not None and not self._task.done():
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.now(asked)
            return
        self._task = loop.create_task(self._work())

    def now(self, asked: Asked) -> None:
        """Compute and draw before returning; for the first picture of a page."""
        self._waiting = []
        self._show(*self._answer(asked))

    def _queue(self, asked: Asked) -> None:
        self._waiting = [asked]

    async def _work(self) -> None:
        while self._waiting:
            answer = await asyncio.to_thread(self._answer, self._waiting.pop(0))
            await self._locked(lambda answer=answer: self._show(*answer))

    def _answer(self, asked: Asked) -> tuple[Found | None, Exception | None]:
        self.computed += 1
        try:
            return self._compute(asked), None
        except Exception as problem:  # shown to the user by `failed`; a dead worker would show nothing at all
            log.debug("computation failed", exc_info=True)
            return None, problem

    def _show(self, found: Found | None, problem: Exception | None) -> None:
        with together():
            if problem is None:
                self._draw(found)
            elif self._failed is not None:
                self._failed(problem)
            else:
                raise problem
        refresh(*self._views)

    async def _locked(self, change: Callable[[], Any]) -> None:
        """Run ``change`` where models may be touched, and wait until it has run."""
        doc = pn.state.curdoc or self._doc
        if doc is None or doc.session_context is None:  # a notebook: there is no lock
            change()
            return
        done = asyncio.get_running_loop().create_future()

        def locked() -> None:
            try:
                change()
            finally:
                if not done.done():
                    done.set_result(None)

        doc.add_next_tick_callback(locked)
        await done


class InOrder(LatestWins[Asked, Found]):
    """As `LatestWins`, but every request is answered, in the order they came: for files, not for sliders."""

    def _queue(self, asked: Asked) -> None:
        self._waiting.append(asked)

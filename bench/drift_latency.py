# SPDX-License-Identifier: Apache-2.0
"""Drift lab: seconds from a knob's move to its quick estimate, in Chromium, idle and during a full run.

    python -m bench.drift_latency [--network NAME] [--every K] [--json FILE]

Every knob of the sidebar, or every Kth, is moved once: sliders to another place, switches and lists to another entry.
The clock starts when the widget's value is set in the page, or the entry of a list is clicked, and stops when the page
calls its curve an estimate again, no longer stale. The drawn means have to be those of the estimate computed here for
the new value.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np
from playwright.sync_api import Page, sync_playwright

from bench.machine import load, machine
from bench.slider_latency import START_LIMIT_S, chromium, served
from explorer.experiments.quick import quick
from explorer.labs import link
from explorer.labs.drift_state import DriftState
from explorer.views.bits_field import resolution
from explorer.views.fields import Scale
from explorer.views.takeaway import STATE_ARGUMENT

LIMIT_S = 30
READS = "1000"  # of the full run meanwhile: it lasts longer than all moves, and is cancelled
_BITS = ("inp_res", "out_res")
# Chips, reads and samples are the full run's; a network is fine-tuned for the hardware once, which takes longer.
_LEFT_OUT = ("network", "n_chips", "n_read", "samples", "seed", "training")

# Waits until the curve was stale and is an estimate again; gives milliseconds and the means drawn. It sets a widget
# first, or, where it is given no value, waits for a click: a list shows only what was chosen from its menu.
_MOVE = """([label, value]) => { window.told = new Promise(resolve => {
  const models = [...Bokeh.documents[0]._all_models.values()]
  // one that is on the page: rows that a change of devices has replaced may still be known
  const there = models.filter(m => m.data?.label === label && Bokeh.index.find_one_by_id(m.id))
  const widget = there.find(m => 'value' in m.data && !('placeholder' in m.data)) ?? there[0]
  const chip = () => [...Bokeh.documents[0]._all_models.values()]
    .map(m => m.data?.label).find(l => ['Stale', 'Estimate'].includes(l))
  if (!widget) { resolve({missing: label}); return }
  const drawn = () => {
    const figure = [...Bokeh.documents[0]._all_models.values()]
      .find(m => m.type === 'Figure' && m.left[0].axis_label === 'Accuracy (%)')
    return figure.renderers.map(r => r.data_source.data).find(d => (d.mean ?? d.get?.('mean')) !== undefined)
  }
  let started, before, stale = false
  // both words may come between two looks
  for (const m of Bokeh.documents[0]._all_models.values())
    if (m.data?.label === chip()) m.data.properties.label.change.connect(() => { if (chip() === 'Stale') stale = true })
  const look = () => {
    const now = performance.now(), word = chip()
    if (word === 'Stale') stale = true
    // an estimate may be there before the page has said that the old one is stale
    if (word === 'Estimate' && (stale || drawn() !== before)) {
      const data = drawn()
      resolve({ms: now - started, mean: Array.from(data.mean ?? data.get('mean'))})
    } else if (now - started > 30000) resolve({late: word})
    else setTimeout(look, 5)
  }
  const start = () => { started = performance.now(); before = drawn(); look() }
  if (value === null) { document.addEventListener('click', start, {once: true, capture: true}); return }
  start()
  widget.data.value = value
}) }"""


@contextlib.contextmanager
def opened(url: str, network: str) -> Iterator[Page]:
    """Open the drift lab in Chromium with all groups of parameters open."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium.find()), args=list(chromium.FLAGS))
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(START_LIMIT_S * 1000)
        page.goto(f"{url}drift_lab?{STATE_ARGUMENT}={quote(link.encode(DriftState(network=network)))}")
        page.get_by_text("quick estimate").first.wait_for(timeout=START_LIMIT_S * 1000)
        yield page
        browser.close()


def settle(page: Page) -> None:
    """Wait until the last change is undone and the rows of its devices stand again, all groups open."""
    page.get_by_text("Class defaults").first.wait_for()
    page.get_by_text("Estimate", exact=True).first.wait_for()
    page.wait_for_timeout(1000)  # echoes of old values end
    closed = page.locator(".MuiAccordionSummary-root[aria-expanded=false]")
    for _ in range(closed.count()):
        closed.first.click()  # what is opened is no longer among them
        page.wait_for_timeout(100)
    page.wait_for_timeout(500)


def moved(state: DriftState, name: str) -> tuple[object, object] | None:
    """Return another value of a knob and what its widget takes for it (of a list: the entry's place), or None."""
    about, now = state.drift.describe(name), getattr(state.drift, name)
    if about["kind"] == "flag":
        return not now, not now
    if about["kind"] == "choice":
        options = about["objects"].values() if isinstance(about["objects"], dict) else about["objects"]
        for place, other in enumerate(options):
            if other != now and _same(state).set(**{name: other}):
                return other, place
        return None
    if about["kind"] != "number":
        return None
    if name in _BITS:
        return resolution(5), 5
    scale = Scale(about, now)
    for share in (0.4, 0.6, 0.1, 0.9):
        at = scale.start + share * (scale.end - scale.start)
        at = round(at / scale.step) * scale.step
        value = scale.value(at)
        if value != now and _same(state).set(**{name: value}):
            return value, at
    return None


def _same(state: DriftState) -> DriftState:
    return DriftState(network=state.experiment.network, scenarios=[s.copy() for s in state.experiment.scenarios])


def move(page: Page, name: str, network: str) -> float | None:
    """Move one knob and take it back; return the seconds to its estimate after checking it."""
    state = DriftState(network=network)
    found = moved(state, name)
    if found is None:
        return None
    value, position = found
    settle(page)
    if state.drift.describe(name)["kind"] == "choice":
        page.get_by_role("combobox", name=re.compile(rf"^{name}(\s|$)")).click()  # the name and the entry
        entry = page.get_by_role("menuitem").nth(position)
        entry.wait_for()
        page.wait_for_timeout(500)  # the menu stands
        page.evaluate(_MOVE, [name, None])
        entry.click()
    else:
        page.evaluate(_MOVE, [name, position])
    told = page.evaluate("() => window.told")
    if "ms" not in told:
        raise SystemExit(f"no estimate within {LIMIT_S} s of moving {name} to {value}: {told}")
    state.set(**{name: value})
    wanted = 100 * quick(state.experiment, state.scenario).run().accuracy_mean.values[0]
    if not np.allclose(told["mean"], wanted, atol=1e-9, equal_nan=True):
        raise SystemExit(f"wrong answer: the drawn means are not those of {name} = {value}")
    page.get_by_role("button", name="Undo the last change").click()
    return told["ms"] / 1000


def run(page: Page, name: str, network: str, every: int) -> dict:
    """Move every knob once, or each of so many; returns the row."""
    seconds = {}
    knobs = [knob for knob in DriftState(network=network).drift.fields() if knob not in _LEFT_OUT]
    for knob in knobs[::every]:
        if (took := move(page, knob, network)) is not None:
            seconds[knob] = took
            print(f"{name}: {knob} {took:.2f} s", file=sys.stderr, flush=True)
    values = list(seconds.values())
    slowest = max(seconds, key=seconds.get)
    return {"while": name, "network": network,
            "median_s": float(np.median(values)), "p95_s": float(np.quantile(values, 0.95)), "max_s": max(values),
            "slowest": slowest, "knobs": len(values), "seconds": seconds}  # fmt: skip


@contextlib.contextmanager
def full_run(page: Page) -> Iterator[None]:
    """Let a full run be under way in the worker of the server."""
    settle(page)
    page.get_by_role("textbox", name="n_read, number").fill(READS)
    page.get_by_role("textbox", name="n_read, number").press("Tab")
    page.get_by_role("button", name="Full run").click()
    page.get_by_text("Running", exact=True).wait_for(timeout=START_LIMIT_S * 1000)
    page.get_by_role("button", name="Undo the last change").click()
    page.wait_for_timeout(2000)
    yield
    page.get_by_text("Running", exact=True).wait_for(timeout=1000)  # else the row says nothing of a full run
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("Cancelled", exact=True).wait_for(timeout=START_LIMIT_S * 1000)


def main() -> None:
    """Time both cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="also write the result there")
    parser.add_argument("--network", default="mlp-digits", help="name in the gallery")
    parser.add_argument("--every", type=int, default=1, help="move one of so many knobs only")
    options = parser.parse_args()
    asked = options.network, options.every
    with served() as url:
        with opened(url, options.network) as page:
            rows = [run(page, "idle", *asked)]
        with opened(url, options.network) as page, full_run(page):  # a page keeps its estimates
            rows.append(run(page, "full run", *asked))
    for row in rows:
        print(f"{row['while']}: median {row['median_s']:.2f} s, 95 % below {row['p95_s']:.2f} s, longest "
              f"{row['max_s']:.2f} s ({row['slowest']}), {row['knobs']} knobs")  # fmt: skip
    checked = {"means_equal": sum(row["knobs"] for row in rows)}
    result = {"benchmark": "drift_latency", "machine": machine(), "load": load(), "checked": checked, "rows": rows}
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""Device lab: milliseconds from a slider's move to the redrawn curve, in Chromium, idle and during a training.

    python -m bench.slider_latency [--moves 50] [--json FILE]

The clock starts when the slider's value is set in the page and stops at the last paint of the pulse response with the
data of the new value; 200 devices, 400 pulses, five moves before to warm up. Every move checks its answer: the drawn
median has to be, bit for bit, the one computed here for the new value.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

sys.path.append(str(Path(__file__).resolve().parent.parent / "tools"))
import chromium

from bench.machine import load, machine
from engine import presets
from explorer.views.fields import Scale
from explorer.views.response_data import Request, respond

PRESET, PARAMETER = "reram_exp_hfo2_2018", "dw_min"
N_DEVICES, N_PULSES, SEED = 200, 400, 0
WARM_UP = 5
START_LIMIT_S = 120
EPOCHS = "2000"  # of the training that runs meanwhile; it is cancelled at the end

# Keeps the time of every paint of the pulse response, the plot over the number of pulses.
_WATCH = """() => {
  window.latency = {paints: []}
  for (const model of Bokeh.documents[0]._all_models.values()) {
    if (model.type === 'Figure' && model.below[0].axis_label === 'Pulse number') {
      window.latency.source = model.renderers.map(r => r.data_source).find(s => s.data.median ?? s.data.get?.('median'))
      const view = Bokeh.index.find_one_by_id(model.id), paint = view._actual_paint
      view._actual_paint = function () {
        paint.apply(this, arguments)
        window.latency.paints.push([performance.now(), window.latency.changed])
      }
    }
  }
  window.latency.source.change.connect(() => { window.latency.changed = performance.now() })
}"""
# Sets the slider and waits until the plot has been painted with new data and then left alone for a while.
_MOVE = """([label, position]) => new Promise(resolve => {
  const slider = [...Bokeh.documents[0]._all_models.values()].find(m => m.data?.label === label && 'start' in m.data)
  const {source, paints} = window.latency, started = performance.now()
  paints.length = 0
  slider.data.value = position
  const look = () => {
    const now = performance.now(), last = paints.filter(([, changed]) => changed > started).at(-1)
    if (last && now - last[0] > 150) {
      const data = source.data
      resolve({ms: last[0] - started, median: Array.from(data.median ?? data.get('median'))})
    } else if (now - started > 10000) resolve(null)
    else setTimeout(look, 5)
  }
  look()
})"""


@contextlib.contextmanager
def served() -> Iterator[str]:
    """Start a server as a user does and give its address."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "server.json"
        command = [sys.executable, "-m", "explorer.cli", "serve", "--port", "0", "--no-browser", "--json", str(answer)]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            end = time.monotonic() + START_LIMIT_S
            while not answer.exists():
                if server.poll() is not None or time.monotonic() > end:
                    raise SystemExit("the server did not start; try: ohmscape serve")
                time.sleep(0.1)
            yield json.loads(answer.read_text())["url"]
        finally:
            server.terminate()
            server.wait()


@contextlib.contextmanager
def opened(url: str) -> Iterator[Page]:
    """Open the device lab in Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium.find()), args=list(chromium.FLAGS))
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{url}device_lab")
        page.wait_for_function("window.Bokeh?.documents[0]?.is_idle", timeout=START_LIMIT_S * 1000)
        page.wait_for_timeout(1000)
        page.evaluate(_WATCH)
        yield page
        browser.close()


def move(page: Page, scale: Scale, position: float) -> float:
    """Move the slider; return the milliseconds to the redrawn curve after checking that it is the new one."""
    told = page.evaluate(_MOVE, [PARAMETER, position])
    if told is None:
        raise SystemExit(f"no redrawn curve within 10 s of moving {PARAMETER} to {scale.value(position):g}")
    device = presets.load(PRESET).copy(**{PARAMETER: scale.value(position)})
    wanted = respond(Request(device, N_DEVICES, N_PULSES, SEED)).curves["median"]
    if not np.array_equal(np.float32(told["median"]), wanted):
        raise SystemExit(f"wrong answer: the drawn median is not that of {PARAMETER} = {scale.value(position):g}")
    return told["ms"]


def run(page: Page, name: str, moves: int) -> dict:
    """Time ``moves`` moves over one decade, back and forth; returns the row."""
    scale = Scale(presets.load(PRESET).describe(PARAMETER))
    there = np.linspace(-3, -2, moves // 2 + WARM_UP)
    positions = np.concatenate([there, there[::-1] + 0.5 * scale.step])[: moves + WARM_UP]
    times = [move(page, scale, round(float(p), 4)) for p in positions][WARM_UP:]
    median, p95 = np.percentile(times, [50, 95])
    return {"while": name, "median_ms": float(median), "p95_ms": float(p95), "max_ms": max(times), "moves": len(times)}


@contextlib.contextmanager
def training(page: Page) -> Iterator[None]:
    """Train a network with the device on show, in the worker of the server that answers the slider."""
    page.get_by_role("tab", name="Train").click()
    page.get_by_role("textbox", name="Epochs").fill(EPOCHS)
    page.get_by_role("textbox", name="Epochs").press("Tab")
    page.get_by_role("button", name="Start training").click()
    page.get_by_text("Running", exact=True).wait_for(timeout=START_LIMIT_S * 1000)
    page.wait_for_timeout(3000)  # past the first epochs
    yield
    page.get_by_text("Running", exact=True).wait_for(timeout=1000)  # else the rows say nothing of a training
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("Cancelled", exact=True).wait_for(timeout=START_LIMIT_S * 1000)


def main() -> None:
    """Time both cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moves", type=int, default=50, help="moves that are timed")
    parser.add_argument("--json", type=Path, help="also write the result there")
    options = parser.parse_args()
    with served() as url, opened(url) as page:
        rows = [run(page, "idle", options.moves)]
        with training(page):
            rows.append(run(page, "training, its tab on show", options.moves))
    for row in rows:
        print(f"{row['while']}: median {row['median_ms']:.0f} ms, 95 % below {row['p95_ms']:.0f} ms, "
              f"longest {row['max_ms']:.0f} ms, {row['moves']} moves")  # fmt: skip
    checked = {"medians_equal": 2 * (options.moves + WARM_UP)}
    result = {"benchmark": "slider_latency", "machine": machine(), "load": load(), "checked": checked, "rows": rows}
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

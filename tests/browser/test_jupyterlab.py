# SPDX-License-Identifier: Apache-2.0
"""The tutorial in a real JupyterLab: run all cells, move a slider in the cell, see the plot change."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

pytest.importorskip("jupyterlab", reason="JupyterLab is not installed (pip install ohmscape[lab])")

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "01_first_pulse.ipynb"
START_LIMIT_S = 120
WAIT_MS = 180_000  # a kernel's cold imports and the first picture, on a busy two-core machine
_STATES = "div.tile:first-child .value"


@pytest.fixture
def jupyterlab(tmp_path: Path):
    """Address of a JupyterLab that shows a copy of the tutorial, with settings of its own."""
    shutil.copy(NOTEBOOK, tmp_path)
    own = {f"JUPYTER_{part}_DIR": str(tmp_path / part.lower()) for part in ("CONFIG", "DATA", "RUNTIME")}
    options = ["--no-browser", "--ip=127.0.0.1", "--port=0", "--allow-root", "--IdentityProvider.token=",
               f"--ServerApp.root_dir={tmp_path}", "--LabApp.news_url=None"]  # fmt: skip
    log = tmp_path / "jupyterlab.log"
    with log.open("w") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options], cwd=tmp_path, env=os.environ | own, stdout=out,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield _address(server, log)
    finally:
        server.terminate()
        server.wait(30)


def _address(server: subprocess.Popen, log: Path) -> str:
    end = time.monotonic() + START_LIMIT_S
    while time.monotonic() < end and server.poll() is None:
        found = re.search(r"http://127\.0\.0\.1:\d+/lab", log.read_text())
        if found:
            return found.group()
        time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()}")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_tutorial_in_jupyterlab_slider_in_the_cell_changes_the_plot(jupyterlab, page, tmp_path):
    saved = tmp_path / NOTEBOOK.name
    assert not any(c.get("execution_count") for c in json.loads(saved.read_text())["cells"])
    errors, outside = [], []
    page.set_default_timeout(WAIT_MS)
    expect.set_options(timeout=WAIT_MS)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: outside.append(request.url) if _is_outside(request.url) else None)
    page.goto(f"{jupyterlab}/tree/{NOTEBOOK.name}")
    page.get_by_text("Python 3 (ipykernel)").first.wait_for()
    _choose(page, "Run", "Run All Cells")

    # a cell below the lab has set w_max; the change came before the page could hear
    expect(page.get_by_role("textbox", name="w_max, number", exact=True)).to_have_value("0.8")
    canvas = page.locator(".jp-OutputArea canvas").first
    states, before = page.locator(_STATES).first, _stable_picture(canvas)
    told = states.inner_text()
    page.get_by_role("slider", name="dw_min", exact=True).focus()
    page.keyboard.press("PageUp")
    expect(page.get_by_role("textbox", name="dw_min, number")).not_to_have_value("0.00135")
    expect(states).not_to_have_text(told)
    moved = _stable_picture(canvas)
    assert moved != before

    page.get_by_role("button", name="Undo the last change").click()
    expect(page.get_by_role("textbox", name="dw_min, number")).to_have_value("0.00135")
    expect(states).to_have_text(told)
    assert _stable_picture(canvas) != moved
    _wait_for_cells(saved, lambda: _choose(page, "File", "Save Notebook"))
    assert errors == []
    assert outside == []


def _choose(page, menu: str, command: str) -> None:
    """Choose a command from a menu: JupyterLab's keys do nothing while a widget in a cell has the focus."""
    page.get_by_role("menuitem", name=menu, exact=True).click()
    page.get_by_text(command, exact=True).click()


def _wait_for_cells(notebook: Path, save: Callable[[], None]) -> None:
    """Wait until the saved notebook has every cell of code executed, and fail for one that ended in an error.

    Cells below the lab may still run when its plot has changed, so it is saved until they have.
    """
    end = time.monotonic() + WAIT_MS / 1000
    while time.monotonic() < end:
        save()
        time.sleep(2)
        try:
            cells = [c for c in json.loads(notebook.read_text())["cells"] if c["cell_type"] == "code"]
        except json.JSONDecodeError:  # it is being written
            continue
        assert cells
        outputs = [o for cell in cells for o in cell["outputs"]]
        assert [o["evalue"] for o in outputs if o["output_type"] == "error"] == []
        if all(cell["execution_count"] for cell in cells):
            return
    pytest.fail("the notebook was not saved with all its cells executed")


def _stable_picture(canvas) -> str:
    """Return the canvas as a data URL once two looks at it, half a second apart, agree."""
    last = None
    for _ in range(60):
        now = canvas.evaluate("canvas => canvas.toDataURL()")
        if now == last:
            return now
        last = now
        time.sleep(0.5)
    pytest.fail("the plot never came to rest")


def _is_outside(address: str) -> bool:
    return not address.startswith(("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:"))

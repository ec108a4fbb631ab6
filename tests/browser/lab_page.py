# SPDX-License-Identifier: Apache-2.0
"""A lab in a browser, as the tests see it: tabs, plots, messages; console errors and requests to others are kept."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Locator, Page, expect

WAIT_MS = 120_000  # a page, a file or a worker; on a loaded two-core machine a training took longer than 60 s to end
expect.set_options(timeout=WAIT_MS)
_IDLE = "window.Bokeh && window.Bokeh.documents.length > 0 && window.Bokeh.documents[0].is_idle"
# Points of the renderers of the plot whose y axis has this label, in the order they were drawn.
_POINTS = """label => {
  for (const model of window.Bokeh.documents[0]._all_models.values()) {
    if (model.type !== 'Figure' || model.left[0].axis_label !== label) continue
    const columns = data => data instanceof Map ? [...data.values()] : Object.values(data)
    return model.renderers.map(r => columns(r.data_source.data)[0]?.length ?? 0)
  }
  return []
}"""


class LabPage:
    """One visitor's page."""

    app = "device_lab"

    def __init__(self, page: Page, url: str):
        self.page, self.errors, self.outside = page, [], []
        page.set_default_timeout(WAIT_MS)
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self._asked(request.url, url))
        self.open(f"{url}{self.app}")

    def _asked(self, address: str, own: str) -> None:
        host = own.removeprefix("http://")
        if not address.startswith((own, f"ws://{host}", "data:", "blob:")):
            self.outside.append(address)

    def begin(self) -> None:
        """Take back what the test before has changed, where tests share the page."""

    def open(self, url: str) -> None:
        """Go to an address and wait until everything is there."""
        self.page.goto(url)
        self.until(_IDLE)

    def until(self, condition: str, arg: object = None) -> None:
        """Wait until a function in the page gives true.

        It is asked ten times a second; at every frame, as is the default, it took a core from what it waits for.
        """
        self.page.wait_for_function(condition, arg=arg, polling=100)

    def tab(self, name: str) -> None:
        """Open one of the tabs below the response."""
        self.page.get_by_role("tab", name=name).click()

    def button(self, name: str, *, exact: bool = False) -> Locator:
        """Return a button by its label."""
        return self.page.get_by_role("button", name=name, exact=exact)

    def box(self, name: str) -> Locator:
        """Return a text field by its label."""
        return self.page.get_by_role("textbox", name=name)

    def fill(self, name: str, text: str) -> None:
        """Type into a field and leave it."""
        self.box(name).fill(text)
        self.box(name).press("Tab")

    def drop(self, *files: Path) -> None:
        """Choose files for the upload field that is on show."""
        self.page.locator("input[type=file]").first.set_input_files(files)

    def sees(self, text: str, *, exact: bool = False) -> None:
        """Wait until a text is on the page."""
        expect(self.page.get_by_text(text, exact=exact).first).to_be_visible()

    def points(self, y_label: str) -> list[int]:
        """Return the number of points of each renderer of a plot."""
        return self.page.evaluate(_POINTS, y_label)

    def wait_for_points(self, y_label: str, least: int) -> None:
        """Wait until some curve of a plot has that many points."""
        condition = f"([label, least]) => Math.max(0, ...({_POINTS})(label)) >= least"
        self.until(condition, [y_label, least])

    def wait_for_more_points(self, y_label: str, total: int) -> None:
        """Wait until the curves of a plot have more points in all than ``total``."""
        condition = f"([label, total]) => ({_POINTS})(label).reduce((a, b) => a + b, 0) > total"
        self.until(condition, [y_label, total])

# SPDX-License-Identifier: Apache-2.0
"""The drift lab in the browser: knobs move estimates and weights, full runs come back after a reload, blame answers."""

from __future__ import annotations

from urllib.parse import quote

import numpy as np
import pytest
from lab_page import LabPage
from playwright.sync_api import expect

from engine.errors import PackageError
from explorer import networks
from explorer.experiments.blame import causes_of
from explorer.experiments.drift_accuracy import DriftAccuracy
from explorer.experiments.quick import quick
from explorer.experiments.scenario import Scenario
from explorer.labs import link
from explorer.labs.drift_state import DriftState
from explorer.views.drift_data import LiveChip, Moment
from explorer.views.takeaway import STATE_ARGUMENT

# Named columns of the plots with this y label (null: of all plots), in the order they were drawn.
_COLUMN = """([label, name]) => {
  const found = []
  for (const model of window.Bokeh.documents[0]._all_models.values()) {
    if (model.type !== 'Figure' || (label !== null && model.left[0].axis_label !== label)) continue
    for (const source of new Set(model.renderers.map(r => r.data_source))) {
      const column = source.data instanceof Map ? source.data.get(name) : source.data[name]
      if (column !== undefined) found.push(Array.from(column))
    }
  }
  return found
}"""
_SAME = f"""([where, wanted]) => {{
  const column = ({_COLUMN})(where)[0] ?? []
  return column.length === wanted.length && column.every((v, k) => Math.abs(v - wanted[k]) < 1e-6)
}}"""
_ACCURACY, _COUNTS = "Accuracy (%)", "Weights"


class DriftPage(LabPage):
    """A visitor of the drift lab."""

    app = "drift_lab"

    def column(self, label: str | None, name: str) -> list[list[float]]:
        return self.page.evaluate(_COLUMN, [label, name])

    def waits_for_means(self, wanted: np.ndarray) -> None:
        """Wait until the first curve has these means, percent."""
        self.until(_SAME, [[_ACCURACY, "mean"], (100 * wanted).tolist()])

    def waits_for_estimate(self, scenario: Scenario) -> None:
        """Wait until the first curve is the estimate of a scenario, computed here."""
        ds = quick(DriftAccuracy(), scenario).run()
        self.waits_for_means(ds.accuracy_mean.values[0])


PAGE = DriftPage


def test_page_opens_with_an_estimate(lab):
    lab.waits_for_estimate(Scenario())
    lab.sees("PCM (4 chips, quick estimate)")
    assert lab.page.get_by_role("link", name="Tile lab").get_attribute("href") == "tile_lab"


def test_time_typed_moves_the_weights(lab):
    lab.box("Time").last.fill("1 y")
    lab.box("Time").last.press("Tab")
    found = LiveChip().at(Moment("mlp-digits", Scenario(), 3.1536e7, 0))
    condition = f"([where, wanted]) => ({_COLUMN})(where).some(c => String(c) === String(wanted))"
    lab.until(condition, [[_COUNTS, "count"], found.drifted.tolist()])
    assert found.programmed.tolist() in lab.column(_COUNTS, "count")
    expect(lab.page.locator(".tile", has_text="Slope").first).to_contain_text(f"{found.slope:.3f}")


def test_knob_moved_gives_the_estimate_of_its_value(lab):
    lab.page.get_by_role("combobox", name="Add a scenario").click()
    lab.page.get_by_role("option", name="No compensation").or_(
        lab.page.get_by_role("menuitem", name="No compensation")
    ).first.click()
    lab.sees("No compensation (4 chips, quick estimate)")
    wanted = quick(DriftAccuracy(), Scenario(compensation="none")).run().accuracy_mean.values[0]
    drawn = lab.column(_ACCURACY, "mean")[1]
    np.testing.assert_allclose(drawn, 100 * wanted, atol=1e-6)
    lab.button("Remove").click()
    expect(lab.page.get_by_text("No compensation (4 chips")).to_have_count(0)


def test_full_run_is_drawn_and_found_again_after_reload(lab):
    lab.button("Full run").click()
    lab.sees("PCM (25 chips)")
    lab.waits_for_means(DriftAccuracy().run().accuracy_mean.values[0])
    lab.page.wait_for_url(lambda url: "run=" in url)
    lab.open(lab.page.url)
    lab.sees("PCM (25 chips)")


def test_blame_tells_costs_in_a_sentence(lab):
    lab.tab("Blame")
    lab.button("Blame", exact=True).click()
    lab.sees("points after")
    lab.sees("gained without it")
    assert [len(c) for c in lab.column(None, "cost")] == [len(causes_of(Scenario()))] * 2


def test_times_nonsense_gives_one_message_and_the_session_goes_on(lab):
    lab.box("Times").fill("1s, soon")
    lab.box("Times").press("Tab")
    lab.sees("is no time")
    lab.box("Times").fill("1 s, 1 d")
    lab.box("Times").press("Tab")
    ds = quick(DriftAccuracy(times=[1.0, 86400.0]), Scenario()).run()
    lab.waits_for_means(ds.accuracy_mean.values[0])
    lab.button("Undo the last change").click()
    lab.sees("PCM (25 chips)")


def test_larger_network_says_what_its_estimate_takes(lab):
    try:
        networks.find("resnet8-fashion").exam(2)
    except PackageError as missing:
        pytest.skip(str(missing))
    state = DriftState(network="resnet8-fashion")
    lab.open(f"{lab.page.url.partition('?')[0]}?{STATE_ARGUMENT}={quote(link.encode(state))}")
    small = quick(state.experiment, state.scenario)
    chips = f"{small.n_chips} chip{'s' * (small.n_chips > 1)}"
    lab.sees(f"Estimates of this network take {chips}, {small.samples} samples and")
    lab.waits_for_means(small.run().accuracy_mean.values[0])

# SPDX-License-Identifier: Apache-2.0
"""The tile lab in the browser: a slider moves the picture, bits are bits, wires and tiles answer."""

from __future__ import annotations

import numpy as np
from lab_page import LabPage
from playwright.sync_api import expect

from engine.tiles import periphery_presets
from explorer.experiments.mvm_error import MvmError
from explorer.experiments.tile_map import TileMap
from explorer.experiments.wire_loss import WireLoss
from explorer.views.product_data import multiply
from explorer.views.product_plots import tinted
from explorer.views.tile_map_data import Asked, lay_out

# Numbers of a column of the plots with this y label (and x label, where there are several), one list for each plot.
_COLUMN = """([x, y, name]) => {
  const found = []
  for (const model of window.Bokeh.documents[0]._all_models.values()) {
    if (model.type !== 'Figure' || model.left[0].axis_label !== y || model.below[0].axis_label !== x) continue
    for (const renderer of model.renderers) {
      const data = renderer.data_source.data
      const column = data instanceof Map ? data.get(name) : data[name]
      if (column === undefined) continue
      found.push(name === 'image' ? [...column].map(image => Array.from(image)).flat() : Array.from(column))
    }
  }
  return found
}"""
_SUM = f"""([where, total]) => {{
  const sum = ({_COLUMN})(where).flat().reduce((a, b) => a + b, 0)
  return Math.abs(sum - total) <= 1e-6 * Math.abs(total)
}}"""
# The middle of a tile of the floor plan on the screen.
_TILE = """index => {
  for (const model of window.Bokeh.documents[0]._all_models.values()) {
    if (model.type !== 'Figure') continue
    const source = model.renderers.map(r => r.data_source).find(s => (s.data.room_right ?? s.data.get?.('room_right')))
    if (!source) continue
    const get = name => source.data instanceof Map ? source.data.get(name) : source.data[name]
    const view = Bokeh.index.find_one_by_id(model.id), box = view.el.getBoundingClientRect()
    const {x_scale, y_scale} = view.frame
    const middle = (a, b) => (get(a)[index] + get(b)[index]) / 2
    return [box.x + x_scale.compute(middle('left', 'right')), box.y + y_scale.compute(middle('top', 'bottom'))]
  }
}"""
_ERRORS = ["Error of an output (out)", "Outputs", "count"]
_DENSITY = ["Exact output (out)", "Analog output (out)", "image"]


class TilePage(LabPage):
    """A visitor of the tile lab."""

    app = "tile_lab"

    def column(self, where: list[str]) -> list[list[float]]:
        return self.page.evaluate(_COLUMN, where)

    def waits_for(self, **periphery) -> None:
        """Wait until the product is that of the default with changes, computed here; compare the whole picture."""
        found = multiply(MvmError(forward=periphery_presets.load("default").copy(**periphery)))
        pixels = tinted(found.density["image"][0]).ravel()
        self.until(_SUM, [_DENSITY, float(pixels.astype(np.float64).sum())])
        np.testing.assert_array_equal(self.column(_DENSITY)[0], pixels)
        assert self.column(_ERRORS)[0] == found.errors["count"]
        for label, value, *_ in found.tiles[:3]:
            expect(self.page.locator(".tile", has_text=label).first).to_contain_text(value)

    def begin(self) -> None:
        """Take back what the test before has changed."""
        self.tab("Product")
        if self.button("Reset all parameters").is_enabled():
            self.button("Reset all parameters").click()
        self.waits_for()


PAGE = TilePage


def test_slider_moved_draws_the_new_product(lab):
    lab.page.get_by_role("slider", name="out_noise", exact=True).focus()
    lab.page.keyboard.press("End")
    lab.waits_for(out_noise=0.5)
    expect(lab.box("out_noise, number")).to_have_value("0.5")
    lab.sees("Edited: 1 parameter")
    lab.button("Undo the last change").click()
    lab.waits_for()


def test_bits_typed_and_slid_are_bits_of_the_converter(lab):
    lab.fill("out_res, bits", "4")
    lab.waits_for(out_res=1 / 14)
    expect(lab.box("out_res, bits")).to_have_value("4 bit")
    lab.page.get_by_role("slider", name="out_res", exact=True).focus()
    lab.page.keyboard.press("End")
    lab.waits_for(out_res=0.0)
    expect(lab.box("out_res, bits")).to_have_value("off")
    lab.sees("Its bits are off.")
    lab.fill("out_res, bits", "1/100")
    lab.waits_for(out_res=0.01)


def test_bits_nonsense_gives_one_message_and_the_session_goes_on(lab):
    lab.fill("inp_res, bits", "many")
    alerts = lab.page.get_by_role("alert")
    expect(alerts).to_have_count(1)
    expect(alerts).to_contain_text("is no resolution (allowed: 2 to 64 bit")
    lab.fill("inp_res, bits", "3 bit")
    expect(alerts).to_have_count(0)
    lab.waits_for(inp_res=1 / 6)


def test_wires_slid_draw_the_new_losses(lab):
    lab.tab("Wires")
    lab.page.get_by_role("slider", name="wire_resistance", exact=True).focus()
    lab.page.keyboard.press("End")
    ds = WireLoss(wire_resistance=20.0).run()
    where = ["Column", "Row", "image"]
    pictures = (ds.lost_exact, ds.lost_fast, ds.lost_fast - ds.lost_exact)
    total = sum(float(p.values.astype(np.float32).astype(float).sum()) for p in pictures)
    lab.until(_SUM, [where, total])
    for drawn, wanted in zip(lab.column(where), pictures, strict=True):
        np.testing.assert_array_equal(drawn, wanted.values.astype(np.float32).ravel())
    lab.sees("Outside its validity")
    lab.button("Reset wire_resistance").click()
    lab.sees("Inside its validity")


def test_tile_clicked_shows_its_weights_and_errors(lab):
    lab.tab("Network")
    lab.sees("Floor plan")
    lab.sees("Click a tile of the plan")
    found = lay_out(Asked(TileMap()))
    index = 2
    x, y = lab.page.evaluate(_TILE, index)
    lab.page.mouse.click(x, y)
    lab.sees("Layer 0, row 1, column 0")
    drawn = lab.column(["Weight (w)", "Crosspoints", "count"])
    assert found.ds.weight_histogram[index].values.tolist() in drawn
    assert found.ds.error_histogram[index].values.tolist() in lab.column(_ERRORS)


def test_product_and_wires_seen_again_after_reload(lab):
    lab.tab("Wires")
    for name, text in (("g_max, number", "5e-5"), ("out_noise, number", "0.2")):
        before = lab.page.url
        lab.fill(name, text)
        lab.page.wait_for_url(lambda url, before=before: url != before)  # it follows once the state rests
    lab.open(lab.page.url)
    lab.waits_for(out_noise=0.2)
    lab.sees("Edited: 1 parameter")
    lab.tab("Wires")
    expect(lab.box("g_max, number")).to_have_value("5e-05")


def test_preset_chosen_is_drawn_and_header_leads_to_the_device_lab(lab):
    lab.page.get_by_role("combobox", name="Periphery").click()
    lab.page.get_by_role("option", name="8 bits in and out").or_(
        lab.page.get_by_role("menuitem", name="8 bits in and out")
    ).first.click()
    lab.waits_for(**periphery_presets.info("eight_bits").values)
    assert lab.page.get_by_role("link", name="Device lab").get_attribute("href") == "device_lab"
    lab.button("Undo the last change").click()
    lab.waits_for()

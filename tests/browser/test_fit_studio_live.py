# SPDX-License-Identifier: Apache-2.0
"""The fit studio in a browser: a file in, a device and a trained network out, with no console errors."""

from __future__ import annotations

import pytest
from lab_page import LabPage
from playwright.sync_api import expect

from explorer.views.measured_files import example_csv


class StudioPage(LabPage):
    """One visitor's fit studio."""

    app = "fit_studio"


@pytest.fixture
def studio(page, app_url):
    studio = StudioPage(page, app_url)
    yield studio
    assert studio.errors == []


def fit_soft_bounds(studio: StudioPage) -> None:
    """Fit one class: the ranking of all is tested without a browser."""
    studio.page.get_by_role("combobox", name="Device class").click()
    studio.page.get_by_role("listbox").get_by_text("Soft bounds", exact=True).click()
    studio.button("Fit", exact=True).click()
    studio.sees("Verdict.")
    studio.sees("What the model leaves over")
    studio.wait_for_points("Residual percentile (σ)", 99)


def test_whole_path_from_file_to_network_and_back_by_its_address(studio, tmp_path):
    file = tmp_path / "generated.csv"
    file.write_text(example_csv())
    studio.drop(file)
    studio.sees("3 devices, 1 cycle, 723 readings")
    fit_soft_bounds(studio)
    with studio.page.expect_download() as download:
        studio.page.get_by_text("Preset (TOML)").click()
    assert 'device = "soft_bounds"' in (download.value.path()).read_text()
    for name, value in (("Parameter sets", "2"), ("Chips for each", "1"), ("Epochs", "1")):
        studio.fill(name, value)
    studio.button("Train the digits network").click()
    studio.sees("from the measurement")
    studio.open(studio.page.url)  # the address names both jobs
    studio.sees("Verdict.")
    studio.sees("from the measurement")
    link = studio.page.get_by_role("link", name="Open in the device lab").get_attribute("href")
    studio.open(f"{studio.page.url.partition('fit_studio')[0]}{link}")
    studio.sees("Soft bounds")


def test_rejected_rows_are_listed_again_where_a_fit_is_come_back_to(studio, tmp_path):
    lines = example_csv().splitlines()
    lines[20] = ",".join(["x"] * (lines[20].count(",") + 1))  # line 21 of the file
    file = tmp_path / "spoilt.csv"
    file.write_text("\n".join(lines))

    def listed() -> None:
        studio.sees("1 row was left out")
        studio.button("Rejected rows").click()
        expect(studio.page.get_by_role("cell", name="21", exact=True)).to_be_visible()

    studio.drop(file)
    listed()
    fit_soft_bounds(studio)
    studio.open(studio.page.url)
    studio.sees("Verdict.")
    listed()


def test_measured_file_goes_the_same_path(studio, measured_data):
    studio.drop(measured_data / "aihwkit_reram_pulse_response.csv")
    studio.sees("1 device, 1 cycle, 2000 readings")
    fit_soft_bounds(studio)
    studio.sees("not determined")


def test_file_that_is_none_gives_one_line_and_the_page_goes_on(studio, tmp_path):
    bad = tmp_path / "bad.csv"
    bad.write_bytes(bytes(range(256)) * 4)
    studio.drop(bad)
    studio.sees("is a binary file")
    studio.button("Try with an example").click()
    studio.sees("3 devices, 1 cycle, 723 readings")
    assert studio.page.locator(".box.error:visible").count() == 0
    expect(studio.button("Fit", exact=True)).to_be_enabled()

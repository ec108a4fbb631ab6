# SPDX-License-Identifier: Apache-2.0
"""The retention tab in a browser: a file in, a noise model in the drift lab out; one line for each bad file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
from lab_page import LabPage
from playwright.sync_api import Locator, expect

from engine.inference.noise.log_time_relaxation import LogTimeRelaxation
from explorer.fitting.retention import noise_file
from explorer.fitting.retention.example import as_csv, example


class RetentionPage(LabPage):
    """One visitor's fit studio, its retention tab open."""

    app = "fit_studio"

    def __init__(self, page, url: str):
        super().__init__(page, url)
        self.tab("Retention")
        self.sees("Retention data")

    def drop(self, *files: Path) -> None:
        """Choose files for the upload field of this tab, the second of the page."""
        self.page.locator("input[type=file]").nth(1).set_input_files(files)

    def shown(self, name: str) -> Locator:
        """Return a button of the tab on show: the other tab has one of the same name."""
        return self.page.get_by_role("button", name=name, exact=True).locator("visible=true")

    def fit(self) -> None:
        """Fit, and wait for the verdict."""
        expect(self.shown("Fit")).to_be_enabled()
        self.shown("Fit").click()
        self.page.get_by_text("Verdict.").locator("visible=true").wait_for()


@pytest.fixture
def retention(page, app_url):
    retention = RetentionPage(page, app_url)
    yield retention
    assert retention.errors == []
    assert retention.outside == []


def test_whole_path_from_file_to_drift_lab_and_back_by_its_address(retention, tmp_path):
    file = tmp_path / "generated.csv"
    file.write_text(as_csv(example()))
    retention.drop(file)
    retention.sees("1200 devices at 8 levels, read at 6 times")
    retention.fit()
    retention.wait_for_points("Spread of the change (µS)", 5)
    retention.wait_for_points("Residual (σ)", 80)
    with retention.page.expect_download() as download:
        retention.page.get_by_text("Noise model (TOML)").click()
    text = download.value.path().read_text()
    assert isinstance(noise_file.read(text), LogTimeRelaxation)
    assert "generated.csv" in text
    with retention.page.expect_download() as download:
        retention.page.get_by_text("Report (HTML)").locator("visible=true").click()
    assert "fitted to generated.csv</h1>" in download.value.path().read_text()
    retention.open(retention.page.url)  # the address names the job, and so the tab
    retention.page.get_by_text("Verdict.").locator("visible=true").wait_for()
    retention.sees("1200 devices at 8 levels, read at 6 times")
    link = retention.page.get_by_role("link", name="Open in the drift lab").get_attribute("href")
    retention.open(f"{retention.page.url.partition('fit_studio')[0]}{link}")
    retention.sees("Relaxation over log time, measured")
    expect(retention.box("Name of the scenario")).to_have_value("generated")
    retention.wait_for_points("Accuracy (%)", 5)  # 0, 1 s, 1 min, 1 h, 1 d; nothing is said of later times


@contextmanager
def held_up(server: psutil.Process) -> Iterator[None]:
    """Stop the worker processes of a server for a while, so that a job waits however quick it is."""
    workers = [p for p in server.children(recursive=True) if "spawn_main" in " ".join(p.cmdline())]
    assert workers
    for worker in workers:
        worker.suspend()
    try:
        yield
    finally:
        for worker in workers:
            worker.resume()


def test_fit_is_cancelled_by_a_click_and_done_again(retention, served_apps):
    retention.shown("Try with an example").click()
    retention.fit()  # from here on there are worker processes
    retention.sees("Finished", exact=True)
    with held_up(psutil.Process(served_apps.process.pid)):
        retention.shown("Fit").click()
        retention.sees("Waiting", exact=True)
        retention.shown("Cancel").click()
        retention.sees("Cancelled", exact=True)
        expect(retention.shown("Cancel")).to_have_count(0)
    retention.sees("1200 devices at 8 levels, read at 6 times")  # the data stay, and so does the result before
    retention.sees("Verdict.")
    expect(retention.page.locator(".box.error:visible")).to_have_count(0)
    retention.page.get_by_role("combobox", name="Law", exact=True).click()
    retention.page.get_by_role("listbox").get_by_text("power law (PCM)").click()
    retention.fit()
    retention.sees("Finished", exact=True)
    retention.sees("mu_offset")  # of the law that was fitted alone


def spoilt(tmp_path: Path) -> dict[str, Path]:
    """Return a part of what the page must say, and the file that it says it of."""
    good = as_csv(example()).splitlines()
    head, rows = good[0], [row.split(",") for row in good[1:]]
    cases = {
        "a PNG image": b"\x89PNG\r\n\x1a\n1234",
        "two times or more": [r for r in rows if r[2] == "0"],
        "must be a finite number": [[*r[:3], "nan"] if k == 8 else r for k, r in enumerate(rows)],
        "0 uS or more": [[*r[:3], "-5.0"] if k == 8 else r for k, r in enumerate(rows)],
        "no such column": [r[:3] for r in rows],
    }
    files = {}
    for k, (words, content) in enumerate(cases.items()):
        files[words] = tmp_path / f"bad{k}.csv"
        if isinstance(content, list):
            top = head if len(content[0]) == 4 else head.rpartition(",")[0]
            content = "\n".join([top, *(",".join(r) for r in content)]).encode()
        files[words].write_bytes(content)
    mixed = tmp_path / "mixed.csv"
    told = [",".join([*r, "uS" if k < 9 else "kohm"]) for k, r in enumerate(rows)]
    mixed.write_text("\n".join(["device,level,time_s,G,unit", *told]))
    return files | {"units of different kinds": mixed}


def test_bad_files_give_one_message_each_and_the_page_goes_on(retention, tmp_path):
    for words, file in spoilt(tmp_path).items():
        retention.drop(file)
        box = retention.page.locator(".box.error:visible")
        expect(box).to_contain_text(words)
        assert box.count() == 1
        expect(retention.shown("Fit")).to_be_disabled()
    retention.shown("Try with an example").click()
    retention.sees("1200 devices at 8 levels")
    expect(retention.page.locator(".box.error:visible")).to_have_count(0)
    expect(retention.shown("Fit")).to_be_enabled()


def test_columns_of_unknown_names_are_chosen_by_hand(retention, tmp_path):
    data = example()
    file = tmp_path / "named.npz"
    np.savez(file, cond=data.g_us * 1e-6, when=np.array(data.t_s[0]), target=data.level)
    retention.drop(file)
    retention.sees("no such array among")
    retention.shown("Which column or array is what").click()
    for role, label in (("value: the readings", "1. cond"), ("t_s: time", "2. when")):
        retention.page.get_by_role("combobox", name=role).locator("visible=true").click()
        retention.page.get_by_role("listbox").get_by_text(label).click()
    retention.sees("1200 devices at 8 levels")


def test_measured_bake_is_fitted_by_arrhenius_and_makes_no_noise_model(retention, measured_data):
    retention.drop(measured_data / "rram_bake_techA.npz")
    retention.sees("16384 devices before and after")
    retention.fit()
    retention.sees("activation energy of")
    retention.sees("No noise model.")
    retention.sees("drift_scale = ")

# SPDX-License-Identifier: Apache-2.0
"""Measured files in the browser: a good one is drawn over the model, a bad one gives one line, the page goes on."""

import pytest
from lab_page import LabPage

from explorer.views.measured_files import example_csv

WEIGHT = "Weight (w)"


@pytest.fixture
def lab(page, app_url):
    lab = LabPage(page, app_url)
    lab.tab("Measured data")
    yield lab
    assert lab.errors == []


@pytest.fixture(scope="session")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "good.csv"
    path.write_text(example_csv())
    return path


def test_dropped_file_is_drawn_over_the_model_fitted_and_used(lab, good):
    without = sum(lab.points(WEIGHT))
    lab.drop(good)
    lab.sees("3 devices, 1 cycle, 723 readings")
    lab.wait_for_more_points(WEIGHT, without)
    lab.button("Fit soft bounds").click()
    lab.sees("R²")
    lab.button("Use these parameters").click()
    lab.sees("Class defaults")


def test_files_that_cannot_be_used_give_one_line_each_and_the_session_goes_on(lab, good, tmp_path):
    huge, binary, text, nan = (tmp_path / name for name in ("huge.csv", "binary.csv", "text.csv", "nan.csv"))
    with huge.open("wb") as file:
        file.truncate(200_000_000)
    binary.write_bytes(bytes(range(256)) * 40)
    rows = [f"{0.001 * k},{1 - 0.001 * k}" for k in range(1, 900)]
    text.write_text("\n".join([*rows[:699], "broken,0.3", *rows[700:]]))
    nan.write_text("\n".join([*rows[:10], "nan,0.9", *rows[11:]]))
    lab.drop(huge)
    lab.sees("File is too large")
    lab.sees("Maximum file size is 50 MB")
    for path, words in ((binary, "is a binary file"), (text, "text.csv row 700"), (nan, "must be a finite number")):
        lab.drop(path)
        lab.sees(words)
        assert lab.page.locator(".box.error:visible").count() == 1
    lab.drop(good)
    lab.sees("3 devices, 1 cycle, 723 readings")
    assert lab.page.locator(".box.error:visible").count() == 0

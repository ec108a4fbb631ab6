# SPDX-License-Identifier: Apache-2.0
"""The number box: every digit kept, everything else refused aloud."""

import pytest

from explorer.experiments.training import Training
from explorer.views.number_box import NumberBox


@pytest.mark.parametrize(
    ("text", "value"),
    [("12", 12), (" 1e-3 ", 1e-3), ("0,5", 0.5), ("0.012345678901234", 0.012345678901234), ("-2", -2)],
)
def test_box_number_in_any_notation_is_taken_with_all_digits(text, value):
    box = NumberBox("gain", 1)
    box.box.value = text
    assert box.value == value
    assert box.problem == ""


@pytest.mark.parametrize("text", ["", "nan", "inf", "-inf", "abc", "1 2", "1e999", "0x10"])
def test_box_what_is_no_finite_number_is_refused_and_the_value_stays(text):
    box = NumberBox("gain", 1)
    box.box.value = text
    assert box.value == 1
    assert "must be a finite number" in box.problem
    assert box.box.error_state
    assert box.box.helper_text == box.problem


def test_box_good_number_after_a_bad_one_clears_the_problem():
    box = NumberBox("gain", 1)
    box.box.value = "x"
    box.box.value = "1"
    assert box.problem == ""
    assert not box.box.error_state


def test_box_of_a_parameter_has_its_rules_unit_and_meaning():
    box = NumberBox.of(Training, "epochs")
    assert box.value == Training.describe("epochs")["default"]
    assert "(epochs)" in box.box.label
    assert Training.describe("epochs")["doc"] in box.box.description
    box.box.value = "0"
    assert "Training.epochs" in box.problem


def test_box_set_by_program_shows_the_number_and_does_not_echo():
    box = NumberBox("gain", 1)
    seen = []
    box.param.watch(lambda event: seen.append(event.new), "value")
    box.value = 0.1
    assert box.box.value == "0.1"
    assert seen == [0.1]

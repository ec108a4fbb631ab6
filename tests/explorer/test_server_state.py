# SPDX-License-Identifier: Apache-2.0
"""Labels and buttons keep the server's state, whatever the page sends back."""

import pytest
from bokeh.document import Document

from explorer.views import theme


@pytest.fixture
def chip():
    """A chip that was drawn, and what the page knows of it."""
    made = theme.chip("Estimate", "primary")
    doc = Document()
    root = made.get_root(doc)
    doc.add_root(root)
    return made, root.data


def test_label_that_was_replaced_does_not_come_back(chip):
    made, page = chip
    made.param.update(label="Stale", color="warning")
    made.param.update(label="Estimate", color="primary")
    page.update(label="Stale", color="warning")  # the echo, as the page has it now
    made._process_events({"label": "Stale", "color": "warning"})
    assert (made.label, made.color) == ("Estimate", "primary")
    assert (page.label, page.color) == ("Estimate", "primary")


def test_echo_of_the_label_that_holds_changes_nothing(chip):
    made, page = chip
    told = []
    page.on_change("label", lambda attr, old, new: told.append(new))
    made._process_events({"label": "Estimate", "color": "primary"})
    assert made.label == page.label == "Estimate"
    assert not told


@pytest.mark.parametrize("make", [lambda: theme.button("Full run"), lambda: theme.icon_button("undo", "Undo")])
def test_button_of_a_job_that_failed_at_once_does_not_stay_disabled(make):
    made = make()
    page = made.get_root(Document()).data
    made.disabled = True
    made.disabled = False
    page.disabled = True  # the echo
    made._process_events({"disabled": True})
    assert not made.disabled
    assert not page.disabled


def test_click_reaches_the_server():
    made, clicks = theme.button("Full run"), []
    made.on_click(clicks.append)
    made._process_events({"clicks": 1})
    assert len(clicks) == 1

# SPDX-License-Identifier: Apache-2.0
"""The conformance tables are current and complete."""

import conformance
import pytest


@pytest.mark.parametrize("table", conformance.tables(), ids=lambda table: table.mark)
def test_table_is_current(table):
    """Run `python tools/conformance.py` after marking a test."""
    assert table.path.read_text(encoding="utf-8") == table.render()


@pytest.mark.parametrize("table", conformance.tables(), ids=lambda table: table.mark)
def test_every_number_has_tests_or_says_where_they_are(table):
    for number, tests in table.tests_by_number().items():
        assert number in table.statements, number
        assert bool(tests) != (number in table.not_here), number

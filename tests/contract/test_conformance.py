# SPDX-License-Identifier: Apache-2.0
"""The conformance table is current and complete."""

import conformance


def test_table_is_current():
    """Run `python tools/conformance.py` after marking a test."""
    assert conformance.TABLE.read_text(encoding="utf-8") == conformance.render()


def test_every_number_has_tests_or_says_where_they_are():
    for number, tests in conformance.tests_by_number().items():
        assert number in conformance.STATEMENTS, number
        assert bool(tests) != (number in conformance.NOT_HERE), number

# SPDX-License-Identifier: Apache-2.0
"""Records as a table."""

from bench.meters import Clocked
from bench.operation import times
from bench.table import nanoseconds, table

ROW = {"device": "soft_bounds", "variant": "dense", "threads": 2, "shape": [10, 20], "batch": 5, "load_after": 0.4}


def timed(peer: list[Clocked]) -> dict:
    ours = [Clocked(1e-3, 1e-3)] * 2
    return ROW | times({"ours": ours, "peer": peer, "torch": []}) | {"mean_agrees": None, "variance_agrees": None}


def test_nanoseconds_are_per_crosspoint_and_sample():
    assert nanoseconds(timed([]), "ours") == 1000.0
    assert nanoseconds(timed([]), "peer") is None


def test_table_lines_are_aligned_and_absent_values_a_dash():
    lines = table([timed([]), timed([Clocked(0.02, 0.02), Clocked(0.04, 0.03)]) | {"mean_agrees": False}]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert "peer/ours" in lines[0]
    assert " - " in lines[1]
    assert "30.0 (20.0 .. 40.0)" in lines[2]
    assert " NO " in lines[2]


def test_table_of_sizes_has_bytes():
    sized = ROW | {"ours_bytes": 24.01, "formula_bytes": 24, "formula_agrees": True, "peer_bytes": 61.5}
    head, line = table([sized]).splitlines()
    assert "formula B" in head
    assert line.split()[-4:] == ["24.01", "24", "61.50", "yes"]

# SPDX-License-Identifier: Apache-2.0
"""Reading a callgrind profile; valgrind itself is not run."""

import pytest

from bench.instructions import costs, record

PROFILE = """# callgrind format
events: Ir

fl=(1) a.cpp
fn=(1) outer
16 4
+2 6
cfn=(2) inner
calls=3 40
+1 3000
* 5

fn=(2)
40 1000
cfi=(2) b.cpp
cfn=(3) deeper<int>
calls=1 7
* 77
-3 2000

fn=(3)
0x1f 77
"""


def test_costs_are_each_functions_own_without_those_it_calls():
    # 0x1f is a hexadecimal position, as callgrind writes with --dump-instr=yes: not our format, no cost.
    assert costs(PROFILE) == {"outer": 15, "inner": 3000}


def test_record_divides_by_crosspoints_samples_and_pulses():
    case = {"op": "update", "device": "d", "shape": [10, 10], "batch": 5, "bl": 31, "threads": 1, "variant": "dense"}
    found = record(case, "avx2", {"mean_coincidences": 2.0}, costs(PROFILE))
    assert found["instructions"] == 3015
    assert found["per_crosspoint"] == pytest.approx(3015 / 500)
    assert found["per_pulse"] == pytest.approx(3015 / 1000)
    assert list(found["functions_per_crosspoint"]) == ["inner", "outer"]

# SPDX-License-Identifier: Apache-2.0
"""Time, memory, and what a record says of them; no test depends on how fast this machine is."""

import time

import numpy as np
import pytest

from bench import machine, meters
from bench.meters import Clocked, calls_for, clock, growth, spread
from bench.operation import times


def test_clock_divides_by_the_number_of_calls(monkeypatch):
    ticks = iter([10.0, 16.0])
    monkeypatch.setattr(meters.time, "perf_counter", lambda: next(ticks))
    calls = []
    assert clock(lambda: calls.append(1), 3).wall_s == 2.0
    assert len(calls) == 3


def test_clock_sleeping_takes_wall_time_but_no_cpu_time():
    found = clock(lambda: time.sleep(0.05))
    assert found.wall_s >= 0.05
    assert found.cpu_s < found.wall_s


def test_calls_for_a_short_call_make_up_the_wanted_time(monkeypatch):
    monkeypatch.setattr(meters, "clock", lambda call: Clocked(0.001, 0.001))
    assert calls_for(lambda: None, 0.02) == 20
    assert calls_for(lambda: None, 0.0001) == 1


def test_spread_is_least_median_and_most():
    assert spread([3.0, 1.0, 10.0]) == (1.0, 3.0, 10.0)


def test_growth_sees_a_block_although_one_like_it_was_freed_before():
    for _ in range(3):
        assert growth(lambda: np.ones(1 << 21)) == pytest.approx(1 << 24, rel=0.02)  # 16 MiB


def test_times_ratio_is_the_median_of_pairs_run_one_after_the_other():
    record = times(
        {
            "ours": [Clocked(1.0, 1.0), Clocked(2.0, 1.0), Clocked(4.0, 2.0)],
            "peer": [Clocked(20.0, 10.0), Clocked(60.0, 30.0), Clocked(40.0, 40.0)],
            "torch": [],
        }
    )
    assert record["ours_s"] == 2.0
    assert (record["ratio_peer_min"], record["ratio_peer"], record["ratio_peer_max"]) == (10.0, 20.0, 30.0)
    assert record["ratio_peer_cpu"] == 20.0
    assert record["torch_s"] is None
    assert record["ratio_torch"] is None


def test_machine_says_what_figures_depend_on_and_names_nobody():
    found = machine.machine()
    assert {"cpu", "logical_cores", "memory_gib", "isa", "compiler", "torch", "commit"} <= set(found)
    assert found["cpu"]
    import getpass
    import platform

    assert platform.node() not in str(found)
    assert getpass.getuser() not in str(found).split()


def test_machine_file_stem_is_a_plain_file_name():
    assert machine.file_stem()
    assert set(machine.file_stem()) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")

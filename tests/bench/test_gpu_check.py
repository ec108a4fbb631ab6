# SPDX-License-Identifier: Apache-2.0
"""The check of a GPU machine, as far as it goes without one: its rows on emulated kernels, its report when cut off."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bench import gpu_check, gpu_products, gpu_rows

ROOT = Path(__file__).resolve().parents[2]
SIZE = 40


@pytest.fixture
def emulated(monkeypatch, tmp_path):
    """Kernels on the CPU, and rows small enough for them."""
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "cuda"))
    from emulated import Emulator

    for name, value in {"BATCH": 3, "CHECKED": SIZE, "DEVICES": ("soft_bounds",)}.items():
        monkeypatch.setattr(gpu_rows, name, value)
    with Emulator(tmp_path).instead_of_a_gpu() as where:
        yield where


def measured(path: Path, where: str, seconds: float) -> dict:
    return gpu_rows.measure(path, where, gpu_rows.on_cpu, (SIZE,), seconds, "emulated")


def test_rows_hold_times_work_and_the_share_of_the_roofline(emulated, tmp_path):
    found = measured(tmp_path / "rows.json", emulated, 60.0)
    assert json.loads((tmp_path / "rows.json").read_text()) == found
    assert [r["density"] for r in found["rows"]] == list(gpu_rows.COINCIDENCES)
    for row in found["rows"]:
        assert row["same_bits_as_cpu"]
        assert 0 < row["roofline_s"] < row["ours_s"]  # an emulated GPU is slow
        assert row["roofline_share"] == pytest.approx(row["roofline_s"] / row["ours_s"])
        expected = gpu_rows.COINCIDENCES[row["density"]] * SIZE**2 * 3
        assert row["pulses"] == pytest.approx(expected, rel=0.5)  # few lines, trains of whole slots
        assert row["bytes"] > 4 * SIZE**2 * 3
    assert found["cpu"][0]["size"] == SIZE
    shown = (tmp_path / "rows.md").read_text()
    assert "| soft_bounds | 40² | dense |" in shown
    assert "times faster" in shown


def test_rows_that_are_cut_short_say_so_and_keep_the_comparison_with_the_cpu(emulated, tmp_path):
    found = measured(tmp_path / "rows.json", emulated, -1.0)
    assert found["rows"] == []
    assert found["cut_short"]
    assert json.loads((tmp_path / "rows.json").read_text())["cpu"][0]["ratio_cpu"] > 0


def test_products_are_measured_in_both_ways_and_checked_against_the_cpu(emulated, tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_products, "SHAPES", ((8, 20, SIZE),))
    found = gpu_products.measure(tmp_path / "p.json", emulated, gpu_rows.on_cpu, 60.0, "emulated")
    assert json.loads((tmp_path / "p.json").read_text()) == found
    assert [r["way"] for r in found["rows"]] == ["forward", "backward"]
    assert all(r["as_cpu"] and r["alike"] == 1.0 and r["ours_s"] > r["torch_s"] > 0 for r in found["rows"])
    assert "| forward | 8 x 20 x 40 |" in (tmp_path / "p.md").read_text()


def test_products_that_are_cut_short_say_so(emulated, tmp_path):
    found = gpu_products.measure(tmp_path / "p.json", emulated, gpu_rows.on_cpu, -1.0, "emulated")
    assert found["cut_short"]
    assert found["rows"] == []


def test_comparison_of_products_tells_flips_from_wrong_outputs():
    unit, none = torch.full((4, 1), 0.5), torch.zeros(4, 1000)
    ours = none.clone()
    ours[0, 0] = 0.5
    rounds = [torch.ones(4, dtype=torch.int32)] * 2
    one_flip = gpu_products.compare(ours, none, rounds, unit)
    assert (one_flip["as_cpu"], one_flip["flipped"], one_flip["codes_apart"]) == (True, 1 / 4000, 1.0)
    assert not gpu_products.compare(3 * ours, none, rounds, unit)["as_cpu"]
    assert not gpu_products.compare(ours + 0.5, none, rounds, unit)["as_cpu"]
    assert not gpu_products.compare(ours, none, [rounds[0], 2 * rounds[0]], unit)["as_cpu"]


def test_step_that_takes_too_long_is_cut_off_and_the_report_tells(tmp_path):
    check = gpu_check.Check(tmp_path, None, limit_s=60)
    sleeps = [sys.executable, "-c", "import time; print('asleep', flush=True); time.sleep(30)"]
    assert not check.step("sleeps", sleeps, 1.5)
    assert check.step("greets", [sys.executable, "-c", "print('hello')"], 30)
    steps = json.loads((tmp_path / "report.json").read_text())["steps"]
    assert [(s["step"], s["state"], s["last_line"]) for s in steps] == [
        ("sleeps", "cut off after 2 s", "asleep"),
        ("greets", "ok", "hello"),
    ]
    assert "| greets | ok |" in (tmp_path / "report.md").read_text()


def test_step_without_time_left_is_not_begun(tmp_path):
    check = gpu_check.Check(tmp_path, None, limit_s=0)
    assert not check.step("late", [sys.executable, "-c", "print('never')"], 30)
    assert check.steps[0]["state"] == "no time left"
    assert not (tmp_path / "late.log").exists()


def test_missing_packages_are_named_before_anything_is_built(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_check, "missing", lambda: ["param", "ninja"])
    check = gpu_check.Check(tmp_path, None, limit_s=60)
    assert not gpu_check.prepare(check)
    assert [s["step"] for s in check.steps] == ["packages"]
    assert "lacks param, ninja: give --wheels" in check.steps[0]["last_line"]


@pytest.mark.parametrize("module", ["gpu_rows", "gpu_products"])
def test_machine_without_a_gpu_is_told_what_is_missing(module, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    command = [sys.executable, "-m", f"bench.{module}", "--json", str(tmp_path / "rows.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 1
    assert done.stdout.split(":")[0] in ("not built", "no driver", "no GPU")
    assert not (tmp_path / "rows.json").exists()

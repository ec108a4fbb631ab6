# SPDX-License-Identifier: Apache-2.0
"""A new device is two files: those of docs/contributing.md, in a copy of the project, built and used."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.timeout(900)  # a build on a busy machine
RECIPE = ROOT / "docs" / "contributing.md"
COPIED = ["engine", "explorer", "apps", "tools", "tests", "docs", "pyproject.toml", "README.md", "LICENSE"]
UNWANTED = shutil.ignore_patterns("__pycache__", "_core*", "build", ".*", "browser", "test_new_device.py")
# An editable install puts a finder before the path; the copy must come first.
COPY_FIRST = """
import sys
sys.meta_path[:] = [f for f in sys.meta_path if "ScikitBuild" not in type(f).__name__]
"""
USE = """
import json
import engine
from engine import devices, ops
from engine.tiles import Tile
from explorer.labs.state import DeviceState
from explorer.views.parameters import ParameterPanel
from explorer.views.picker import DevicePicker

cls = devices.get("quadratic_step")
state = DeviceState()
picker, panel = DevicePicker(state), ParameterPanel(state)
picker.select.value = "class:quadratic_step"
state.set(bend=0.25)
tile = Tile(2, 3, cls().nominal())
tile.pulse([1] * 10)
print(json.dumps({
    "engine": engine.__file__,
    "isa": ops.build_info()["isa_built"],
    "cells": ops.schema("quadratic_step")["cells"],
    "fields": list(panel.fields),
    "edited": state.edited_fields(),
    "shown": state.device.to_dict()["device"],
    "weight": tile.hidden[0, 0].item(),
}))
"""


def recipe() -> dict[str, str]:
    """Return path to text of the code blocks that follow a line with nothing but a file's path."""
    found = re.findall(r"^`([\w/]+\.\w+)`:\n\n```\w+\n(.*?)^```$", RECIPE.read_text(), flags=re.DOTALL | re.MULTILINE)
    return dict(found)


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """Return a copy of the project with the new device, its extension built for one instruction set."""
    if shutil.which("cmake") is None and not (Path(sys.executable).parent / "cmake").exists():
        pytest.skip("no cmake to build with")
    copy, site = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("site")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=UNWANTED)
        else:
            shutil.copy2(ROOT / name, copy / name)
    for path, text in recipe().items():
        assert not (copy / path).exists()
        (copy / path).write_text(text, encoding="utf-8")
    install = ["install", "--quiet", "--no-build-isolation", "--no-deps", "--no-index", "--target", str(site)]
    quick = ["-C", "cmake.define.OHM_ISAS=portable", "-C", "cmake.define.OHM_OPTIMIZE=-O1"]
    done = run([sys.executable, "-m", "pip", *install, *quick, str(copy)], copy)
    assert done.returncode == 0, done.stderr
    (extension,) = (site / "engine").glob("_core*")
    shutil.copy2(extension, copy / "engine")
    return copy


def run(command: list[str], cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, "PATH": path, **environment}, capture_output=True, text=True, check=False
    )


def test_recipe_holds_the_two_files():
    assert sorted(recipe()) == ["engine/csrc/devices/quadratic_step.h", "engine/devices/quadratic_step.py"]


@pytest.mark.slow
def test_new_device_is_in_the_registry_and_has_widgets(built):
    done = run([sys.executable, "-c", COPY_FIRST + USE], built, PYTHONPATH=str(built))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert Path(found["engine"]).is_relative_to(built)
    assert found["isa"] == ["portable"]
    assert found["cells"] == ["max_bound", "min_bound", "dwmin_up", "dwmin_down", "own_bend"]
    assert (found["shown"], found["edited"]) == ("quadratic_step", ["bend"])
    assert {"bend", "bend_dtod", "dw_min", "write_noise_std", "lifetime", "drift_nu"} <= set(found["fields"])
    w = 0.0
    for _ in range(10):
        w += 0.001 * (1 - 0.5 * (w / 0.6) ** 2)
    assert found["weight"] == pytest.approx(w, rel=1e-5)


@pytest.mark.slow
def test_new_device_passes_the_contract_tests(built):
    tests = [str(built / "tests" / "contract" / f"test_{n}.py") for n in ("devices", "experiment_registry")]
    options = ["-q", "-k", "quadratic_step", "-p", "no:cacheprovider", f"--rootdir={built}", *tests]
    code = f"{COPY_FIRST}import pytest; sys.exit(pytest.main({options!r}))"
    done = run([sys.executable, "-c", code], built, PYTHONPATH=str(built))
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) > 100
    assert "failed" not in done.stdout

# SPDX-License-Identifier: Apache-2.0
"""The scripts behind ``make``: what they decide, not what pip does."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import chromium
import environment
import lock
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from progress import Failed, Log, run_logged

ROOT = Path(__file__).resolve().parents[1]
LOCKED = [Requirement(line) for line in lock.LOCK.read_text().splitlines() if not line.startswith("#")]


# --- python.sh ------------------------------------------------------------------------------------------------


def fake_python(folder: Path, name: str, suitable: bool) -> Path:
    """An interpreter that answers the version question and nothing else."""
    path = folder / name
    path.write_text(f"#!/bin/sh\nexit {0 if suitable else 1}\n")
    path.chmod(0o755)
    return path


def choose(path: Path, **variables: str) -> subprocess.CompletedProcess:
    """Run python.sh with nothing but ``path`` on PATH."""
    script = ["/bin/sh", str(ROOT / "tools" / "python.sh"), str(path / "venv")]
    return subprocess.run(script, env={"PATH": str(path), **variables}, capture_output=True, text=True, check=False)


def test_python_unsuitable_first_one_is_passed_over(tmp_path):
    fake_python(tmp_path, "python3", suitable=False)
    fake_python(tmp_path, "python3.12", suitable=True)
    assert choose(tmp_path).stdout == "python3.12\n"


def test_python_none_suitable_says_what_to_install(tmp_path):
    fake_python(tmp_path, "python3", suitable=False)
    done = choose(tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert all(word in line for word in ("apt-get", "dnf", "brew"))


def test_python_asked_for_but_unsuitable_is_not_replaced_by_another(tmp_path):
    fake_python(tmp_path, "python3", suitable=True)
    old = fake_python(tmp_path, "old", suitable=False)
    done = choose(tmp_path, PYTHON=str(old))
    assert done.returncode == 1
    assert f"PYTHON = {old}" in done.stderr


# --- environment ----------------------------------------------------------------------------------------------


def test_check_machine_without_compiler_says_what_to_install(monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(environment.shutil, "which", lambda name: None)
    with pytest.raises(Failed, match=r"apt-get install g\+\+.*dnf install gcc-c\+\+.*xcode-select"):
        environment.check_machine()


def test_check_machine_without_venv_module_names_the_package(monkeypatch):
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Failed, match=r"apt-get install python3\.1\d-venv"):
        environment.check_machine()


def test_check_machine_without_headers_names_the_package(monkeypatch, tmp_path):
    monkeypatch.setattr(environment.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(environment.sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(Failed, match=r"apt-get install python3\.1\d-dev"):
        environment.check_machine()


def test_digest_depends_on_content_not_on_date(tmp_path):
    file = tmp_path / "a.h"
    file.write_text("int a;")
    before = environment.digest(file)
    os.utime(file, (1, 1))
    assert environment.digest(file) == before
    file.write_text("int b;")
    assert environment.digest(file) != before


def test_environment_stages_run_once_until_an_input_changes(tmp_path, monkeypatch):
    (tmp_path / "csrc").mkdir()
    (tmp_path / "csrc" / "a.h").write_text("int a;")
    (tmp_path / "venv").mkdir()
    calls = []
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(environment, "CSRC", tmp_path / "csrc")
    monkeypatch.setattr(environment.Environment, "pip", lambda self, *words: calls.append(words))

    def update(*extras: str) -> int:
        calls.clear()
        with Log(tmp_path / "log") as log:
            one = environment.Environment(tmp_path / "venv", set(extras), log)
            one.install_packages()
            one.build()
        return len(calls)

    monkeypatch.setenv("PATH", os.environ["PATH"])
    assert update() == 3  # torch, the rest, the extension
    assert calls[0][0].startswith("torch==")
    assert update() == 0
    assert update("test") == 2  # new packages, same extension
    assert update() == 0  # an environment for tests serves the apps too
    (tmp_path / "csrc" / "a.h").write_text("int b;")
    assert update() == 1  # the extension alone


def test_python_of_no_environment_is_empty(tmp_path):
    assert environment.python_of(tmp_path) == ""


def test_python_of_this_environment_is_this_version():
    assert environment.python_of(Path(sys.prefix)) == f"{sys.version_info.major}.{sys.version_info.minor}"


# --- progress -------------------------------------------------------------------------------------------------


def test_run_logged_failure_shows_cause_and_end(tmp_path):
    script = "print('x.h:1: error: no such thing')\nfor i in range(40): print('line', i)\nraise SystemExit(3)"
    with Log(tmp_path / "log") as log, pytest.raises(Failed) as failure:
        run_logged([sys.executable, "-c", script], log)
    shown = str(failure.value)
    assert "x.h:1: error: no such thing" in shown
    assert "line 39" in shown
    assert "line 5\n" not in shown
    assert str(tmp_path / "log") in shown
    assert "line 5\n" in (tmp_path / "log").read_text()


# --- chromium -------------------------------------------------------------------------------------------------


def test_chromium_variable_that_points_nowhere_fails(monkeypatch):
    monkeypatch.setenv("CHROMIUM", "/nowhere/chrome")
    with pytest.raises(Failed, match="CHROMIUM = /nowhere/chrome"):
        chromium.find()


def test_chromium_variable_wins_over_path(monkeypatch):
    monkeypatch.setenv("CHROMIUM", sys.executable)
    assert chromium.find() == Path(sys.executable)


def test_chromium_absent_and_not_root_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(chromium.os, "geteuid", lambda: 1000)
    with pytest.raises(Failed, match="CHROMIUM=/path/to/chrome"):
        chromium.install(Log(tmp_path / "log"))


# --- lock file ------------------------------------------------------------------------------------------------


def test_lock_merge_marks_only_what_differs():
    answers = {
        "3.11": {"a": "1", "b": "1", "c": "1", "d": "1"},
        "3.12": {"a": "1", "b": "2", "c": "2", "d": "2"},
        "3.13": {"a": "1", "b": "2", "c": "3", "d": "1", "e": "5"},
    }
    assert lock.merge(answers) == [
        "a==1",
        'b==1 ; python_version <= "3.11"',
        'b==2 ; python_version >= "3.12"',
        'c==1 ; python_version <= "3.11"',
        'c==2 ; python_version >= "3.12" and python_version <= "3.12"',
        'c==3 ; python_version >= "3.13"',
        'd==1 ; python_version == "3.11" or python_version == "3.13"',
        'd==2 ; python_version >= "3.12" and python_version <= "3.12"',
        "e==5",
    ]


@pytest.mark.parametrize("version", lock.PYTHONS)
def test_lock_pins_every_requirement_within_its_range(version):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    wanted += [line for extra in project["project"]["optional-dependencies"].values() for line in extra]
    markers = {"python_version": version, "python_full_version": f"{version}.0"}
    pins = {
        canonicalize_name(pin.name): str(pin.specifier).removeprefix("==")
        for pin in LOCKED
        if pin.marker is None or pin.marker.evaluate(markers)
    }
    for line in wanted:
        requirement = Requirement(line)
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), line


def test_lock_names_no_index_and_no_host():
    text = lock.LOCK.read_text()
    assert not re.search(r"https?://|--\w*index|--find-links|\.org|\.com", text)

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One command for a machine with a GPU: build, tests of the kernels, benchmark, profile; docs/cuda.md explains it.

    python3 bench/gpu_check.py OUT [--wheels FOLDER]

Needs Python with a CUDA build of torch, numpy, pytest, pybind11, scikit-build-core, cuda-bindings and a C++ compiler,
and no network: what else is missing is taken from the wheels in FOLDER, which ``--collect FOLDER`` fills on a machine
with one. Nothing is installed into the Python that runs it. After each step OUT/report.json and OUT/report.md say what
is known so far: a run that is cut off leaves what it had found.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LIMIT_S = 530  # of the whole run
# What the engine and its tests need beside what such a machine has, by import name; and what a build may lack.
NEEDED = {"param": "param", "tomli_w": "tomli-w", "numpy": "numpy", "pytest": "pytest", "pybind11": "pybind11",
          "scikit_build_core": "scikit-build-core", "cuda.bindings": "cuda-bindings==13.0.*"}  # fmt: skip
TOOLS = {"cmake": "cmake", "ninja": "ninja"}
PYTEST = """\
[pytest]
addopts = --strict-markers -ra -p no:cacheprovider
pythonpath = {root}/tests {root}/tests/cuda
markers =
    conformance(*numbers): a number of tests/engine/devices/CONFORMANCE.md
"""


class Check:
    """The steps, the time that is left, and the report.

    Parameters
    ----------
    out : Path
        Where everything goes.
    wheels : Path or None
        Wheels of what is missing.
    limit_s : float
        Seconds for the whole run.
    """

    def __init__(self, out: Path, wheels: Path | None, limit_s: float):
        self.out, self.wheels = out, wheels
        self.end = time.monotonic() + limit_s
        self.site = out / "site"
        self.steps: list[dict[str, Any]] = []
        paths = [str(self.site), str(ROOT), os.environ.get("PYTHONPATH", "")]
        self.environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(p for p in paths if p),
            "PATH": os.pathsep.join([str(self.site / "bin"), os.environ.get("PATH", "")]),
            "OHMSCAPE_CUDA_CACHE": str(out / "kernels"),
        }

    def step(self, name: str, command: list[str], share_s: float, **files: str) -> bool:
        """Run one step, for at most ``share_s`` seconds and never beyond the end; ``files`` go into the report."""
        seconds = min(share_s, self.end - time.monotonic())
        began = time.monotonic()
        log = self.out / f"{name}.log"
        state = "no time left" if seconds < 1 else self._run(command, seconds, log)
        text = log.read_text(errors="replace") if log.exists() else ""
        lines = [line for line in text.splitlines() if line.strip()]
        last = (lines or [""])[-1]
        seconds = round(time.monotonic() - began, 1)
        self.steps.append({"step": name, "state": state, "seconds": seconds, "last_line": last, "files": files})
        self.report()
        return state == "ok"

    def _run(self, command: list[str], seconds: float, log: Path) -> str:
        with log.open("w") as file:
            try:
                done = subprocess.run(
                    command, stdout=file, stderr=subprocess.STDOUT, env=self.environment, cwd=self.out, timeout=seconds,
                    check=False,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                return f"cut off after {seconds:.0f} s"
        return "ok" if done.returncode == 0 else f"exit status {done.returncode}"

    def report(self) -> None:
        """Write what is known so far."""
        (self.out / "report.json").write_text(json.dumps({"steps": self.steps}, indent=1))
        lines = ["| step | state | s | last line |", "|---|---|---|---|"]
        lines += [f"| {s['step']} | {s['state']} | {s['seconds']} | {s['last_line'][:150]} |" for s in self.steps]
        tables = [self.out / name for s in self.steps for name in s["files"].values() if name.endswith(".md")]
        parts = ["\n".join(lines), *(t.read_text() for t in tables if t.exists())]
        (self.out / "report.md").write_text("\n\n".join(parts) + "\n")


def missing() -> list[str]:
    """Return the packages that this Python and this machine lack."""
    packages = [package for name, package in NEEDED.items() if not _is_there(name)]
    return packages + [package for tool, package in TOOLS.items() if shutil.which(tool) is None]


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def pip(*arguments: str) -> list[str]:
    """Return a pip command that looks into no index."""
    return [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]


def prepare(check: Check) -> bool:
    """Fetch what is missing and build the extension, both into a folder of their own."""
    lacking = missing()
    if lacking:
        if check.wheels is None:
            text = f"this Python lacks {', '.join(lacking)}: give --wheels (see --collect)"
            return check.step("packages", [sys.executable, "-c", f"raise SystemExit({text!r})"], 10)
        offline = ("--no-index", f"--find-links={check.wheels}", f"--target={check.site}", "--quiet")
        if not check.step("packages", pip("install", *offline, *lacking), 60):
            return False
    wheel = check.out / "wheel"
    build = ("--no-build-isolation", "--no-deps", "--no-index", f"--wheel-dir={wheel}", "--config-settings=build-dir=",
             str(ROOT))  # fmt: skip
    if not check.step("build", pip("wheel", *build), 200):
        return False
    built = [str(p) for p in wheel.glob("ohmscape-*.whl")]
    return check.step(
        "install", pip("install", "--no-deps", "--no-index", f"--target={check.site}", "--quiet", *built), 60
    )


def examine(check: Check) -> bool:
    """Tests, benchmark, profile: each tells its own story, so one that fails does not stop the next."""
    (check.out / "pytest.ini").write_text(PYTEST.format(root=ROOT))
    folder = ROOT / "tests" / "cuda"
    places = ["-c", str(check.out / "pytest.ini"), f"--rootdir={folder}", f"--confcutdir={folder}", str(folder)]
    tests = ["-m", "pytest", "-q", "--junitxml=tests.xml", *places]
    good = [check.step("tests", [sys.executable, *tests], 200, junit="tests.xml")]
    products = ["-m", "bench.gpu_products", "--json", "products.json", "--seconds", "30"]
    files = {"record": "products.json", "table": "products.md"}
    good.append(check.step("products", [sys.executable, *products], 60, **files))
    rows = ["-m", "bench.gpu_rows", "--json", "rows.json", "--seconds", "90"]
    good.append(check.step("rows", [sys.executable, *rows], 140, record="rows.json", table="rows.md"))
    good.append(
        check.step("profile", [sys.executable, "-m", "bench.gpu_profile", "profile.txt"], 60, table="profile.txt")
    )
    return all(good)


def collect(folder: Path, python: str) -> int:
    """Download the wheels that such a machine may lack, with what they need; needs a network."""
    packages = [p for p in [*NEEDED.values(), *TOOLS.values()] if p != "numpy"]
    only = ("--only-binary=:all:", f"--python-version={python}", f"--dest={folder}")
    return subprocess.run(pip("download", *only, *packages), check=False).returncode


def main() -> int:
    """Run the check; 0 if every step was good."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?", help="folder for everything")
    parser.add_argument("--wheels", type=Path, help="folder with wheels of what is missing")
    parser.add_argument("--collect", type=Path, metavar="FOLDER", help="fill FOLDER with wheels and do nothing else")
    parser.add_argument("--python", default="3.12", help="Python of the machine with the GPU, for --collect")
    parser.add_argument("--built", action="store_true", help="test the installed Ohmscape, build nothing")
    parser.add_argument("--limit", type=float, default=LIMIT_S, metavar="S", help="seconds for the whole run")
    options = parser.parse_args()
    if options.collect:
        return collect(options.collect, options.python)
    if options.out is None:
        parser.error("OUT is missing: where should results go?")
    options.out.mkdir(parents=True, exist_ok=True)
    check = Check(options.out.resolve(), options.wheels and options.wheels.resolve(), options.limit)
    good = (options.built or prepare(check)) and examine(check)
    print((check.out / "report.md").read_text())
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())

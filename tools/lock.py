#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write ``requirements/dev.lock``: one constraints file for every supported Python.

pip resolves the same requirements once under each Python; where the answers differ, the line carries an
environment marker. torch is pinned by hand and resolved only where a CPU wheel is at hand: elsewhere its own plain
requirements stand in for it, so that locking never downloads a CUDA build and never pins CUDA libraries.

Run it with ``make lock``. It needs python3.11, python3.12 and python3.13, found on PATH or given with
``--python 3.12=/path/to/python``.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements" / "dev.lock"
PYTHONS = ("3.11", "3.12", "3.13")
TORCH = "torch==2.13.0"
# What a CPU build of torch requires (from its metadata); the CUDA build adds GPU libraries, not ours to pin.
TORCH_REQUIRES = ("filelock", "typing-extensions", "setuptools", "sympy", "networkx", "jinja2", "fsspec")
# Needed to build without isolation; scikit-build-core asks for them only where the system has none.
BUILD_TOOLS = ("cmake", "ninja")
HEADER = """\
# SPDX-License-Identifier: Apache-2.0
# Constraints for the development environment. Written by `make lock`; do not edit by hand.
# Use: pip install -c requirements/dev.lock {torch}   first, then the rest with the same -c.
"""


def requirements() -> list[str]:
    """Everything pyproject.toml asks for (build, run, all extras), without torch."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [*project["build-system"]["requires"], *project["project"]["dependencies"], *BUILD_TOOLS]
    for extra in project["project"]["optional-dependencies"].values():
        wanted.extend(extra)
    return [line for line in wanted if not re.match(r"torch\b", line)]


def resolve(python: str, wanted: list[str]) -> dict[str, str]:
    """Name -> version that pip would install with this interpreter into an empty environment."""
    command = [python, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--report", "-", *wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{python}: pip could not resolve the requirements.\n{done.stderr.strip()[-2000:]}")
    entries = json.loads(done.stdout)["install"]
    found = {}
    for entry in entries:
        name = re.sub(r"[-_.]+", "-", entry["metadata"]["name"]).lower()
        found[name] = entry["metadata"]["version"].split("+")[0]  # a local build label is not portable
    return found


def marker(pythons: list[str]) -> str:
    """Shortest marker that selects these Pythons out of PYTHONS."""
    first, last = PYTHONS.index(pythons[0]), PYTHONS.index(pythons[-1])
    if last - first + 1 != len(pythons):
        return " or ".join(f'python_version == "{version}"' for version in pythons)
    bounds = []
    if first > 0:
        bounds.append(f'python_version >= "{pythons[0]}"')
    if last < len(PYTHONS) - 1:
        bounds.append(f'python_version <= "{pythons[-1]}"')
    return " and ".join(bounds)


def merge(answers: dict[str, dict[str, str]]) -> list[str]:
    """One line per package, or one per version with its marker where the Pythons differ."""
    lines = []
    for name in sorted(set().union(*answers.values())):
        by_version: dict[str, list[str]] = {}
        for python in PYTHONS:
            if name in answers[python]:
                by_version.setdefault(answers[python][name], []).append(python)
        if len(by_version) == 1:
            # A constraint on a package that one Python does not need changes nothing there.
            lines.append(f"{name}=={next(iter(by_version))}")
        else:
            lines += [f"{name}=={version} ; {marker(pythons)}" for version, pythons in by_version.items()]
    return lines


def main() -> None:
    """Resolve under each Python and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", action="append", default=[], metavar="3.12=PATH", help="interpreter for a version")
    given = dict(item.split("=", 1) for item in parser.parse_args().python)
    wanted = [*requirements(), *TORCH_REQUIRES]
    answers = {}
    for version in PYTHONS:
        python = given.get(version) or shutil.which(f"python{version}")
        if python is None:
            sys.exit(f"python{version} not found. Install it or pass --python {version}=/path/to/python.")
        print(f"resolving for Python {version} ...", flush=True)
        answers[version] = resolve(python, wanted)
    lines = [TORCH, *merge(answers)]
    LOCK.parent.mkdir(exist_ok=True)
    LOCK.write_text(HEADER.format(torch=TORCH) + "\n".join(sorted(lines)) + "\n", encoding="utf-8")
    print(f"wrote {LOCK.relative_to(ROOT)}: {len(lines)} lines")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Create or update the development environment: a venv, the pinned packages, the compiled extension.

Each stage keeps a digest of what it depends on, so that a second run does nothing: editing pyproject.toml or the lock
file updates the packages, editing anything in engine/csrc only rebuilds the extension. Uses the standard library
alone, because it runs before anything is installed.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import shutil
import sys
import sysconfig
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from progress import Failed, Log, run_logged

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = ROOT / "pyproject.toml"
LOCK = ROOT / "requirements" / "dev.lock"
CSRC = ROOT / "engine" / "csrc"
STATE = "ohmscape-environment.json"
BUILD_TOOLS = ("cmake", "ninja")
COMPILERS = ("c++", "g++", "clang++")
_OF_PROJECT = ("--no-build-isolation", "--no-deps")  # without isolation pip does not fetch the tools a second time


def digest(*parts: object) -> str:
    """Digest of texts and of files (by content, so that a fresh checkout does not look changed)."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part.read_bytes() if isinstance(part, Path) else str(part).encode())
        total.update(b"\0")
    return total.hexdigest()


def check_machine() -> None:
    """Stop with one sentence when the machine lacks something that pip cannot install."""
    missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if missing:
        raise Failed(
            f"{sys.executable}: the module {missing[0]} is missing. Install it (Debian, Ubuntu: apt-get install "
            f"python{version}-venv)."
        )
    compiler = os.environ.get("CXX")
    known = (compiler.split()[0],) if compiler else COMPILERS
    if not any(shutil.which(name) for name in known):
        raise Failed(
            f"No C++ compiler found (looked for {', '.join(known)}). Install one (Debian, Ubuntu: apt-get install g++; "
            "Fedora: dnf install gcc-c++; macOS: xcode-select --install), or set CXX."
        )
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        raise Failed(
            f"{sys.executable}: the header Python.h is missing. Install it (Debian, Ubuntu: apt-get install "
            f"python{version}-dev; Fedora: dnf install python{version}-devel)."
        )


def python_of(venv: Path) -> str:
    """Version of the interpreter that an existing environment was made with, e.g. ``3.11``; empty if there is none."""
    config = venv / "pyvenv.cfg"
    if not (venv / "bin" / "python").exists() or not config.exists():
        return ""
    lines = dict(line.split(" = ", 1) for line in config.read_text().splitlines() if " = " in line)
    return ".".join(lines.get("version", "").split(".")[:2])


class Environment:
    """The environment in one folder and what is known to be installed in it."""

    def __init__(self, venv: Path, extras: set[str], log: Log) -> None:
        self.venv, self.log = venv, log
        self.state_file = venv / STATE
        self.state = json.loads(self.state_file.read_text()) if self.state_file.exists() else {}
        self.extras = extras | set(self.state.get("extras", []))
        self.project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))

    def remember(self, **changes: object) -> None:
        """Note a finished stage; written at once, so that an interrupted run resumes behind it."""
        self.state.update(changes)
        self.state_file.write_text(json.dumps(self.state, indent=1) + "\n")

    def create(self) -> None:
        """Make the venv with the running Python, anew if it was made with another version."""
        wanted = f"{sys.version_info.major}.{sys.version_info.minor}"
        existing = python_of(self.venv)
        if existing == wanted:
            return
        reason = f" (was Python {existing})" if existing else ""
        self.log.step(f"creating {self.venv.name} with Python {wanted}{reason}")
        self.state = {}
        run_logged([sys.executable, "-m", "venv", "--clear", str(self.venv)], self.log)

    def pip(self, *arguments: str) -> None:
        """Run pip in the environment under the lock file."""
        run_logged([*self._pip, "install", "-c", str(LOCK), *arguments], self.log)

    @property
    def _pip(self) -> list[str]:
        return [str(self.venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]

    def install_packages(self) -> None:
        """Install what the project requires, torch first so that its CPU build is taken where one is at hand."""
        names = sorted(self.extras)
        key = digest(PYPROJECT, LOCK, *names)
        if self.state.get("packages") == key:
            return
        project = self.project["project"]
        wanted = [*self.build_tools, *project["dependencies"]]
        for extra in names:
            wanted += project["optional-dependencies"][extra]
        torch = next(line for line in LOCK.read_text().splitlines() if line.startswith("torch=="))
        self.log.step("installing torch")
        self.pip(torch)
        self.log.step(f"installing {len(wanted)} packages and what they need")
        self.pip(*wanted)
        self.remember(packages=key, extras=names)

    @property
    def build_tools(self) -> list[str]:
        """What compiling needs, beside a compiler."""
        return [*self.project["build-system"]["requires"], *BUILD_TOOLS]

    @contextmanager
    def compiling(self) -> Iterator[None]:
        """Compile the extension beside a block that installs packages; `build` finds it compiled.

        Installing keeps one core busy, most of the time; what fails here fails again in `build`, which tells.
        """
        if not self.state.get("packages") and self.state.get("extension") != extension_key():
            self.log.step("installing the compiler's tools")
            self.pip(*self.build_tools)
            self._find_tools()
            wheels = self.venv / "wheels"  # only the compiled objects in build/ are wanted
            command = ["nice", *self._pip, "wheel", *_OF_PROJECT, "--wheel-dir", str(wheels), str(ROOT)]
            thread = threading.Thread(target=_try, args=(command, self.log))
            thread.start()
            try:
                yield
            finally:
                thread.join()
                shutil.rmtree(wheels, ignore_errors=True)
        else:
            yield

    def build(self) -> None:
        """Compile the extension and install the project in editable mode."""
        key = extension_key()
        if self.state.get("extension") == key:
            return
        self.log.step("compiling the extension")
        self._find_tools()
        self.pip("--verbose", *_OF_PROJECT, "-e", str(ROOT))
        self.remember(extension=key)

    def _find_tools(self) -> None:
        """Put the build tools on PATH: they live in the environment."""
        bin_folder = str(self.venv / "bin")
        if not os.environ["PATH"].startswith(bin_folder + os.pathsep):
            os.environ["PATH"] = bin_folder + os.pathsep + os.environ["PATH"]


def extension_key() -> str:
    """Digest of all that the extension is made from."""
    sources = sorted(path for path in CSRC.rglob("*") if path.is_file())
    return digest(PYPROJECT, *(item for path in sources for item in (str(path.relative_to(ROOT)), path)))


def _try(command: list[str], log: Log) -> None:
    with suppress(Failed):
        run_logged(command, log, quiet=True)


def main() -> None:
    """Bring the environment up to date; say so in one line if it already was."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv")
    parser.add_argument("--extras", nargs="*", default=[], help="extras of pyproject.toml, e.g. test dev")
    options = parser.parse_args()
    started = time.monotonic()
    try:
        check_machine()
        with Log(options.venv.resolve().parent / "build" / "setup.log") as log:
            environment = Environment(options.venv.resolve(), set(options.extras), log)
            environment.create()
            with environment.compiling():
                environment.install_packages()
            environment.build()
            if log.steps:
                print(f"environment ready after {time.monotonic() - started:.0f} s", flush=True)
    except Failed as problem:
        sys.exit(f"error: {problem}")


if __name__ == "__main__":
    main()

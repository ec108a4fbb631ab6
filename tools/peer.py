#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Install the peer that `make bench` compares with: aihwkit from its source distribution, in an environment of its own.

It is built as its package says (its own compile flags, OpenBLAS, no build isolation) against the torch that we run on,
so that both sides of a ratio stand on the same tensor library. Takes some ten minutes on one core.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from pathlib import Path

from chromium import is_debian
from environment import LOCK, ROOT, Environment, check_machine, digest
from progress import Failed, Log, run_logged

PEER = "aihwkit==1.2.0"
BUILD_REQUIREMENTS = ("setuptools>=77", "wheel", "scikit-build>=0.18.1", "pybind11>=3.0.1", "ninja", "cmake", "mypy")
BLAS_PROBE = "#include <cblas.h>\nint main() { cblas_sscal(0, 1.0f, nullptr, 1); }\n"


def has_openblas(folder: Path) -> bool:
    """True if a program that uses OpenBLAS compiles and links (where it is installed differs from system to system)."""
    source, program = folder / "openblas_probe.cpp", folder / "openblas_probe"
    source.write_text(BLAS_PROBE)
    home = os.environ.get("OPENBLAS_ROOT_DIR", "/usr")
    places = ["-I/usr/include/openblas", f"-I{home}/include", f"-L{home}/lib"]
    command = ["c++", *places, str(source), "-lopenblas", "-o", str(program)]
    with Log(folder / "openblas_probe.log") as log:
        try:
            run_logged(command, log)
        except Failed:
            return False
    return True


def provide_openblas(log: Log, folder: Path) -> None:
    """Install OpenBLAS's headers where that is possible.

    Raises
    ------
    Failed
        They are missing, and this is not Debian or we are not root: says what to do by hand.
    """
    if has_openblas(folder):
        return
    if not (is_debian() and shutil.which("apt-get") and os.geteuid() == 0):
        raise Failed(
            "OpenBLAS with its headers is missing, which aihwkit needs. Install it (Debian, Ubuntu: apt-get install "
            "libopenblas-dev; Fedora: dnf install openblas-devel; macOS: brew install openblas, and "
            "set OPENBLAS_ROOT_DIR to its prefix)."
        )
    log.step("installing OpenBLAS")
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    run_logged(["apt-get", "update"], log)
    run_logged(["apt-get", "install", "-y", "--no-install-recommends", "libopenblas-dev"], log)


class PeerEnvironment(Environment):
    """The peer's venv: torch as pinned for us, the peer's build tools, the peer."""

    def install_peer(self, jobs: int) -> None:
        """Build and install the peer unless that is done."""
        key = digest(LOCK, PEER, *BUILD_REQUIREMENTS)
        if self.state.get("peer") == key:
            return
        torch = next(line for line in LOCK.read_text().splitlines() if line.startswith("torch=="))
        self.log.step("installing torch and the build tools")
        self.pip(torch)
        self.pip(*BUILD_REQUIREMENTS)
        self.log.step(f"building {PEER} with {jobs} job{'s' * (jobs > 1)}")
        os.environ["PATH"] = str(self.venv / "bin") + os.pathsep + os.environ["PATH"]
        os.environ["CMAKE_PREFIX_PATH"] = self.torch_cmake()
        os.environ["CMAKE_BUILD_PARALLEL_LEVEL"] = str(jobs)
        self.pip("--verbose", "--no-build-isolation", "--no-binary", PEER.split("==")[0], torch, PEER)
        run_logged([str(self.venv / "bin" / "python"), "-c", "import aihwkit.simulator.rpu_base"], self.log)
        self.remember(peer=key)

    def install_fitter(self) -> None:
        """Install what the peer's fitter imports but the peer's package does not ask for; as pinned for us."""
        lmfit = next(line for line in LOCK.read_text().splitlines() if line.startswith("lmfit=="))
        if self.state.get("fitter") == lmfit:
            return
        self.log.step("installing lmfit for the peer's fitter")
        self.pip(lmfit)
        self.remember(fitter=lmfit)

    def torch_cmake(self) -> str:
        """Folder of torch's CMake files in this environment."""
        (packages,) = (self.venv / "lib").glob("python*/site-packages")
        return str(packages / "torch" / "share" / "cmake")


def main() -> None:
    """Bring the peer's environment up to date; say nothing if it already was."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv-peer")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="compilations at a time")
    options = parser.parse_args()
    started = time.monotonic()
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    try:
        check_machine()
        with Log(build / "peer.log") as log:
            provide_openblas(log, build)
            environment = PeerEnvironment(options.venv.resolve(), set(), log)
            environment.create()
            environment.install_peer(options.jobs)
            environment.install_fitter()
            if log.steps:
                print(f"peer ready after {time.monotonic() - started:.0f} s", flush=True)
    except Failed as problem:
        sys.exit(f"error: {problem}")


if __name__ == "__main__":
    main()

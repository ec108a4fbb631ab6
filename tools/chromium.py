#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Find the Chromium that browser tests drive; as a script, install it where that is possible.

The one home of this search: the tests, the latency bench and `make test` all ask here.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from progress import Failed, Log, run_logged

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PLACES = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
# No GPU, no sandbox (tests run as root in containers), no calls home (a closed network logs each as an error).
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def find() -> Path | None:
    """Path of a Chromium or Chrome: the environment variable CHROMIUM, else PATH, else macOS's usual places.

    Raises
    ------
    Failed
        CHROMIUM is set to something that is not there.
    """
    given = os.environ.get("CHROMIUM")
    if given:
        found = shutil.which(given)
        if found is None:
            raise Failed(f"CHROMIUM = {given}: no such program. Give the path of a Chromium or Chrome, or unset it.")
        return Path(found)
    for name in NAMES:
        found = shutil.which(name)
        if found:
            return Path(found)
    return next((Path(place) for place in PLACES if Path(place).exists()), None)


def is_debian() -> bool:
    """True on Debian itself: Ubuntu's chromium package is only a pointer to a snap."""
    release = Path("/etc/os-release")
    return release.exists() and "ID=debian" in release.read_text().splitlines()


def install(log: Log) -> None:
    """Install Debian's Chromium.

    Raises
    ------
    Failed
        Not root, or not Debian: says what to do by hand.
    """
    if not (is_debian() and shutil.which("apt-get") and os.geteuid() == 0):
        raise Failed(
            "No Chromium found for the browser tests. Install it (Debian: apt-get install chromium; Ubuntu: snap "
            "install chromium; Fedora: dnf install chromium; macOS: brew install --cask chromium), or set "
            "CHROMIUM=/path/to/chrome. To leave out the browser tests: make test BROWSER=no"
        )
    log.step("installing Chromium")
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    run_logged(["apt-get", "update"], log)
    run_logged(["apt-get", "install", "-y", "--no-install-recommends", "chromium"], log)


def main() -> None:
    """Make sure that there is a Chromium."""
    try:
        if find() is None:
            with Log(Path(__file__).resolve().parent.parent / "build" / "chromium.log") as log:
                install(log)
            if find() is None:
                raise Failed("apt-get installed the package chromium, but no chromium is on PATH. Set CHROMIUM.")
    except Failed as problem:
        sys.exit(f"error: {problem}")


if __name__ == "__main__":
    main()

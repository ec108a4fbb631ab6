# SPDX-License-Identifier: Apache-2.0
"""What all tests share: markers by folder, an own home for results, measured data, the browser, a served app."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import chromium
import hypothesis
import pytest
from progress import Failed
from xdist.scheduler import LoadScopeScheduling

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
FOLDER_MARKERS = {"browser": "browser"}
# What waits for other processes more than it computes, as chains that each stay in one process, the longest first.
CHAINS = {
    "pages of the served apps": r"tests/browser/(?!test_jupyterlab)",
    "JupyterLab, workers, builds": r"tests/(browser/test_jupyterlab|explorer/test_job|contract/test_new_device)",
}
gc.disable()  # until all is imported; see pytest_collection_finish
if "PYTEST_XDIST_WORKER" in os.environ:  # the cores are taken: threads that wait for each other would only spin
    os.environ.setdefault("OMP_NUM_THREADS", "1")
hypothesis.settings.register_profile("ohmscape", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("ohmscape")
START_LIMIT_S = 120  # cold imports on a busy two-core machine took up to 40 s
STOP_LIMIT_S = 30


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark by folder, so that a new file needs no line; ``-k T19`` finds a conformance test; long files come first.

    Where tests run in parallel, the short files fill the gaps at the end.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    for item in items:
        below = item.path.relative_to(TESTS).parts if item.path.is_relative_to(TESTS) else ()
        if below and below[0] in FOLDER_MARKERS:
            item.add_marker(FOLDER_MARKERS[below[0]])
        item.extra_keyword_matches.update(n for mark in item.iter_markers("conformance") for n in mark.args)
    items.sort(key=lambda item: _turn(item.path, slow))

def _turn(path: Path, slow: set[Path]) -> int:
    """Return when a file's turn comes: the chains, other long files, the rest."""
    chain = _chain(path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else "")
    if chain is not None:
        return list(CHAINS).index(chain)
    return len(CHAINS) + (path not in slow)


def _chain(file: str) -> str | None:
    """Return the name of the chain that a file belongs to."""
    return next((name for name, pattern in CHAINS.items() if re.match(pattern, file)), None)


def pytest_collection_finish() -> None:
    """Have the garbage collector leave alone what is there by now: to look through it took a second each time."""
    gc.collect()
    gc.freeze()
    gc.enable()


class ByFile(LoadScopeScheduling):
    """Tests in parallel: a file stays in one process, so that what its fixtures hold is made once.

    So does a chain: one server for all pages, and no two tests that load all cores with workers or compilers at once.
    (The groups of pytest-xdist 3.8 have no effect under pytest 9.2.)
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return _chain(file) or file


@pytest.hookimpl(optionalhook=True)  # without pytest-xdist there is nothing to share out
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """Share out files, whatever ``--dist`` says."""
    return ByFile(config, log)


@pytest.fixture(autouse=True)
def no_loop_of_others(request: pytest.FixtureRequest) -> Iterator[None]:
    """Hide the event loop that Playwright keeps running in the main thread from tests that do not use it."""
    running = None if request.node.get_closest_marker("browser") else asyncio._get_running_loop()
    if running is None:
        yield
        return
    asyncio._set_running_loop(None)
    yield
    asyncio._set_running_loop(running)


@pytest.fixture(scope="session", autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep results out of the user's own store, also those of processes that tests start."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("ohmscape_home")
        patch.setenv("OHMSCAPE_HOME", str(home))
        yield home


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Set the number of threads of torch and of our kernels; the old number is back after the test."""
    import torch

    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def measured_data() -> Path:
    """Folder with measured pulse responses: OHMSCAPE_MEASURED_DATA, else ../shared/data beside the checkout."""
    folder = Path(os.environ.get("OHMSCAPE_MEASURED_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no measured data in {folder} (set OHMSCAPE_MEASURED_DATA)")
    return folder


@pytest.fixture(scope="session")
def chromium_path() -> Path:
    """Path of the Chromium under test; fails with what to do when there is none."""
    try:
        found = chromium.find()
    except Failed as problem:
        pytest.fail(str(problem))
    if found is None:
        pytest.fail("No Chromium found. Run make test once (it installs or says how), or set CHROMIUM.")
    return found


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict, chromium_path: Path) -> dict:
    """pytest-playwright's launch arguments, with the system's Chromium in place of a download."""
    return {**browser_type_launch_args, "executable_path": str(chromium_path), "args": list(chromium.FLAGS)}


class ServedApps:
    """A server process as a user starts it, on a free port."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "server.log"
        self._answer = folder / "server.json"
        command = [sys.executable, "-m", "explorer.cli", "serve", "--port", "0", "--no-browser"]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*command, "--json", str(self._answer)], cwd=folder, stdout=log, stderr=subprocess.STDOUT
            )

    def wait(self) -> str:
        """Return the address once the server has announced it."""
        end = time.monotonic() + START_LIMIT_S
        while time.monotonic() < end:
            if self._answer.exists():
                return json.loads(self._answer.read_text())["url"]
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        pytest.fail(f"the server did not start:\n{self.log.read_text()}")

    def stop(self) -> None:
        """End the server like a user's Ctrl+C and wait for it and its workers."""
        self.process.terminate()
        try:
            self.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            pytest.fail(f"the server did not stop within {STOP_LIMIT_S} s:\n{self.log.read_text()}")


@pytest.fixture(scope="session")
def served_apps(tmp_path_factory: pytest.TempPathFactory, own_home: Path) -> Iterator[ServedApps]:
    """The apps, served for the whole test session; has ``wait()``, ``log`` and ``process``."""
    served = ServedApps(tmp_path_factory.mktemp("server"))
    yield served
    served.stop()


@pytest.fixture(scope="session")
def app_url(served_apps: ServedApps) -> str:
    """Root address of the served apps, such as ``http://127.0.0.1:43211/``."""
    return served_apps.wait()

# SPDX-License-Identifier: Apache-2.0
"""Shared by the tests of the explorer: a plugin package with probe experiments, one warm cluster."""

import sys
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parent / "plugin"


@pytest.fixture(scope="session")
def plugin(tmp_path_factory):
    """Install the probe experiments as a package would: a module and its entry point."""
    from explorer import experiments

    site = tmp_path_factory.mktemp("site")
    info = site / "ohmscape_probe-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ohmscape-probe\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[ohmscape.experiments]\nprobe = probe_experiments\n")
    paths = [str(site), str(PLUGIN)]
    sys.path[:0] = paths  # spawned workers get the same path
    experiments.classes.cache_clear()
    yield site
    for path in paths:
        sys.path.remove(path)
    experiments.classes.cache_clear()


@pytest.fixture(scope="session")
def cluster(plugin):
    """One warm job runner with one worker process for the whole test session."""
    from explorer.jobs import JobRunner

    shared = JobRunner(workers=1, max_active=8, max_per_owner=2)
    shared.warm()
    yield shared
    shared.shutdown()


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty results folder."""
    monkeypatch.setenv("OHMSCAPE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def short_training(monkeypatch):
    """Let networks be fine-tuned for the hardware by one epoch on few samples."""
    from explorer.experiments import robust
    from explorer.experiments.hardware_aware_training import HardwareAwareTraining

    def short(network):
        made = HardwareAwareTraining(network=network, samples=128)
        return made.copy(schedule=made.schedule.copy(epochs=1))

    monkeypatch.setattr(robust, "_experiment", short)

# SPDX-License-Identifier: Apache-2.0
"""What a quick estimate takes of a run, by the size of the network and the processor."""

import pytest

from engine import ops
from explorer.experiments import quick as module
from explorer.experiments.chips import Cost
from explorer.experiments.drift_accuracy import DriftAccuracy
from explorer.experiments.scenario import Scenario

# Multiplications of a sample, from a small network to one that no estimate is made of; converters take a tenth.
SIZES = [10**4, 10**6, 10**7, 3 * 10**7, 10**10]


@pytest.fixture
def plan(monkeypatch):
    """``plan(multiplications, isa)`` gives the estimate's run for a network of that size."""

    def made(multiplications: int, isa: str = "avx2", **settings) -> DriftAccuracy | None:
        cost = Cost(multiplications // 100, 1, multiplications, multiplications // 10)
        monkeypatch.setattr(module, "cost", lambda network: cost)
        monkeypatch.setattr(ops, "build_info", lambda: {"isa": isa})
        return module.quick(DriftAccuracy(**settings), Scenario())

    return made


def work(run: DriftAccuracy | None) -> int:
    """Return how many times a sample passes a chip."""
    return 0 if run is None else int(run.n_chips) * int(run.samples) * len(run.times)


def test_larger_networks_and_slower_processors_get_less(plan):
    for isa in ("avx512", "avx2", "portable"):
        done = [work(plan(size, isa)) for size in SIZES]
        assert done == sorted(done, reverse=True)
        assert done[-1] == 0
    for size in SIZES:
        done = [work(plan(size, isa)) for isa in ("avx512", "avx2", "portable")]
        assert done == sorted(done, reverse=True)


@pytest.mark.parametrize("size", [size for size in SIZES if size < 10**10])
def test_estimate_has_an_attempts_shape_and_enough_samples(plan, size):
    run = plan(size)
    times = DriftAccuracy().times
    shapes = {(chips, min(moments, len(times))) for chips, moments, _ in module.ATTEMPTS}
    assert (int(run.n_chips), len(run.times)) in shapes
    assert int(run.samples) >= module.FEWEST_SAMPLES
    assert (run.times[0], run.times[-1]) == (times[0], times[-1])


def test_last_attempt_takes_the_fewest_samples_where_those_need_longer(plan):
    """Between the usual time and the last attempt's, 24 samples of one chip at two times are taken, no more."""
    per_sample = 3e-10 + 0.1 * 3e-9 + 0.01 * 2.7e-8 * 2 * 4 / (24 * 2)  # seconds a multiplication, devices shared out
    size = int(1.4 * module.SECONDS / (24 * 2 * per_sample))
    run = plan(size)
    assert (int(run.n_chips), int(run.samples), len(run.times)) == (1, module.FEWEST_SAMPLES, 2)
    assert plan(2 * size) is None


def test_fewer_samples_are_taken_where_they_are_asked_for(plan):
    assert int(plan(10**4, samples=30).samples) == 30

# SPDX-License-Identifier: Apache-2.0
"""The lookup-table device: tables from samples, what they reproduce, and what no classical model can.

Generated data stand for any measurement; the measured set and reset ramps (one device, 39 and 40 cycles, current at
0.1 V) are used where the optional folder has them.
"""

from pathlib import Path

import judge
import numpy as np
import pytest
import torch

from engine.devices.lookup_table import LookupTable
from engine.devices.piecewise_step import PiecewiseStep
from engine.errors import ParameterError
from engine.tiles import Tile
from explorer.fitting import fit, read_measured

EQUAL = {"dw_min_dtod": 0.0, "up_down_dtod": 0.0, "w_max_dtod": 0.0, "w_min_dtod": 0.0}


def growing_up(w):
    """A set step that grows along the ramp by a factor of five, as in the measured ramps."""
    return 0.004 * np.exp(0.8 * (w + 1))


def falling_down(w):
    return 0.012 + 0.003 * w


def generated(cycles: int = 40, noise: float = 0.15, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return before, step, direction of ramps that follow the curves above with relative noise."""
    rng = np.random.default_rng(seed)
    samples, w = [], -1.0
    for _ in range(cycles):
        for way, size in ((1, growing_up), (-1, falling_down)):
            while (w < 1) if way > 0 else (w > -1):
                change = way * size(w) * (1 + noise * rng.standard_normal())
                samples.append((w, change, way))
                w += change
    return tuple(np.array(samples).T)


def ramps(tile: Tile, start: float, pulses: int, way: int = 1) -> np.ndarray:
    """Return the states ``(pulses + 1, devices)`` of a tile's devices from one weight."""
    tile.set_weights(torch.full(tile.hidden.shape, start))
    states = tile.pulse([way] * pulses).hidden.numpy().astype(float).reshape(pulses, -1)
    return np.concatenate([np.full((1, states.shape[1]), start), states])


# -- tables from samples ---------------------------------------------------------------------------------------


def test_tables_from_samples_are_the_mean_and_the_spread_of_the_step():
    """About 15 000 steps, 20 nodes: means within 3 % and spreads within 10 % of the generating curves (a node has
    400 steps or more: 4 standard errors of 15 % noise)."""
    device = LookupTable.from_samples(*generated())
    at = np.linspace(device.w_min, device.w_max, 20)
    for name, curve in (("up", growing_up), ("down", falling_down)):
        np.testing.assert_allclose(getattr(device, f"mean_{name}"), curve(at), rtol=0.03)
        np.testing.assert_allclose(getattr(device, f"spread_{name}"), 0.15 * curve(at), rtol=0.1)
    assert device.dw_min == pytest.approx((growing_up(0) + falling_down(0)) / 2, rel=0.02)
    assert (device.w_min, device.w_max) == (pytest.approx(-1, abs=0.03), pytest.approx(1, abs=0.03))


def test_steps_against_their_pulse_belong_to_its_direction():
    """Noise of three steps: 37 % of the steps reverse; their mean is still the step, within 4.5 standard errors."""
    rng = np.random.default_rng(2)
    before, way = rng.uniform(-1, 1, 40_000), np.where(rng.random(40_000) < 0.5, 1, -1)
    device = LookupTable.from_samples(before, way * (0.01 + 0.03 * rng.standard_normal(40_000)), way, nodes=5)
    for name in ("up", "down"):
        np.testing.assert_allclose(getattr(device, f"mean_{name}"), 0.01, atol=4.5 * 0.03 / np.sqrt(1600))
        np.testing.assert_allclose(getattr(device, f"spread_{name}"), 0.03, rtol=0.1)


def test_nodes_without_samples_take_the_nearest_that_have_some():
    before = np.concatenate([np.full(50, -0.5), np.full(50, 0.5)])
    step = np.concatenate([np.full(50, 0.01), np.full(50, 0.03)])
    device = LookupTable.from_samples(
        np.tile(before, 2), np.concatenate([step, -step]), np.repeat([1, -1], 100), nodes=5, w_min=-1.0, w_max=1.0
    )
    np.testing.assert_allclose(device.mean_up, [0.01, 0.01, 0.02, 0.03, 0.03])
    np.testing.assert_allclose(device.spread_up, 0, atol=1e-9)


def test_values_given_with_the_samples_are_kept():
    device = LookupTable.from_samples(*generated(2), nodes=7, w_min=-1.5, w_max=1.2, dw_min=0.02, dw_min_dtod=0.1)
    assert (device.w_min, device.w_max, device.dw_min, device.dw_min_dtod) == (-1.5, 1.2, 0.02, 0.1)
    assert len(device.mean_up) == len(device.spread_down) == 7
    assert device.w_max_dtod == 0.0


@pytest.mark.parametrize(
    ("samples", "options", "message"),
    [
        (([0.1], [0.1], [1]), {}, "no down steps"),
        (([0.1], [-0.1], [-1]), {}, "no up steps"),
        (([], [], []), {}, "no up steps"),
        (([0.1, 0.2], [0.1], [1]), {}, r"have shapes \(2,\), \(1,\), \(1,\)"),
        (([[0.1]], [[0.1]], [[1]]), {}, r"have shapes \(1, 1\)"),
        (([0.1, 0.2], [0.1, float("nan")], [1, -1]), {}, "holds NaN or infinity"),
        (([0.1, 0.2], [0.1, -0.1], [1, -1]), {"nodes": 1}, "nodes = 1: must be a whole number"),
        (([0.1, 0.2], [0.1, -0.1], [1, -1]), {"nodes": 2.5}, "nodes = 2.5: must be a whole number"),
    ],
)
def test_samples_that_make_no_table_are_refused(samples, options, message):
    with pytest.raises(ParameterError, match=rf"^LookupTable.from_samples: .*{message}"):
        LookupTable.from_samples(*samples, **options)


# -- what the device does --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_noise_of_a_pulse_is_the_table_s(seed):
    """40 000 equal devices from a weight between two nodes: mean 4.5 standard errors, spread 1.5 %."""
    device = LookupTable(mean_up=[0.01, 0.03], mean_down=[0.02], spread_up=[0.002, 0.006], spread_down=[0.01], **EQUAL)
    tile = Tile(200, 200, device, seed=seed)
    for way, mean, spread in ((1, 0.025, 0.005), (-1, 0.02, 0.01)):
        moved = way * np.diff(ramps(tile, 0.3, 1, way), axis=0)
        judge.mean(moved, mean)
        judge.std(moved, spread, within=0.015)
    half = Tile(200, 200, device.copy(dw_min_std=0.5), seed=seed)
    judge.std(np.diff(ramps(half, 0.3, 1), axis=0), 0.0025, within=0.015)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_spread_over_devices_scales_step_and_noise_together(seed):
    """A device with a larger gain has a larger step and more noise, in proportion."""
    device = LookupTable(dw_min=0.01, mean_up=[0.02], spread_up=[0.004], dw_min_dtod=0.3, up_down_dtod=0.0)
    tile = Tile(100, 100, device, seed=seed)
    gain = tile.cells["dwmin_up"].numpy().astype(float) / 0.01
    cells = {n: c.numpy() for n, c in tile.cells.items()}
    mean, spread = device.steps_of(cells, np.zeros((100, 100)), 1)
    np.testing.assert_allclose(mean, 0.02 * gain, rtol=1e-5)
    np.testing.assert_allclose(spread, 0.004 * gain, rtol=1e-5)


def test_table_stays_put_where_piecewise_stretches_with_the_bounds():
    """Tables are in weight units: a device with other bounds has the same step at the same weight."""
    nodes = [0.01, 0.02, 0.04]
    relative = [v / 0.01 for v in nodes]
    table = LookupTable(dw_min=0.01, mean_up=nodes, mean_down=nodes)
    piecewise = PiecewiseStep(dw_min=0.01, piecewise_up=relative, piecewise_down=relative)
    wide = {"max_bound": 1.2, "min_bound": -1.2, "dwmin_up": 0.01, "dwmin_down": 0.01}
    assert table.steps_of(wide, 0.3, 1)[0] == pytest.approx(0.03, rel=1e-6)
    assert piecewise.steps_of(wide, 0.3, 1)[0] == pytest.approx(0.025, rel=1e-6)


# -- growing set steps -----------------------------------------------------------------------------------------


def growth(states: np.ndarray) -> float:
    """Return the mean step of the last tenth of a ramp over that of the first."""
    steps = np.diff(states.mean(axis=1))
    share = len(steps) // 10
    return steps[-share:].mean() / steps[:share].mean()


def test_generated_growing_ramp_is_reproduced():
    """The mean ramp of 400 noisy devices within 1 % of the range, the growth of its step within 5 %."""
    device = LookupTable.from_samples(*generated())
    states = ramps(Tile(20, 20, device, seed=4), -1.0, 260)
    exact = [-1.0]
    for _ in range(260):
        exact.append(exact[-1] + growing_up(exact[-1]))
    exact = np.minimum(exact, device.w_max)
    inside = exact < 0.9
    assert np.abs(states.mean(1) - exact)[inside].max() < 0.02
    assert growth(states[inside]) == pytest.approx(growth(exact[inside][:, None]), rel=0.05)
    assert growth(states[inside]) > 2.5


CURRENT = {"unit": "A", "read_voltage_v": 0.1}


@pytest.fixture(scope="module")
def measured_ramps(measured_data):
    """Return set and reset data as weights: lists of (readings,) arrays by direction, and the data for a fit."""
    files: list[Path] = [measured_data / f"crosssim_{name}.csv" for name in ("set", "reset")]
    if not all(f.exists() for f in files):
        pytest.skip(f"no {files[0].name} in {measured_data}")
    sets, resets = (read_measured(f, **CURRENT) for f in files)
    both = sets.merge(resets)
    mapping = both.normalise()
    weights = {way: [mapping.to_weight(t.value) for t in data.traces] for way, data in ((1, sets), (-1, resets))}
    return weights, both


def samples_of(weights: dict[int, list[np.ndarray]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    parts = [(w[:-1], np.diff(w), np.full(w.size - 1, way)) for way, all_ in weights.items() for w in all_]
    return tuple(np.concatenate(p) for p in zip(*parts, strict=True))


def mean_ramp(traces: list[np.ndarray], length: int) -> np.ndarray:
    return np.mean([w[:length] for w in traces], axis=0)


@pytest.mark.parametrize("way", [1, -1])
def test_measured_ramps_are_reproduced(measured_ramps, way):
    """Mean ramp of 400 devices within 3 % of the range (2 w) of the measured mean at every pulse, its step in every
    tenth of the ramp within 15 %, the spread of single steps within 15 %."""
    weights, _ = measured_ramps
    device = LookupTable.from_samples(*samples_of(weights), nodes=30)
    length = min(w.size for w in weights[way])
    measured = mean_ramp(weights[way], length)
    states = ramps(Tile(20, 20, device, seed=5), float(measured[0]), length - 1, way)
    assert np.abs(states.mean(1) - measured).max() < 0.06
    tenths = np.linspace(0, length - 1, 11).astype(int)
    np.testing.assert_allclose(np.diff(states.mean(1)[tenths]), np.diff(measured[tenths]), rtol=0.15)
    single = np.concatenate([np.diff(w[:length]) - np.diff(measured) for w in weights[way]])
    judge.std(np.diff(states, axis=0) - np.diff(states.mean(1))[:, None], single.std(), within=0.15)


def test_measured_set_step_grows_and_soft_bounds_cannot(measured_ramps):
    """The measured step grows about fourfold along the ramp. Soft bounds fitted to the same data have falling steps
    and miss the ramp by at least five times more than the table."""
    weights, both = measured_ramps
    length = min(w.size for w in weights[1])
    measured = mean_ramp(weights[1], length)
    grown = growth(measured[:, None])
    assert 3 < grown < 6

    table = LookupTable.from_samples(*samples_of(weights), nodes=30)
    reproduced = ramps(Tile(20, 20, table, seed=5), float(measured[0]), length - 1)
    assert growth(reproduced) == pytest.approx(grown, rel=0.15)

    from engine.devices.soft_bounds import SoftBounds

    soft = SoftBounds(**fit(both, "soft_bounds").device_parameters())
    classical = ramps(Tile(1, 1, soft.nominal(), seed=5), float(measured[0]), length - 1)
    assert growth(classical) < 1
    error = [np.sqrt(np.mean((s.mean(1) - measured) ** 2)) for s in (classical, reproduced)]
    assert error[0] > 5 * error[1]

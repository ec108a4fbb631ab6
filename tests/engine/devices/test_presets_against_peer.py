# SPDX-License-Identifier: Apache-2.0
"""The population of a preset against what aihwkit 1.2.0 measured for its own preset (conformance T35, T36).

The numbers are in tests/data/peer_response.json and peer_defaults.json with their source. N = 50 000 devices, seed 11.
"""

import json
from pathlib import Path

import judge
import numpy as np
import pytest

from engine import devices, presets
from engine.tiles import Tile

DATA = Path(__file__).resolve().parents[2] / "data"
PEER = json.loads((DATA / "peer_response.json").read_text())["presets"]
ROWS, COLUMNS = 250, 200
PEER_TILES = 20


def response(device, phases: dict[str, list[int]], length: int) -> dict[tuple[str, int], tuple[np.ndarray, np.ndarray]]:
    """Return hidden and apparent weights after k pulses of the up phase, then of the down phase."""
    tile = Tile(ROWS, COLUMNS, device, seed=11)
    found = {}
    for phase, way in (("up", 1), ("down", -1)):
        done = 0
        for k in [*sorted(phases[phase]), length]:
            if k > done:
                tile.pulse(np.full(k - done, way), k - done)
            done = k
            found[phase, k] = (tile.hidden.numpy().astype(float).ravel(), tile.weights.numpy().astype(float).ravel())
    return found


def std_limit(sample: np.ndarray) -> float:
    """Return 3 %, or what two samples of this size leave open where heavy tails make that more."""
    return max(0.03, judge.Z * np.sqrt(2) * judge.std_error(sample))


def check_row(row: dict, hidden: np.ndarray, apparent: np.ndarray) -> None:
    """The peer's 20 tiles each carry a bias of their own noise table, hence the spread of its tile means."""
    where = f"{row['phase']} {row['k']}"
    spread = row["hidden_std"]
    error = judge.Z * np.sqrt(row["tile_mean_sd"] ** 2 / PEER_TILES + spread**2 / hidden.size)
    assert abs(hidden.mean() - row["hidden_mean"]) <= error + 0.01 * spread, where
    assert abs(np.median(hidden) - row["hidden_p50"]) <= error + 0.03 * spread, where
    judge.std(hidden, spread, within=std_limit(hidden), what=f"hidden std, {where}")
    judge.std(apparent, row["apparent_std"], within=std_limit(apparent), what=f"apparent std, {where}")


def test_peer_numbers_belong_to_presets():
    assert len(PEER) == 10
    assert set(PEER) <= set(presets.names())


@pytest.mark.conformance("T36")
@pytest.mark.parametrize("name", PEER)
def test_preset_population_follows_the_peer(name):
    peer, device = PEER[name], presets.load(name)
    phases = {phase: [r["k"] for r in peer["rows"] if r["phase"] == phase] for phase in ("up", "down")}
    found = response(device, phases, peer["pulses_per_phase"])
    for row in peer["rows"]:
        check_row(row, *found[row["phase"], row["k"]])
    written = peer["derived"]["write_noise_std_abs"]
    if written:
        hidden, apparent = found["down", peer["pulses_per_phase"]]
        judge.std(apparent - hidden, written, within=0.015)


@pytest.mark.parametrize("name", PEER)
def test_preset_parameters_are_the_peer_s(name):
    peer, device = PEER[name], presets.load(name)
    assert device.stem() == peer["device"]
    ours = {n: v for n, v in device.values().items() if n != "peer_compat"}
    assert ours == pytest.approx(peer["parameters"])


@pytest.mark.conformance("T35")
@pytest.mark.parametrize("name", PEER)
def test_preset_derived_numbers_are_the_peer_s(name):
    """1e-6: the peer's numbers have seven digits; steps that cancel to zero at a bound keep 1e-6 of the step at 0."""
    derived, device = PEER[name]["derived"], presets.load(name)
    assert device.granularity == pytest.approx(derived["weight_granularity"], rel=1e-6)
    assert device.n_states == pytest.approx(derived["nominal_number_of_states"], rel=1e-6)
    low, high = device.range
    for way, key in ((1, "step_up"), (-1, "step_down")):
        expected = [derived[key][at] for at in ("at_w_min", "at_0", "at_w_max")]
        np.testing.assert_allclose(device.step([low, 0.0, high], way), expected, rtol=1e-6, atol=1e-6 * expected[1])
    assert device.step_noise(0.0, 1) == pytest.approx(derived["cycle_noise_std_abs_at_0"], rel=1e-5)
    point = derived["nominal_symmetric_point"]
    if point == "any":
        assert device.symmetry_point() is None
    else:
        assert device.symmetry_point() == pytest.approx(point, abs=1e-5)


DEFAULTS = json.loads((DATA / "peer_defaults.json").read_text())["classes"]


def test_peer_defaults_exist_for_every_class_but_our_own():
    assert set(devices.names()) - set(DEFAULTS) == {"lookup_table"}


@pytest.mark.parametrize("stem", DEFAULTS)
def test_class_defaults_are_the_peer_s(stem):
    """All of the peer's parameters are there under its names, with its defaults; ours may have more."""
    ours, peer = devices.get(stem)().values(), DEFAULTS[stem]["parameters"]
    assert set(peer) <= set(ours)
    assert {n: ours[n] for n in peer} == peer

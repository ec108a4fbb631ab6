# SPDX-License-Identifier: Apache-2.0
"""What the processes in time do to write noise, and when the optimiser runs them (docs/physics/devices.md, section 5).

Numbers marked "peer" were measured on aihwkit 1.2.0 (CPU). Exact means one part in 1e6: single precision.
"""

import any_device
import judge
import pytest
import torch
from weights_in_time import WIDE, everywhere, tile_at

from engine import devices
from engine.devices.soft_bounds import SoftBounds
from engine.devices.soft_bounds_reference import SoftBoundsReference
from engine.nn import AnalogLinear
from engine.optim import AnalogSGD
from engine.tiles import Tile, TileConfig

WRITTEN = [s for s in devices.names() if "write_noise_std" in devices.get(s).fields()]
SEEDS = [1, 2, 3]


PROCESSES = {
    "decay": lambda t: t.decay(),
    "diffusion": lambda t: t.diffuse(),
    "drift": lambda t: t.drift(10.0),
    "clip": lambda t: t.clip(),
    "reset": lambda t: t.reset_columns(2, 3),
}


@pytest.mark.conformance("T18")
@pytest.mark.parametrize("stem", WRITTEN)
@pytest.mark.parametrize("process", PROCESSES)
def test_write_noise_is_renewed_everywhere_by_each_process(process, stem):
    """Also where the process changes nothing: other columns than those reset. N = 40 000: std within 2 %."""
    values = {
        "write_noise_std": 5.0,
        "diffusion": 0.01,
        "lifetime": 10.0,
        "drift_nu": 0.1,
        "apply_write_noise_on_set": False,
    }
    tile = Tile(200, 200, any_device.make(stem, **values), seed=1)
    errors = []
    for _ in range(2):
        PROCESSES[process](tile)
        errors.append((tile.weights - tile.hidden).numpy())
        judge.mean(errors[-1], 0.0)
        judge.std(errors[-1], 0.05, within=0.02)
    judge.correlation(*errors, 0.0, within=judge.Z / 200)


@pytest.mark.parametrize("process", PROCESSES)
def test_process_in_time_without_write_noise_keeps_one_weight(process):
    tile = tile_at(0.3, SoftBounds(diffusion=0.01, lifetime=10.0, drift_nu=0.1))
    PROCESSES[process](tile)
    torch.testing.assert_close(tile.weights, tile.hidden, rtol=0, atol=0)


@pytest.mark.parametrize("process", PROCESSES)
def test_processes_in_time_leave_stuck_devices(process):
    device = SoftBounds(corrupt_devices_prob=1.0, diffusion=0.1, lifetime=2.0, reset=0.5, drift_nu=0.3)
    tile = tile_at(0.3, device)
    PROCESSES[process](tile)
    torch.testing.assert_close(tile.hidden, tile.cells["max_bound"], rtol=0, atol=0)


def test_clip_brings_a_weight_outside_its_range_back():
    """Weights set from outside are clipped without the reference; `clip` uses the reachable range."""
    tile = tile_at(0.55, SoftBoundsReference(w_max=0.6, w_min=-0.6, reference_mean=0.2, **any_device.EQUAL_BOUNDS))
    everywhere(tile, 0.55)
    tile.clip()
    everywhere(tile, 0.4)


# -- once per mini-batch -------------------------------------------------------------------------------------------


def analog_layer(device, weight: float, shape=(4, 6)) -> AnalogLinear:
    layer = AnalogLinear(shape[1], shape[0], bias=False, config=TileConfig(device))
    layer.tile.set_weights(torch.full(shape, weight))
    return layer


@pytest.mark.conformance("T22")
def test_optimizer_step_decays_once_whatever_the_batch():
    """Peer: batch 8, lifetime 2, rate 1e-9: 0.4 -> 0.2, and 0.1 after a second step without a forward pass."""
    layer = analog_layer(any_device.make("soft_bounds", **WIDE, lifetime=2.0), 0.4)
    optimizer = AnalogSGD(layer.parameters(), lr=1e-9)
    layer(torch.ones(8, 6)).sum().backward()
    optimizer.step()
    everywhere(layer.tile, 0.2, rel=1e-3)  # one pulse of 0.01 w has probability 5e-5 there and does not come
    optimizer.step()
    everywhere(layer.tile, 0.1, rel=1e-3)


@pytest.mark.conformance("T22")
@pytest.mark.parametrize("lr", [0.0, 0.1])
def test_optimizer_step_reaches_tiles_without_gradient(lr):
    used, unused = (analog_layer(any_device.make("soft_bounds", **WIDE, lifetime=2.0), 0.4) for _ in range(2))
    optimizer = AnalogSGD([*used.parameters(), *unused.parameters()], lr=lr)
    used(torch.zeros(3, 6)).sum().backward()
    optimizer.step()
    everywhere(unused.tile, 0.2)
    everywhere(used.tile, 0.2)


@pytest.mark.conformance("T22")
@pytest.mark.parametrize("seed", SEEDS)
def test_diffusion_comes_before_decay(seed):
    """Lifetime 2 halves the walk of its batch: variance 0.01 / 4 within 3 %, 4.2 standard errors at N = 40 000."""
    tile = Tile(200, 200, any_device.make("constant_step", **WIDE, lifetime=2.0, diffusion=0.1), seed=seed)
    tile.end_batch()
    assert tile.hidden.var().item() == pytest.approx(0.01 * 0.25, rel=0.03)


@pytest.mark.conformance("T22")
def test_end_of_batch_without_processes_touches_nothing():
    """No diffusion, no decay: not even the write noise is drawn anew; drift and reset come only when asked for."""
    tile = tile_at(0.3, SoftBounds(write_noise_std=5.0, drift_nu=0.5, reset=0.5))
    before = tile.weights.clone()
    tile.end_batch()
    assert torch.equal(tile.weights, before)
    assert tile.state_dict()["steps"]["time"] == 0


@pytest.mark.conformance("T22")
def test_updates_come_before_the_processes_of_their_batch():
    """Noise-free constant steps: one full-scale update, then half of the result decays."""
    device = any_device.make("constant_step", **WIDE, **any_device.QUIET, lifetime=2.0)
    layer = analog_layer(device, 0.4)
    layer(torch.ones(1, 6)).sum().backward()
    AnalogSGD(layer.parameters(), lr=10.0).step()
    everywhere(layer.tile, (0.4 - 31 * 0.01) / 2, rel=1e-5)

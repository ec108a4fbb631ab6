# SPDX-License-Identifier: Apache-2.0
"""Power-law drift of training devices (docs/physics/devices.md, section 5).

Numbers marked "peer" were measured on aihwkit 1.2.0 (CPU). Exact means one part in 1e6: single precision.
"""

import any_device
import judge
import numpy as np
import pytest
import torch
from weights_in_time import EXACT, WIDE, everywhere, tile_at

from engine import devices
from engine.devices.constant_step import ConstantStep
from engine.tiles import Tile

SEEDS = [1, 2, 3]


def drifting(weight: float = 1.0, stem: str = "constant_step", **drift) -> Tile:
    values = {f"drift_{n}": v for n, v in ({"nu": 0.1} | drift).items() if n != "peer_compat"}
    compat = {"peer_compat": drift.get("peer_compat", False)}
    return tile_at(weight, any_device.make(stem, **WIDE, **values, **compat))


@pytest.mark.conformance("T23")
@pytest.mark.parametrize("stem", [s for s in devices.names() if "drift_nu" in devices.get(s).fields()])
def test_drift_is_the_power_law_from_the_last_write(stem):
    """Peer: exponent 0.1, five calls of 10 s from weight 1, then a write of 0.5. Limit 1e-5, the peer's digits."""
    tile = drifting(1.0, stem)
    for expected in (0.79433, 0.74113, 0.71169, 0.69150, 0.67624):
        tile.drift(10.0)
        everywhere(tile, expected, rel=0, abs_=1e-5)
    tile.set_weights(torch.full((3, 5), 0.5))
    tile.drift(10.0)  # the write is noticed in this call, which costs the call's time
    everywhere(tile, 0.5)
    tile.drift(10.0)
    everywhere(tile, 0.39716, rel=0, abs_=1e-5)


@pytest.mark.conformance("T23")
def test_drift_does_not_depend_on_how_the_waiting_is_cut():
    one, many = drifting(0.8), drifting(0.8)
    one.drift(1000.0)
    for seconds in (0.5, 3.5, 96.0, 400.0, 500.0):
        many.drift(seconds)
    torch.testing.assert_close(one.hidden, many.hidden, rtol=1e-6, atol=0)


@pytest.mark.conformance("T23")
def test_drift_below_the_first_unit_of_time_does_nothing():
    tile = drifting(0.8, t_0=20.0)
    tile.drift(19.0)
    everywhere(tile, 0.8)
    tile.drift(181.0)
    everywhere(tile, 0.8 * 10.0**-0.1)


@pytest.mark.conformance("T23")
@pytest.mark.parametrize(("peer_compat", "expected"), [(False, 0.691492), (True, 0.650358)])
def test_drift_offsets_have_the_right_sign_and_the_peer_s_in_compat(peer_compat, expected):
    """g' = g f with g = (w - w_offset) / ratio + g_offset; aihwkit adds w_offset where it should subtract."""
    tile = drifting(1.0, g_offset=0.3, wg_ratio=2.0, w_offset=0.1, peer_compat=peer_compat)
    tile.drift(10.0)
    everywhere(tile, expected, rel=0, abs_=1e-5)
    if not peer_compat:
        g = ((1.0 - 0.1) / 2.0 + 0.3) * 10.0**-0.1
        assert expected == pytest.approx((g - 0.3) * 2.0 + 0.1, abs=1e-6)


@pytest.mark.conformance("T23")
def test_drift_exponent_falls_with_the_logarithm_of_the_conductance():
    """Peer: 0.4114, 0.3530, 0.3423 (natural logarithm; later calls take the conductance as it is then)."""
    tile = drifting(0.5, nu_k=0.05, log_g0=-1.0)
    w = 0.5
    for now, peer in ((10.0, 0.4114), (40.0, 0.3530), (41.0, 0.3423)):
        exponent = 0.1 - 0.05 * (np.log(w) + 1.0)
        w = 0.5 * now**-exponent
        assert w == pytest.approx(peer, abs=6e-5)
        tile.drift(now - (tile._clock))
        everywhere(tile, w, rel=0, abs_=1e-5)
    assert 0.5 * 10 ** -(0.1 - 0.05 * (np.log(0.5) + 1)) == pytest.approx(0.411446, abs=1e-6)


@pytest.mark.conformance("T23")
@pytest.mark.parametrize("weight", [-0.5, 0.0])
def test_drift_of_a_conductance_without_logarithm_stays_finite(weight):
    """aihwkit gets NaN there and the weight jumps to its upper bound; ours takes the smallest positive conductance."""
    tile = drifting(weight, nu_k=0.05, log_g0=-1.0)
    tile.drift(10.0)
    assert torch.isfinite(tile.hidden).all()
    assert (tile.hidden <= 0).all()


@pytest.mark.conformance("T23")
@pytest.mark.parametrize("seed", SEEDS)
def test_drift_noise_has_the_stated_size(seed):
    """N = 40 000: exponent noise 30 % at each call, weight noise 0.02; mean 4.5 standard errors, std 2 %."""
    device = any_device.make("constant_step", low=-5, high=5, **any_device.EQUAL, drift_nu=0.1, drift_nu_std=0.3)
    tile = tile_at(1.0, device, (200, 200), seed)
    tile.drift(10.0)
    exponent = -np.log10(tile.hidden.numpy().astype(float))
    judge.mean(exponent, 0.1)
    judge.std(exponent, 0.03, within=0.02)
    tile = tile_at(1.0, device.copy(drift_nu_std=0.0, drift_w_noise_std=0.02), (200, 200), seed)
    tile.drift(10.0)
    judge.mean(tile.hidden, 10.0**-0.1)
    judge.std(tile.hidden, 0.02, within=0.02)
    tile.drift(10.0)  # its own noise does not count as a write
    judge.mean(tile.hidden, 20.0**-0.1)


@pytest.mark.conformance("T23")
@pytest.mark.parametrize("tolerance", [1e-7, 0.01])
def test_drift_restarts_for_weights_that_moved_by_more_than_the_tolerance(tolerance):
    tile = drifting(1.0, reset_tol=tolerance)
    tile.drift(10.0)
    tile.hidden[0, 0] += 0.005
    tile.drift(10.0)
    law = 20.0**-0.1
    torch.testing.assert_close(tile.hidden[1:], torch.full((2, 5), law), rtol=EXACT, atol=0)
    kept = tolerance > 0.005
    assert tile.hidden[0, 0].item() == pytest.approx(law if kept else 10.0**-0.1 + 0.005, rel=EXACT)


@pytest.mark.conformance("T23")
def test_drift_acts_on_the_hidden_weight():
    """Peer: 0.5 -> 0.37057 for 20 s on a device with write noise."""
    device = any_device.make("soft_bounds", **WIDE, drift_nu=0.1, write_noise_std=5.0)
    tile = tile_at(0.5, device)
    tile.drift(20.0)
    everywhere(tile, 0.37057, rel=0, abs_=1e-5)
    assert (tile.weights != tile.hidden).all()


@pytest.mark.conformance("T23")
def test_drift_stops_at_the_bounds_and_goes_on_from_there():
    """A negative exponent grows the weight; a clipped weight is no write."""
    tile = tile_at(0.5, ConstantStep(drift_nu=-0.5, w_max=0.8, w_min=-0.8, **any_device.EQUAL_BOUNDS))
    tile.drift(10.0)
    everywhere(tile, 0.8)
    tile.drift(10.0)
    everywhere(tile, 0.8)


def test_drift_survives_saving_and_loading():
    tile, other = drifting(1.0, nu_std=0.1), drifting(0.2, nu_std=0.1)
    tile.drift(10.0)
    other.load_state_dict(tile.state_dict())
    for t in (tile, other):
        t.drift(30.0)
    assert torch.equal(tile.hidden, other.hidden)
    assert tile.hidden.mean() == pytest.approx(40.0**-0.1, rel=0.1)

# SPDX-License-Identifier: Apache-2.0
"""The peer's process, with a stand-in; with the peer itself where it is installed."""

import sys
from pathlib import Path

import numpy as np
import pytest

from bench import operations
from bench.cases import Case
from bench.meters import Clocked
from bench.operation import device_of
from bench.peer import Peer, PeerError, PeerJob, PeerLacks, cell_arrays, device_settings, installed
from engine.tiles import Tile

FAKE = (sys.executable, str(Path(__file__).with_name("fake_peer.py")))
X = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture
def fake():
    with Peer(2, FAKE) as peer:
        yield peer


def test_peer_gets_its_threads_by_option_and_environment(fake):
    assert fake.description == {"peer": "fake 1", "threads": 2, "omp": "2"}


def test_peer_run_brings_time_and_result_of_the_arrays_given(fake):
    fake.open(PeerJob({"op": "update"}, {"x": X}))
    took, result = fake.run()
    assert took == Clocked(0.5, 0.25)
    np.testing.assert_array_equal(result, 2 * X)


def test_peer_lacking_a_device_says_so_and_goes_on(fake):
    with pytest.raises(PeerLacks, match="no such device"):
        fake.open(PeerJob({"lacks": True}))
    fake.open(PeerJob({}, {"x": X}))
    np.testing.assert_array_equal(fake.run()[1], 2 * X)


def test_peer_failing_shows_its_traceback(fake):
    fake.open(PeerJob({"fails": True}))
    with pytest.raises(PeerError, match="no luck"):
        fake.run()


def test_peer_dying_is_an_error_with_its_exit_status(fake):
    fake.open(PeerJob({"dies": True}))
    with pytest.raises(PeerError, match=r"ended \(3\) at 'run'"):
        fake.run()


def test_peer_closed_leaves_no_process_and_no_files(fake):
    fake.open(PeerJob({}, {"x": X}))
    folder = Path(fake._folder.name)
    assert (folder / "x.npy").exists()
    fake.close()
    assert fake._process.returncode == 0
    assert not folder.exists()
    fake._folder = type("Gone", (), {"cleanup": staticmethod(lambda: None)})  # the fixture closes again


def test_device_settings_name_the_peers_class_and_what_is_idle():
    device = device_of("soft_bounds_reference").copy(dw_min=0.002)
    settings = device_settings(device)
    assert settings["class"] == "SoftBoundsReferenceDevice"
    assert settings["parameters"]["dw_min"] == 0.002
    assert "dw_min" not in settings["idle"]
    assert {"peer_compat", "drift_nu", "w_max"} <= set(settings["idle"])


def test_cell_arrays_hold_every_value_the_peer_asks_for():
    tile = Tile(2, 3, device_of("soft_bounds"))
    names = {name.removeprefix("cell.") for name in cell_arrays(tile)}
    # The names of the peer's hidden parameters of a soft-bounds device with write noise, drift included.
    wanted = {"max_bound", "min_bound", "dwmin_up", "dwmin_down", "decay_scales", "diffusion_rates", "reset_bias"}
    assert wanted | {"drift_nu", "persistent_weights", "slope_up", "slope_down"} <= names


@pytest.mark.skipif(not installed(), reason="the peer is not installed (make bench-peer)")
@pytest.mark.parametrize(
    ("op", "device", "variant"),
    [
        ("update", "constant_step", "dense"),
        ("update", "soft_bounds_reference", "sparse"),
        ("update", "reram_exp_hfo2_2018", "dense"),
        ("response", "soft_bounds", "up and down"),
        ("forward", "ideal", "default"),
        ("construct", "linear_step", "new chip"),
    ],
)
def test_operation_agrees_with_the_peer(op, device, variant):
    shape, batch = ((50, 1), 100) if op == "response" else ((48, 32), 8)
    with Peer(1) as peer:
        record = operations.get(op)(Case(op, device, shape, batch, 31, 1, variant)).measure(peer, 8)
    assert record["peer_lacks"] is None
    assert record["mean_agrees"]
    assert record["variance_agrees"]

# SPDX-License-Identifier: Apache-2.0
"""Fitting a measured pulse response: four parameters of one device, with errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from bench.cases import Case, Rows
from bench.operation import PAUSE_S, TimedOperation, WrongAnswer
from bench.peer import Peer, PeerJob, device_settings
from engine.devices.soft_bounds import SoftBounds
from engine.tiles import Tile
from explorer.fitting import Measured, fit_response
from explorer.fitting.trace import pulse_trace

_FREE = ("dw_min", "up_down", "w_max", "w_min")
_TRUE = SoftBounds(dw_min=0.01, up_down=0.2, w_max=1.0, w_min=-0.8, dw_min_std=0.2, write_noise_std=0.5,
                   dw_min_dtod=0.0, up_down_dtod=0.0, w_max_dtod=0.0, w_min_dtod=0.0)  # fmt: skip
# Start and limits of the peer's search, (start, least, most), off by a factor of two or so as ours may be told to be.
_SEARCH = {
    "dw_min": (0.02, 0.001, 0.1),
    "up_down": (0.0, -0.9, 0.9),
    "w_max": (1.5, 0.3, 3.0),
    "w_min": (-1.5, -3.0, -0.3),
}
_Z = 4.5
_FEWEST = 200  # pulses
_PEER_WITHIN = 0.1  # least squares take no account of how steps add up; on this trace they come this near


class Fit(TimedOperation):
    """Soft bounds on one trace; ``batch`` is the number of pulses. Ours also finds two noises and the covariance."""

    rows = Rows(
        device=("soft_bounds",), shape=(1, 1), batch=2000, bl=1, threads=(1,), variant=("powell", "leastsq"),
    )  # fmt: skip

    def __init__(self, case: Case):
        super().__init__(case)
        self.peer: Peer | None = None
        self.off: list[float] = []
        self.measure_device(0)

    def measure_device(self, repetition: int) -> None:
        """Read another device along up and down ramps."""
        tile = Tile(1, 1, _TRUE, seed=7 + repetition)
        tile.set_weights(torch.full((1, 1), -0.7))
        pulses = max(self.case.batch, _FEWEST)
        ways = np.where(np.arange(pulses) // (pulses // 4) % 2 == 0, 1, -1)
        first = tile.weights[:, 0].numpy().copy()
        read = tile.pulse(ways.astype(np.int8)).apparent[:, 0, 0].numpy()
        self.ways, self.values = np.concatenate([[0], ways]), np.concatenate([first, read])
        trace = pulse_trace("1", 1, self.ways, self.values)
        self.data = Measured((trace,), "1", "simulated").normalise(-1.0, 1.0, -1.0, 1.0)

    @classmethod
    def verify(cls) -> None:
        """Compare a fit with the device that made the trace."""
        one = cls(Case("fit", "soft_bounds", (1, 1), 1000, 1, 1, "powell"))
        one.call()
        off = one.off_truth()
        if not off <= _Z:
            raise WrongAnswer(f"fit: a parameter is {off:.1f} standard errors off (limit {_Z})")

    def prepare(self, repetition: int) -> None:
        """Measure another device, and hand the peer the same readings."""
        self.measure_device(repetition)
        if self.peer:
            self.peer.open(self.peer_job())

    def _opened(self, peer: Peer | None, calls: int) -> tuple[Peer | None, str | None]:
        self.peer, lacking = super()._opened(peer, calls)
        return self.peer, lacking

    def call(self) -> None:
        """Fit, with errors and correlations."""
        self.found = fit_response(self.data, "soft_bounds", form={"mult_noise": True})

    def result(self) -> np.ndarray:
        """Return the four parameters."""
        self.off.append(self.off_truth())
        return np.array([self.found.values[n] for n in _FREE])

    def off_truth(self) -> float:
        """Return by how many standard errors the worst parameter misses the truth."""
        found = [self.found.parameters[n] for n in _FREE]
        return max(abs(p.value - getattr(_TRUE, p.name)) / p.stderr for p in found)

    def directions(self) -> Mapping[str, np.ndarray]:
        """Both sides fit the same readings: nothing is left to chance between them, see `_compared`."""
        return {}

    def peer_job(self) -> PeerJob:
        """Return the same trace for the peer's own fitter and one of its methods."""
        settings = {"op": "fit", "search": _SEARCH, "method": self.case.variant, "pause_s": PAUSE_S}
        settings["device"] = device_settings(SoftBounds())
        # the peer takes the state before each pulse, so the last pulse has no reading
        pulses = np.append(self.ways[1:], 1).astype(float)
        return PeerJob(settings, {"pulses": pulses, "responses": self.values.astype(float)})

    def _compared(self, results: Mapping[str, Sequence[np.ndarray]]) -> dict[str, Any]:
        """Ours against the truth in standard errors, the peer against ours in shares: the worst of all repetitions."""
        record: dict[str, Any] = {"mean_agrees": None, "variance_agrees": None, "off_truth_se": max(self.off)}
        record |= {"formula_agrees": max(self.off) <= _Z, "ours_found": results["ours"][-1].tolist()}
        if results["peer"]:
            pairs = zip(results["peer"], results["ours"], strict=True)
            share = max(float(np.abs(peer - ours).max() / np.abs(ours).max()) for peer, ours in pairs)
            record |= {"peer_found": results["peer"][-1].tolist(), "peer_off_share": share}
            record["mean_agrees"] = share < _PEER_WITHIN
        return record

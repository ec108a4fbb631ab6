# SPDX-License-Identifier: Apache-2.0
"""Memory per crosspoint of each device class: what the process grows by, beside the formula and the peer."""

from __future__ import annotations

from typing import Any

from bench.cases import Case, Rows
from bench.meters import growth
from bench.operation import Operation, device_of
from bench.peer import Peer, PeerLacks, device_settings
from engine import devices
from engine.tiles import Tile

_STATES = 2  # hidden and apparent weight
_BYTES = 4  # float32
# Small allocations and the allocator's own pages are noise of some hundred KiB: below this size it would be all.
_SMALLEST = 1 << 20


class Memory(Operation):
    """One large tile; the formula is four bytes for every per-device array and for both states."""

    rows = Rows(
        device=tuple(devices.names()), shape=(2048, 2048), batch=1, bl=31, threads=(1,), variant=("tile",)
    )  # fmt: skip

    def __init__(self, case: Case):
        super().__init__(case)
        self.device = device_of(case.device)

    @property
    def formula_bytes(self) -> int:
        """Bytes per crosspoint to expect."""
        return _BYTES * (len(self.device.cell_names()) + _STATES)

    def as_the_formula(self, found_bytes: float) -> bool:
        """True if the bytes found are those of the formula, within half a float32 for a million crosspoints' noise."""
        return abs(found_bytes - self.formula_bytes) < _BYTES / 2

    def measure(self, peer: Peer | None, repeats: int) -> dict[str, Any]:
        """Return bytes per crosspoint of ours, of the formula, and of the peer."""
        crosspoints = self.case.shape[0] * self.case.shape[1]
        Tile(8, 8, self.device)  # what is allocated once
        ours = growth(lambda: Tile(*self.case.shape, self.device)) / crosspoints
        theirs, lacking = self._peer_bytes(peer)
        return {
            "ours_bytes": ours,
            "formula_bytes": self.formula_bytes,
            "formula_agrees": self.as_the_formula(ours) if crosspoints >= _SMALLEST else None,
            "peer_bytes": None if theirs is None else theirs / crosspoints,
            "peer_lacks": lacking,
        }

    def _peer_bytes(self, peer: Peer | None) -> tuple[float | None, str | None]:
        if peer is None:
            return None, None
        try:
            answer = peer.ask({"op": "memory", "shape": self.case.shape, "device": device_settings(self.device)})
        except PeerLacks as problem:
            return None, str(problem)
        return answer["bytes"], None

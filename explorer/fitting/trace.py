# SPDX-License-Identifier: Apache-2.0
"""One measured trace: the readings of one device in one cycle, in the order they were taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

UP, DOWN, READ = 1, -1, 0
"""Directions of a row: an up pulse, a down pulse, a read without a pulse."""

UNKNOWN = 127
"""Direction of a row whose own was rejected; only on the way in, before `explorer.fitting.bridge`."""

DIRECTION_NAMES = {UP: "up", DOWN: "down"}


@dataclass(frozen=True, eq=False)
class Trace:
    """Readings of one device in one cycle, each taken after the pulses of its row.

    Attributes
    ----------
    device_id : str
    cycle : int
    index : array of int, (reading,)
        Running number of the reading; increases.
    direction : array of int, (reading,)
        +1 up, -1 down, 0 read only.
    value : array of float, (reading,)
        Reading in the unit of the `Measured` (or in weight units in a `Normalised`).
    n_pulses : array of int, (reading,)
        Pulses applied before the reading; 0 where nothing was applied (read only, repeated read).
    extras : dict of arrays, (reading,)
        Optional columns: ``read_index``, ``t_s`` (s), ``temperature_c`` (degrees Celsius).
    """

    device_id: str
    cycle: int
    index: np.ndarray
    direction: np.ndarray
    value: np.ndarray
    n_pulses: np.ndarray
    extras: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self):
        for array in (self.index, self.direction, self.value, self.n_pulses, *self.extras.values()):
            array.setflags(write=False)

    def __len__(self) -> int:
        return self.value.size

    @property
    def label(self) -> str:
        """Name for messages."""
        return f"device {self.device_id} cycle {self.cycle}"

    @property
    def stuck(self) -> bool:
        """True where the reading never changes."""
        return bool(self.value.min() == self.value.max())

    def pulses(self, direction: int) -> int:
        """Return the number of pulses applied in one direction."""
        return int(self.n_pulses[self.direction == direction].sum())

    def with_values(self, value: np.ndarray) -> Trace:
        """Return the same trace with other readings, (reading,)."""
        return replace(self, value=np.array(value, dtype=float))

    def then(self, later: Trace) -> Trace:
        """Return this trace followed by ``later``, whose index goes on counting."""
        index = later.index - later.index[0] + self.index[-1] + 1
        joined = {}
        for name in {*self.extras} & {*later.extras}:
            joined[name] = np.concatenate([self.extras[name], later.extras[name]])
        return Trace(
            self.device_id,
            self.cycle,
            np.concatenate([self.index, index]),
            np.concatenate([self.direction, later.direction]),
            np.concatenate([self.value, later.value]),
            np.concatenate([self.n_pulses, later.n_pulses]),
            joined,
        )


def pulse_trace(device_id: str, cycle: int, direction: np.ndarray, value: np.ndarray) -> Trace:
    """Return a trace with one pulse (or none, where ``direction`` is 0) before every reading."""
    direction = np.asarray(direction, dtype=np.int8)
    index = np.arange(1, direction.size + 1, dtype=np.int64)
    return Trace(device_id, cycle, index, direction, np.array(value, dtype=float), np.abs(direction).astype(int))

# SPDX-License-Identifier: Apache-2.0
"""What happens to a tile's weights in time: decay, diffusion, reset, drift."""

from __future__ import annotations

import math

import numpy as np
import torch

from engine import ops
from engine.devices.base import Device
from engine.errors import ParameterError, say


class TemporalTile:
    """The processes in time of a tile; drawn values are made when first needed (they are functions of the seed).

    Every call clips the weights and, for devices with write noise, renews it on all crosspoints
    (docs/physics/devices.md, section 5).
    """

    in_features: int
    device: Device
    _arrays: ops.TileArrays
    _time: ops.TimeArrays | None = None
    _clock: float = 0.0

    def end_batch(self) -> None:
        """Diffuse, then decay, where the device does: what happens once per mini-batch after its updates."""
        if self._value("diffusion") > 0:
            self.diffuse()
        if self._value("lifetime") > 0:
            self.decay()

    def decay(self, share: float = 1.0, *, skip_last_column: bool = False) -> None:
        r"""Let weights decay: :math:`w \leftarrow b + (w - b)(1 + \alpha(\lambda - 1))` with b the reset value.

        Parameters
        ----------
        share : float
            The factor alpha, ``0 .. 1``; 1 is one mini-batch.
        skip_last_column : bool
            Leave a bias column alone.
        """
        _within("share", share, 0, 1)
        self._act("decay", amount=share, skip_last_column=skip_last_column)

    def diffuse(self) -> None:
        """Add one mini-batch's random walk to every weight."""
        self._act("diffuse")

    def clip(self) -> None:
        """Clip every weight to its device's bounds."""
        self._act("clip")

    def reset_columns(self, start: int = 0, count: int = -1, prob: float = 1.0) -> None:
        """Reset devices of some columns to their reset value, with the noise of a reset.

        Parameters
        ----------
        start : int
            First column, ``0 .. in - 1``.
        count : int
            Number of columns, wrapping around the end of the tile; -1 for all.
        prob : float
            Probability with which each device is reset.
        """
        _within("prob", prob, 0, 1)
        _within("start", start, 0, self.in_features - 1, whole=True)
        _within("count", count, -1, self.in_features, whole=True)
        columns = self.in_features if count == -1 else count
        self._act("reset", amount=prob, columns=(start, columns))

    def drift(self, seconds: float) -> None:
        r"""Let ``seconds`` pass: weights not written since follow :math:`w_0 (t/t_0)^{-\nu}` from their last write.

        A weight that was written since the last call starts anew and does not drift in this call.
        """
        _within("seconds", seconds, 0, math.inf)
        time = self._in_time()
        if not time.drift:
            start = {"written_weight": self._arrays.hidden.clone(), "left_weight": self._arrays.hidden.clone()}
            start["written_at"] = torch.zeros_like(self._arrays.hidden)
            time.drift = {n: start[n] for n in ops.time_schema()["drift_cells"]}
        self._clock += seconds / self._value("drift_t_0", 1.0)
        self._act("drift", clock=self._clock)

    def _value(self, name: str, absent: float = 0.0) -> float:
        return getattr(self.device, name, absent)

    def _in_time(self) -> ops.TimeArrays:
        if self._time is None:
            self._time = self._arrays.draw_time(self.device.pack_time())
        return self._time

    def _act(self, what: str, **how) -> None:
        self._arrays.act_in_time(self._in_time(), what, self._advance("time", 1), **how)

    def _time_state(self) -> dict:
        """Return what `_restore_time` needs: nothing but the clock where the values can be drawn again."""
        time = self._time
        return {
            "clock": self._clock,
            "cells": {n: c.clone() for n, c in time.cells.items()} if time else {},
            "drift": {n: c.clone() for n, c in time.drift.items()} if time else {},
        }

    def _restore_time(self, state: dict) -> None:
        self._clock = state["clock"]
        self._time = None
        if state["cells"]:
            where = self._arrays.hidden.device
            cells, drift = ({n: c.to(where, copy=True) for n, c in state[k].items()} for k in ("cells", "drift"))
            self._time = ops.TimeArrays(self.device.pack_time(), cells, drift)


def _within(name: str, value: float, low: float, high: float, *, whole: bool = False) -> None:
    kind = int | np.integer if whole else int | float | np.number
    if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high or math.isinf(value):
        rule = "must be a whole number in its range" if whole else "must be a number in its range"
        raise ParameterError(say(name, value, rule, f"{low:g} .. {high:g}", "Choose a value inside."))

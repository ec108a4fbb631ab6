# SPDX-License-Identifier: Apache-2.0
"""Devices written in Python: a step on tensors and any number of per-device values, no compiler needed.

Slower than a header, but the same everywhere: pulses, updates, processes in time, response curves, apps. The
random numbers are those a compiled device would get.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from engine import ops
from engine.devices.families import SpreadDevice
from engine.shapes import CPU

Cells = dict[str, torch.Tensor]


class Draws:
    """Random numbers of every device at construction, by number; a number is used for one purpose only."""

    def __init__(self, seed: int, shape: tuple[int, ...], where: torch.device = CPU):
        self._seed, self._shape, self._where = seed, shape, where

    def normal(self, number: int) -> torch.Tensor:
        """Return standard normal draws, one per device, ``(out, in)``."""
        return self._draw(ops.element_normals, number)

    def uniform(self, number: int) -> torch.Tensor:
        """Return draws uniform in (0, 1], one per device, ``(out, in)``."""
        return self._draw(ops.element_uniforms, number)

    def _draw(self, draw, number: int) -> torch.Tensor:
        rows = draw(self._seed, "construction", 0, int(np.prod(self._shape)), number >> 2, self._where)
        return rows[number & 3].reshape(self._shape)


class PythonDevice(SpreadDevice):
    """Base of devices in Python: subclasses give `draw` and `cell_step`, and parameters of their own.

    Of the inherited parameters only those of the processes in time work by themselves; what ``draw`` and
    ``cell_step`` read is up to the subclass. `granularity` and `range` have to be given as well.

    See docs/physics/devices.md, section 3.12.

    Examples
    --------
    >>> class Halving(PythonDevice):
    ...     title = "Goes half way to its bound"
    ...     granularity, range = 0.1, (-1.0, 1.0)
    ...     def draw(self, draws):
    ...         return {"max_bound": 1 + 0.1 * draws.normal(0), "min_bound": -1 + 0.1 * draws.normal(1)}
    ...     def cell_step(self, w, direction, cells):
    ...         target = torch.where(direction > 0, cells["max_bound"], cells["min_bound"])
    ...         return (target - w).abs() / 2, torch.zeros_like(w)
    >>> from engine.tiles import Tile
    >>> Tile(1, 2, Halving()).pulse([1, 1]).hidden.shape
    torch.Size([2, 1, 2])
    """

    abstract: ClassVar[bool] = True

    def draw(self, draws: Draws) -> Cells:
        """Return the per-device values by name, each ``(out, in)``; ``max_bound`` and ``min_bound`` are required."""
        raise NotImplementedError(f"{type(self).__name__}.draw: a Python device must define it.")

    def cell_step(self, w: torch.Tensor, direction: torch.Tensor, cells: Cells) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and standard deviation of one pulse along its direction, from states ``w``; all ``(out, in)``."""
        raise NotImplementedError(f"{type(self).__name__}.cell_step: a Python device must define it.")

    def clip_state(self, w: torch.Tensor, cells: Cells) -> torch.Tensor:
        """Return states ``w`` clipped after a pulse; by default to ``min_bound`` and ``max_bound``."""
        return torch.minimum(torch.maximum(w, cells["min_bound"]), cells["max_bound"])

    @property
    def write_noise(self) -> float:
        """Standard deviation of the frozen write error, weight units; 0 by default."""
        return 0.0

    @classmethod
    def compare_with_header(cls) -> None:
        """There is no header to compare with."""

    @classmethod
    def packed(cls) -> list[str]:
        """Return all parameters: they stay in Python."""
        return cls.fields()

    def cell_names(self) -> list[str]:
        """Return the names of the per-device arrays."""
        return list(self.draw(Draws(0, (1, 1))))

    def nominal_cell(self) -> dict[str, float]:
        """Return the per-device values without spread, name to value."""
        return {n: float(v) for n, v in self.nominal().draw(_NoDraws((1, 1))).items()}

    def steps_of(self, cells: Mapping[str, np.ndarray], w, direction: int) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of one pulse of drawn devices; ``cells`` broadcast against ``w``."""
        states = torch.as_tensor(np.asarray(w, np.float32))
        spread_out = {n: torch.as_tensor(np.asarray(c, np.float32)).expand(states.shape) for n, c in cells.items()}
        mean, spread = self.cell_step(states, torch.full_like(states, direction), spread_out)
        return mean.numpy(), spread.numpy()

    def arrays(self, out: int, in_: int, seed: int, construction_seed: int, where: torch.device = CPU) -> TensorArrays:
        """Return ``(out, in)`` devices at weight zero on ``where``, their device-to-device values drawn."""
        drawn = self.draw(Draws(construction_seed, (out, in_), where))
        cells = {n: v.expand(out, in_).contiguous() for n, v in drawn.items()}
        hidden, apparent = (torch.zeros(out, in_, device=where) for _ in range(2))
        return self.arrays_of(cells, hidden, apparent, seed, construction_seed)

    def arrays_of(self, cells, hidden, apparent, seed: int, construction_seed: int) -> TensorArrays:
        """Return devices with given values and states, each ``(out, in)``: a restored tile."""
        empty = np.empty(0, np.float32)
        return TensorArrays(self.stem(), empty, cells, hidden, apparent, seed, construction_seed, device=self)


class _NoDraws(Draws):
    """Draws without spread: normal 0, uniform 1."""

    def __init__(self, shape: tuple[int, ...]):
        super().__init__(0, shape)

    def normal(self, number: int) -> torch.Tensor:
        return torch.zeros(self._shape)

    def uniform(self, number: int) -> torch.Tensor:
        return torch.ones(self._shape)


def _spans(columns: int) -> int:
    """Return how many blocks of columns number their draws together."""
    return -(-columns // ops.SPAN)


def _run_places(numbers: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return call and place in it of a run's draws: 16 calls give 64, all first numbers, then all second ones ..."""
    return numbers // 64 * 16 + numbers % 16, numbers % 64 // 16


def _fires(trains: Sequence[torch.Tensor], slot: int) -> torch.Tensor:
    """Return where trains of columns, ``(words, in)``, and rows, ``(words, out)``, meet in a slot: ``(out, in)``."""
    columns, rows = (v[slot // ops.TRAIN_SLOTS] >> slot % ops.TRAIN_SLOTS & 1 for v in trains)
    return (rows[:, None] & columns) != 0


def _numbered(fires: torch.Tensor, used: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Number the pulses of one slot (out, in), row by row and block by block, after the ``used`` (out, blocks) ones.

    Crosspoints without a pulse get the number of the one before them, which nobody looks at. Returns the new ``used``.
    """
    numbers, after = [], []
    for block, columns in enumerate(fires.split(ops.SPAN, dim=1)):
        rank = columns.long().cumsum(1)
        numbers.append((rank - 1).clamp(min=0) + used[:, block : block + 1])
        after.append(used[:, block] + rank[:, -1])
    return torch.cat(numbers, 1), torch.stack(after, 1)


@dataclass
class TensorArrays(ops.TileArrays):
    """The tile of a Python device: the kernels' calls, in tensor code, with the kernels' random numbers."""

    device: PythonDevice | None = None

    def write(self, target: torch.Tensor, step: int) -> None:
        """Write ``target`` (out, in) into the devices: clipped to their bounds, write noise added."""
        bounded = torch.minimum(torch.maximum(target, self.cells["min_bound"]), self.cells["max_bound"])
        self._store(bounded, self._normals("set_write", step)[0])

    def pulse(self, directions: np.ndarray, read_every: int, first_step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Apply ``directions`` (pulses,) or (pulses, out, in) and return hidden, apparent (reads, out, in)."""
        shape = (directions.shape[0] // read_every, *self.hidden.shape)
        hidden, apparent = (torch.empty(shape, device=self.hidden.device) for _ in range(2))
        sent = torch.as_tensor(directions.astype(np.float32)).to(self.hidden.device)
        for k in range(directions.shape[0]):
            step = first_step + k
            if k == 0 or step & 3 == 0:
                cycle, write = self._normals("pulse_cycle", step >> 2), self._normals("pulse_write", step >> 2)
            direction = sent[k].expand_as(self.hidden)
            self._fire(direction, direction != 0, cycle[step & 3])
            self._renew(direction != 0, write[step & 3])
            self._count((direction > 0).int(), (direction < 0).int())
            if (k + 1) % read_every == 0:
                row = (k + 1) // read_every - 1
                hidden[row], apparent[row] = self.hidden, self.apparent
        return hidden, apparent

    def update(self, job: ops.UpdateJob, first_step: int) -> None:
        """Pulse the devices for every sample of the job, in order."""
        trains = job.trains(self.seed, first_step) if job.kind == 0 else None
        for t, signed in enumerate(job.coincidences(self.seed, first_step)):
            step, pulses, direction = first_step + t, signed.abs(), signed.sign().float()
            used = pulses.new_zeros(pulses.shape[0], _spans(pulses.shape[1]), dtype=torch.long)
            for slot in range(int(job.length[t]) if trains else int(pulses.max())):
                fires = _fires([v[t] for v in trains], slot) if trains else pulses > slot
                if not fires.any():
                    continue
                numbers, used = _numbered(fires, used)
                self._fire(direction, fires, self._run("update_cycle", step, numbers))
            numbers, _ = _numbered(pulses > 0, torch.zeros_like(used))
            self._renew(pulses > 0, self._run("update_write", step, numbers))
            self._count(signed.clamp(min=0), -signed.clamp(max=0))

    def draw_time(self, params: tuple[list[float], list[float]]) -> ops.TimeArrays:
        """Return the per-device values of the processes in time, drawn."""
        return self._twin().draw_time(params)

    def act_in_time(self, time: ops.TimeArrays, what: str, step: int, **how) -> None:
        """Run a process in time; the kernels' own, then this device's clip."""
        twin = self._twin()
        twin.act_in_time(time, what, step, **how)
        clipped = self.device.clip_state(twin.hidden, self.cells)
        if what == "drift":
            time.drift["left_weight"].copy_(clipped)
        self._store(clipped, self._normals("time_write", step)[0])

    def _twin(self) -> ops.TileArrays:
        """Return a compiled device without bounds in the same state: processes in time are the same for all devices."""
        from engine.devices import get

        free = get("ideal")()
        tile = free.arrays(*self.hidden.shape, self.seed, self.construction_seed, self.hidden.device)
        tile.hidden.copy_(self.hidden)
        return tile

    def _normals(self, stream: str, step: int, block: int = 0) -> torch.Tensor:
        drawn = ops.element_normals(self.seed, stream, step, self.hidden.numel(), block, self.hidden.device)
        return drawn.reshape(4, *self.hidden.shape)

    def _run(self, stream: str, step: int, numbers: torch.Tensor) -> torch.Tensor:
        """Return the normals that a parallel update numbers so, (out, in): draws of a row's block of columns."""
        blocks = _spans(numbers.shape[1])
        rows, columns = (torch.arange(n, device=numbers.device) for n in numbers.shape)
        element = rows[:, None] * blocks + columns // ops.SPAN
        call, place = _run_places(numbers)
        first = int(call.min())
        calls = [
            ops.element_normals(self.seed, stream, step, numbers.shape[0] * blocks, block, numbers.device)
            for block in range(first, int(call.max()) + 1)
        ]
        return torch.stack(calls)[call - first, place, element]

    def _fire(self, direction: torch.Tensor, where: torch.Tensor, xi: torch.Tensor) -> None:
        mean, spread = self.device.cell_step(self.hidden, direction, self.cells)
        moved = self.device.clip_state(self.hidden + direction * (mean + spread * xi), self.cells)
        self.hidden.copy_(torch.where(where, moved, self.hidden))

    def _renew(self, where: torch.Tensor, eta: torch.Tensor) -> None:
        self.apparent.copy_(torch.where(where, self.hidden + self.device.write_noise * eta, self.apparent))

    def _store(self, state: torch.Tensor, eta: torch.Tensor) -> None:
        self.hidden.copy_(state)
        self._renew(torch.ones_like(state, dtype=torch.bool), eta)

    def _count(self, up: torch.Tensor, down: torch.Tensor) -> None:
        if self.counters:
            self.counters[0].add_(up)
            self.counters[1].add_(down)

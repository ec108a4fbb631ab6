# SPDX-License-Identifier: Apache-2.0
"""A tile whose state lies on a GPU: the calls of `engine.ops.TileArrays`, as launches of kernels."""

from __future__ import annotations

import functools
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from engine import ops
from engine.cuda.program import SPAN, Program, common_program, tile_program, update_program
from engine.errors import ParameterError, say

_BLOCK = 256
_MOST_BLOCKS = 1 << 16  # beyond, each thread takes several crosspoints
_SCRATCH = 1 << 26  # bytes of pulse trains made at a time


class Launcher(Protocol):
    """What starts a kernel: `engine.cuda.driver.DriverLauncher` on a GPU, an emulator in the tests."""

    def launch(self, program: Program, kernel: str, grid: int, block: int, arguments: Sequence[bytes]) -> None:
        """Start ``kernel`` with ``grid`` blocks of ``block`` threads; each argument is the bytes of its value."""


def launcher_of(device: torch.device) -> Launcher:
    """Return what starts kernels on ``device``; raises `CudaError` with what is missing."""
    from engine.cuda.driver import launcher_of as on_gpu

    return on_gpu(device)


def pointer(array: torch.Tensor | None) -> bytes:
    """Return a tensor's address as a kernel's argument."""
    return struct.pack("P", array.data_ptr() if array is not None else 0)


def i64(value: int) -> bytes:
    """Return a signed 64-bit argument."""
    return struct.pack("q", value)


def u64(value: int) -> bytes:
    """Return an unsigned 64-bit argument."""
    return struct.pack("Q", value)


def u32(value: int) -> bytes:
    """Return an unsigned 32-bit argument."""
    return struct.pack("I", value)


def f32(value: float) -> bytes:
    """Return a single-precision argument."""
    return struct.pack("f", value)


def start(device: torch.device, program: Program, kernel: str, items: int, arguments: Sequence[bytes]) -> None:
    """Start a kernel whose threads share ``items``."""
    if items:
        grid = min(-(-items // _BLOCK), _MOST_BLOCKS)
        launcher_of(device).launch(program, kernel, grid, _BLOCK, arguments)


def addresses(arrays: Sequence[torch.Tensor], device: torch.device) -> torch.Tensor:
    """Return a table of the arrays' addresses, on the GPU."""
    return torch.tensor([a.data_ptr() for a in arrays], dtype=torch.int64).to(device)


def on_device(values: Sequence[float], device: torch.device) -> torch.Tensor:
    """Return numbers as float32 on the GPU."""
    return torch.tensor(list(values), dtype=torch.float32).to(device)


@dataclass
class GpuArrays(ops.TileArrays):
    """One tile on a GPU. Kernels run on torch's current stream; nothing waits for them but what reads a result.

    Notes
    -----
    Compiled for the device class, and apart for tiles with and without write noise; parameters are data, so a slider
    compiles nothing.
    """

    @functools.cached_property
    def _tables(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Parameters and addresses of the cells: kept, for as long as the tile has these arrays."""
        return on_device(self.params, self.device), addresses(list(self.cells.values()), self.device)

    @property
    def device(self) -> torch.device:
        """Where the state lies."""
        return self.hidden.device

    @property
    def write_noise(self) -> bool:
        """Whether what a read sees differs from what the device holds."""
        names = ops.schema(self.stem)["params"]
        return "write_noise_std" in names and bool(self.params[names.index("write_noise_std")] > 0)

    def construct(self) -> None:
        """Draw the device-to-device values of every cell."""
        self._start("ohm_construct", pointer(self._tables[1]), seed=self.construction_seed)

    def write(self, target: torch.Tensor, step: int) -> None:
        """Write ``target`` (out, in) into the devices: clipped to their bounds, write noise added."""
        self._start("ohm_set_weights", pointer(target), u64(step))

    def step(self, w: torch.Tensor, direction: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and standard deviation of one pulse of every device from states ``w``, all ``(out, in)``."""
        mean, spread = torch.empty_like(self.hidden), torch.empty_like(self.hidden)
        self._start("ohm_step", pointer(w), f32(direction), pointer(mean), pointer(spread))
        return mean, spread

    def pulse(self, directions: np.ndarray, read_every: int, first_step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Apply ``directions`` (pulses,) or (pulses, out, in) and return hidden, apparent (reads, out, in)."""
        sent = torch.from_numpy(np.ascontiguousarray(directions, np.int8)).to(self.device)
        shape = (sent.shape[0] // read_every, *self.hidden.shape)
        traces = [torch.empty(shape, device=self.device) for _ in range(2)]
        places = (sent.data_ptr(), sent.dim() == 3, sent.shape[0], read_every, first_step)
        self._start("ohm_pulse", ops.record("pulse", *places, *(t.data_ptr() for t in traces)))
        return traces[0], traces[1]

    def update(self, job: ops.UpdateJob, first_step: int) -> None:
        """Pulse the devices for every sample of the job, in order."""
        longest = max(1, int(job.length.max(initial=1)))
        each = 4 * -(-longest // ops.TRAIN_SLOTS) * sum(self.hidden.shape)
        for part, step in job.parts(first_step, each, _SCRATCH):
            encoded = Encoded(part, step, self.seed)
            program, threads = update_program(
                self.stem,
                write_noise=self.write_noise,
                cells=len(self.cells),
                counts=self.counters is not None,
                kind=part.kind,
                words=encoded.words,
                columns=self.hidden.shape[1],
            )
            blocks = self.hidden.shape[0] * -(-self.hidden.shape[1] // SPAN)
            given = [self._record(), encoded.record, pointer(encoded.x_train)]
            launcher_of(self.device).launch(program, "ohm_update", blocks, threads, given)

    def outer(self, x: torch.Tensor, d: torch.Tensor, lr: float) -> None:
        """Add ``-lr * d^T x`` to what the devices hold, in floating point, samples in order."""
        given = [pointer(self.hidden), pointer(x), pointer(d), f32(lr), *map(i64, (*self.hidden.shape, x.shape[0]))]
        start(self.device, common_program(), "ohm_outer", self.hidden.numel(), given)

    def act_in_time(
        self,
        time: ops.TimeArrays,
        what: str,
        step: int,
        *,
        amount: float = 1.0,
        skip_last_column: bool = False,
        columns: tuple[int, int] = (0, 0),
        clock: float = 0.0,
    ) -> None:
        """Run ``decay``, ``diffuse``, ``reset``, ``drift``, ``clip`` or ``construct`` (the draw) on all devices."""
        params = [on_device(p, self.device) for p in time.params]
        tables = [addresses(list(arrays.values()), self.device) for arrays in (time.cells, time.drift)]
        native = time.native((step, amount, skip_last_column, *columns, clock))
        record = ops.record("time", native, *(p.data_ptr() for p in (*params, *tables)))
        if what == "construct":
            self._start("ohm_construct_time", record, pointer(tables[0]), seed=self.construction_seed)
        else:
            self._start(f"ohm_{what}", record)

    def _start(self, kernel: str, *arguments: bytes, seed: int | None = None) -> None:
        program = tile_program(self.stem, write_noise=self.write_noise, cells=len(self.cells))
        start(self.device, program, kernel, self.hidden.numel(), [self._record(seed), *arguments])

    def _record(self, seed: int | None = None) -> bytes:
        return ops.record("tile", self.native(seed=seed), *(t.data_ptr() for t in self._tables))


class Encoded:
    """The pulses of an update's samples, on the GPU.

    Attributes
    ----------
    words : int
        32-slot words of a train.
    x_train, d_train : torch.Tensor
        ``(samples, words, in)`` and ``(samples, words, out)``: the trains of columns and rows.
    record : bytes
        What the kernels are told of the update.
    """

    def __init__(self, job: ops.UpdateJob, first_step: int, seed: int):
        device, samples, shape = job.x.device, job.x.shape[0], (job.d.shape[1], job.x.shape[1])
        longest = max(1, int(job.length.max(initial=1)))
        self.words = -(-longest // ops.TRAIN_SLOTS) if job.kind == 0 else 1
        trains = self.words if job.kind == 0 else 0
        levels = 0 if job.kind == 0 else 1
        native = job.native(first_step)
        scales = bytearray(ops.record("scale", native))
        self._scales = torch.frombuffer(scales, dtype=torch.uint8).to(device)
        self.x_train = torch.empty(samples, trains, shape[1], dtype=torch.int32, device=device)
        self.d_train = torch.empty(samples, trains, shape[0], dtype=torch.int32, device=device)
        self._x_level = torch.empty(samples * levels, shape[1], device=device)
        self._d_level = torch.empty(samples * levels, shape[0], device=device)
        scratch = [a.data_ptr() for a in (self.d_train, self._x_level, self._d_level)]
        self.record = ops.record("update", native, self._scales.data_ptr(), longest, self.words, *scratch)
        given = [self.record, pointer(self.x_train), u64(seed), *map(i64, shape)]
        start(device, common_program(), "ohm_encode", samples * sum(shape), given)


def coincidences(job: ops.UpdateJob, seed: int, first_step: int) -> torch.Tensor:
    """Return each crosspoint's pulses, ``(samples, out, in)`` int32: up positive, down negative."""
    shape = (job.x.shape[0], job.d.shape[1], job.x.shape[1])
    counts = torch.empty(shape, dtype=torch.int32, device=job.x.device)
    encoded = Encoded(job, first_step, seed)
    given = [encoded.record, pointer(encoded.x_train), *map(i64, shape[1:]), pointer(counts)]
    start(job.x.device, common_program(), "ohm_coincidences", counts.numel(), given)
    return counts


def trains(job: ops.UpdateJob, seed: int, first_step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the stochastic trains of columns and rows; `engine.ops.UpdateJob.trains`."""
    encoded = Encoded(job, first_step, seed)
    return encoded.x_train, encoded.d_train


def element_draws(
    device: torch.device, seed: int, stream: int, step: int, count: int, block: int, *, normal: bool
) -> torch.Tensor:
    """Return four draws of elements ``0 .. count-1``, ``(4, count)``: standard normals, or uniform in (0, 1]."""
    out = torch.empty(4, count, device=device)
    given = [u64(seed), u32(stream), u64(step), i64(count), u32(block), u32(int(normal)), pointer(out)]
    start(device, common_program(), "ohm_draws", count, given)
    return out


def device_draws(
    out: torch.Tensor, seeds: Sequence[int], stream: int, form: str, mean: torch.Tensor | None,
    spread: torch.Tensor | None,
) -> None:  # fmt: skip
    """Fill ``(seeds, rows, count)``; `engine.chip_ops.device_draws`."""
    rows, count = out.shape[1:]
    for place, seed in enumerate(seeds):
        for block in range(-(-rows // 4)):
            drawn = element_draws(out.device, seed, stream, 0, count, block, normal=form != "uniform")
            wanted = out[place, 4 * block : 4 * block + 4]
            wanted.copy_(drawn[: len(wanted)])
    if mean is not None and spread is not None:
        out.mul_(spread.reshape(-1, rows, count)).add_(mean.reshape(-1, rows, count))
        finish = {"plain": lambda v: v, "floored": lambda v: v.clamp_(min=0), "folded": torch.Tensor.abs_}
        finish[form](out)


def device_read(
    arrays: Sequence[torch.Tensor], drift_log: float, growth: float, seeds: Sequence[int] | None, stream: int
) -> torch.Tensor:
    """Return what a read finds, ``(chip, slices, out, in)``; `engine.chip_ops.drifted_read`."""
    out = torch.empty_like(arrays[0])
    slices, count = out.shape[1], out[0, 0].numel()
    for chip in range(len(out)):
        given = [*(pointer(a[chip]) for a in arrays), f32(drift_log), f32(growth), u64(seeds[chip] if seeds else 0)]
        given += [u32(stream), i64(slices), i64(count), u32(int(bool(seeds))), pointer(out[chip])]
        start(out.device, common_program(), "ohm_read", slices * count, given)
    return out


def checked_device(torch_device: str | torch.device) -> torch.device:
    """Return a device of torch with its index; refuses what is neither the CPU nor a GPU that can be used.

    Raises
    ------
    ParameterError
        A device of another kind.
    CudaError
        A GPU that cannot be used; the message says what is missing.
    """
    try:
        device = torch.device(torch_device)
    except (RuntimeError, TypeError):
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise ParameterError(
            say("torch_device", str(torch_device), "is no place for a tile", "cpu, cuda, cuda:0, ...", "Choose one.")
        )
    if device.type == "cpu":
        return torch.device("cpu")
    from engine.cuda.availability import require

    require(device.index)
    return torch.device("cuda", torch.cuda.current_device() if device.index is None else device.index)

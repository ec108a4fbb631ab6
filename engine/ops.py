# SPDX-License-Identifier: Apache-2.0
"""The only importer of the compiled module: checks shape, dtype, layout and device, then calls."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from engine.errors import BuildError
from engine.shapes import CPU

try:
    from engine import _core
except ImportError as error:  # a source tree on the path that was never built, or a broken build
    raise BuildError(
        f"engine._core: the compiled part cannot be imported ({error}). "
        "Run `pip install .` in the source tree, and `ohmscape doctor` if that does not help."
    ) from error

# Below this many crosspoint-samples a second thread costs more than it brings (python -m bench --op update).
_SERIAL_WORK = 1 << 17
STREAMS: dict[str, int] = dict(_core.streams())
SPAN: int = _core.span
"""Columns of a row whose draws a parallel update numbers together."""
TRAIN_SLOTS: int = _core.train_slots
"""Slots of a pulse train that share a word."""
MASK_BYTES = 1 << 24
"""Most memory for the pulse trains of an update; one of more samples is made in parts."""


def build_info() -> dict:
    """Return what was built and what is in use: compiler, OpenMP, instruction sets, devices."""
    return dict(_core.build_info())


def use_isa(isa: str) -> None:
    """Choose the kernels' instruction set: ``portable``, ``avx2`` or ``avx512``; results do not depend on it.

    Raises
    ------
    BuildError
        If it was not built or this CPU lacks it.
    """
    available = build_info()["isa_available"]
    if isa not in available:
        raise BuildError(
            f"instruction set = {isa!r}: not available here (allowed: {', '.join(available)}). "
            "Choose one of these, or unset OHMSCAPE_ISA."
        )
    _core.use_isa(isa)


if os.environ.get("OHMSCAPE_ISA"):
    use_isa(os.environ["OHMSCAPE_ISA"])


def record(what: str, *arguments) -> bytes:
    """Return a ``tile``, ``pulse``, ``update``, ``time``, ``product`` ... record as a GPU's kernels take it."""
    return getattr(_core, f"{what}_record")(*arguments)


def on_gpu(device: torch.device) -> bool:
    """Return whether what lies on ``device`` is computed by the kernels for GPUs."""
    return device.type == "cuda"


def gpu():
    """Return the calls for GPUs; imported when the first tile goes there."""
    from engine.cuda import arrays

    return arrays


@functools.cache
def schema(stem: str) -> dict:
    """Return the compiled device's ``params``, ``tables`` and ``cells`` (names in order) and ``has_write_noise``."""
    return dict(_core.schema(stem))


@functools.cache
def time_schema() -> dict[str, list[str]]:
    """Return the compiled names of the processes in time: ``time``, ``drift``, ``cells``, ``drift_cells``."""
    return dict(_core.time_schema())


def periphery_schema() -> list[str]:
    """Return the names of the periphery parameters in compiled order."""
    return list(_core.periphery_schema())


def philox(key: int, counter: Sequence[int], rounds: int = 10) -> tuple[int, ...]:
    """Return the four words of Philox4x32 for a 64-bit key and four 32-bit counter words, 10 or 7 rounds."""
    return tuple(_core.philox(key, list(counter), rounds))


def derive_seeds(seeds: Sequence[int], path: Sequence[tuple[int, int]]) -> list[int]:
    """Return each seed's child for a path of (kind, number); `engine.rng.derive_seeds`."""
    return _core.derive_seeds(list(seeds), list(path))


def normals(seed: int, stream: str, step: int, count: int) -> np.ndarray:
    """Return ``count`` standard normal draws ``(count,)`` of one stream at one step."""
    out = np.empty(count, np.float32)
    _core.normals(seed, STREAMS[stream], step, count, out.ctypes.data)
    return out


def element_normals(
    seed: int, stream: str, step: int, count: int, block: int = 0, device: torch.device = CPU
) -> torch.Tensor:
    """Return draws ``4*block .. 4*block+3`` of elements ``0 .. count-1``: standard normals ``(4, count)``."""
    if on_gpu(device):
        return gpu().element_draws(device, seed, STREAMS[stream], step, count, block, normal=True)
    out = torch.empty(4, count)
    _core.element_normals(seed, STREAMS[stream], step, count, block, out.data_ptr())
    return out


def element_uniforms(
    seed: int, stream: str, step: int, count: int, block: int = 0, device: torch.device = CPU
) -> torch.Tensor:
    """Return draws ``4*block .. 4*block+3`` of elements ``0 .. count-1``: uniform in (0, 1], ``(4, count)``."""
    if on_gpu(device):
        return gpu().element_draws(device, seed, STREAMS[stream], step, count, block, normal=False)
    out = torch.empty(4, count)
    _core.element_uniforms(seed, STREAMS[stream], step, count, block, out.data_ptr())
    return out


def maths(name: str, *values: float) -> float:
    """Return a kernel's ``log``, ``exp``, ``exp2``, ``tanh``, ``round``, ``fused``, ``sin`` or ``cos`` of 1/8 turn."""
    return _core.maths(name, values)


def threads_for(work: int) -> int:
    """Return how many threads a kernel of ``work`` crosspoint-samples gets; never more than torch's setting."""
    return 1 if work < _SERIAL_WORK else torch.get_num_threads()


@dataclass
class TileArrays:
    """One tile as the kernels see it.

    Attributes
    ----------
    stem : str
        The device.
    params : numpy.ndarray
        ``(n_params,)`` float32 in schema order.
    cells : dict
        Name to ``(out, in)`` float32 tensor, in schema order.
    hidden, apparent : torch.Tensor
        ``(out, in)`` float32; the same tensor where the device has no write noise is not required.
    seed, construction_seed : int
    counters : tuple of torch.Tensor or None
        Up and down pulses of each crosspoint, ``(out, in)`` int32 each.
    """

    stem: str
    params: np.ndarray
    cells: dict[str, torch.Tensor]
    hidden: torch.Tensor
    apparent: torch.Tensor
    seed: int
    construction_seed: int
    counters: tuple[torch.Tensor, torch.Tensor] | None = None

    def native(self, samples: int = 1, *, seed: int | None = None) -> _core.Tile:
        out, in_ = self.hidden.shape
        up, down = (c.data_ptr() for c in self.counters) if self.counters else (0, 0)
        return _core.Tile(
            self.stem,
            self.params.tolist(),
            [c.data_ptr() for c in self.cells.values()],
            self.hidden.data_ptr(),
            self.apparent.data_ptr(),
            out,
            in_,
            self.seed if seed is None else seed,
            threads_for(out * in_ * samples),
            up,
            down,
        )

    def construct(self) -> None:
        """Draw the device-to-device values of every cell."""
        _core.construct(self.native(seed=self.construction_seed))

    def write(self, target: torch.Tensor, step: int) -> None:
        """Write ``target`` (out, in) into the devices: clipped to their bounds, write noise added."""
        _core.set_weights(self.native(), target.data_ptr(), step)

    def pulse(self, directions: np.ndarray, read_every: int, first_step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Apply ``directions`` (pulses,) or (pulses, out, in) and return hidden, apparent (reads, out, in)."""
        directions = np.ascontiguousarray(directions, np.int8)
        shape = (directions.shape[0] // read_every, *self.hidden.shape)
        hidden, apparent = torch.empty(shape), torch.empty(shape)
        _core.pulse(
            self.native(directions.shape[0]),
            directions.ctypes.data,
            directions.ndim == 3,
            directions.shape[0],
            read_every,
            first_step,
            hidden.data_ptr(),
            apparent.data_ptr(),
        )
        return hidden, apparent

    def update(self, job: UpdateJob, first_step: int) -> None:
        """Pulse the devices for every sample of the job, in order."""
        each = 16 * int(job.length.max(initial=1)) * (self.hidden.shape[1] // 64 + 8)  # of its masks, with their counts
        for part, step in job.parts(first_step, each, MASK_BYTES):
            _core.update(self.native(part.x.shape[0]), part.native(step))

    def outer(self, x: torch.Tensor, d: torch.Tensor, lr: float) -> None:
        """Add ``-lr * d^T x`` to what the devices hold, in floating point, samples in order."""
        out, in_ = self.hidden.shape
        threads = threads_for(out * in_ * x.shape[0])
        _core.outer(self.hidden.data_ptr(), x.data_ptr(), d.data_ptr(), lr, out, in_, x.shape[0], threads)

    def draw_time(self, params: tuple[list[float], list[float]]) -> TimeArrays:
        """Return the per-device values of the processes in time, drawn."""
        time = TimeArrays(params, {n: torch.empty_like(self.hidden) for n in time_schema()["cells"]}, {})
        self.act_in_time(time, "construct", 0)
        return time

    def act_in_time(
        self,
        time: TimeArrays,
        what: str,
        step: int,
        *,
        amount: float = 1.0,
        skip_last_column: bool = False,
        columns: tuple[int, int] = (0, 0),
        clock: float = 0.0,
    ) -> None:
        """Run ``decay``, ``diffuse``, ``reset``, ``drift``, ``clip`` or ``construct`` (the draw) on all devices."""
        native = time.native((step, amount, skip_last_column, *columns, clock))
        seed = self.construction_seed if what == "construct" else self.seed
        _core.act_in_time(self.native(seed=seed), native, what)


@dataclass
class UpdateJob:
    """One pulsed update as the kernels see it.

    Attributes
    ----------
    x, d : torch.Tensor
        ``(samples, in)`` and ``(samples, out)`` float32.
    length, x_scale, d_scale : numpy.ndarray
        ``(samples,)`` from update management: slots, and factors that turn |x| and |d| into probabilities.
    kind : int
        0 stochastic trains, 1 mean count, 2 implicit.
    x_res, d_res : float
        Bin widths, 0 is off.
    sto_round, negative : bool
        Stochastic rounding to the bins; all directions reversed.
    """

    x: torch.Tensor
    d: torch.Tensor
    length: np.ndarray
    x_scale: np.ndarray
    d_scale: np.ndarray
    kind: int = 0
    x_res: float = 0.0
    d_res: float = 0.0
    sto_round: bool = False
    negative: bool = False

    def native(self, first_step: int) -> _core.Update:
        return _core.Update(
            self.x.data_ptr(), self.d.data_ptr(), self.x.shape[0], self.length.tolist(), self.x_scale.tolist(),
            self.d_scale.tolist(), first_step, self.kind, self.x_res, self.d_res, self.sto_round, self.negative,
        )  # fmt: skip

    def parts(self, first_step: int, bytes_each: int, at_most: int) -> Iterator[tuple[UpdateJob, int]]:
        """Cut an update of very many samples (a convolution's) so that its trains stay small; results are the same."""
        names, count = ("x", "d", "length", "x_scale", "d_scale"), max(1, at_most // max(1, bytes_each))
        if self.x.shape[0] <= count:
            yield self, first_step
            return
        for first in range(0, self.x.shape[0], count):
            part = {n: getattr(self, n)[first : first + count] for n in names}
            yield dataclasses.replace(self, **part), first_step + first

    def coincidences(self, seed: int, first_step: int) -> torch.Tensor:
        """Return each crosspoint's pulses, ``(samples, out, in)`` int32: up positive, down negative."""
        if on_gpu(self.x.device):
            return gpu().coincidences(self, seed, first_step)
        counts = torch.empty(self.x.shape[0], self.d.shape[1], self.x.shape[1], dtype=torch.int32)
        _core.coincidences(self.native(first_step), self.d.shape[1], self.x.shape[1], seed, counts.data_ptr())
        return counts

    def trains(self, seed: int, first_step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the trains of columns and rows, int32 ``(samples, words, in)`` and ``(samples, words, out)``."""
        if on_gpu(self.x.device):
            return gpu().trains(self, seed, first_step)
        words = -(-max(1, int(self.length.max(initial=1))) // TRAIN_SLOTS)
        x, d = (torch.zeros(v.shape[0], words, v.shape[1], dtype=torch.int32) for v in (self.x, self.d))
        _core.trains(self.native(first_step), self.d.shape[1], self.x.shape[1], seed, x.data_ptr(), d.data_ptr())
        return x, d


@dataclass
class TimeArrays:
    """The processes in time of one tile as the kernels see them.

    Attributes
    ----------
    params : tuple of list of float
        Parameters of decay, diffusion and reset, and of drift, in schema order.
    cells, drift : dict
        Name to ``(out, in)`` float32: drawn once, and what drift remembers (empty before its first call).
    """

    params: tuple[list[float], list[float]]
    cells: dict[str, torch.Tensor]
    drift: dict[str, torch.Tensor]

    def native(self, act: tuple) -> _core.Time:
        cells, drift = ([c.data_ptr() for c in arrays.values()] for arrays in (self.cells, self.drift))
        return _core.Time(*self.params, cells, drift, *act)


def arrays_on(device: torch.device) -> type[TileArrays]:
    """Return the class of tiles whose state lies on ``device``."""
    return gpu().GpuArrays if on_gpu(device) else TileArrays


def allocate(
    stem: str, params: np.ndarray, out: int, in_: int, seed: int, construction_seed: int, device: torch.device = CPU
) -> TileArrays:
    """Return a tile of ``(out, in)`` devices at weight zero, its device-to-device parameters drawn."""
    cells = {n: torch.empty(out, in_, device=device) for n in schema(stem)["cells"]}
    hidden, apparent = (torch.zeros(out, in_, device=device) for _ in range(2))
    tile = arrays_on(device)(stem, params, cells, hidden, apparent, seed, construction_seed)
    tile.construct()
    return tile


def step(
    stem: str, params: np.ndarray, cells: Mapping[str, float | np.ndarray], w: np.ndarray, direction: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of one step from states ``w``, from the compiled physics.

    ``cells`` holds per-device values by name, each broadcast against ``w``; both results have the shape of ``w``.
    """
    w = np.asarray(w, np.float32, order="C")
    names = schema(stem)["cells"]
    arrays = [np.ascontiguousarray(np.broadcast_to(np.float32(cells[n]), w.shape)) for n in names]
    mean, spread = np.empty_like(w), np.empty_like(w)
    native = _core.Tile(stem, params.tolist(), [a.ctypes.data for a in arrays], 0, 0, 1, w.size, 0, 1, 0, 0)
    _core.step(native, w.ctypes.data, float(direction), mean.ctypes.data, spread.ctypes.data)
    return mean, spread


def run(what: str, *arguments) -> Any:
    """Call the compiled ``what`` on what a module of its own topic has checked."""
    return getattr(_core, what)(*arguments)

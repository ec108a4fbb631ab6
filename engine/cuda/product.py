# SPDX-License-Identifier: Apache-2.0
"""The analog product on a GPU: kernels around torch's matrix product (docs/cuda.md, docs/physics/tile.md).

The kernels make the CPU's draws and roundings. Only the order in which the matrix product sums differs, so an output
can differ where its sum lies within that error of the middle between two codes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch

from engine import ops
from engine.cuda import arrays
from engine.cuda.arrays import i64, pointer, u32
from engine.cuda.program import product_program, vectors_program
from engine.product_call import Product

_SCALE_THREADS = 256  # of a block for one vector; engine/csrc/cuda/vectors.h
_WARP = 32
_MOST_BLOCKS = 1 << 16  # beyond, each block takes several vectors
_EXACT = ("none", "ieee")  # settings of torch under which a product is single precision throughout
# How kernels change inputs and weights, in the order of engine/csrc/cuda/product.h.
_CHANGES = ("magnitude", "noise_variance", "square", "placed", "negative_phase")


def multiply(weights: torch.Tensor, z: torch.Tensor, *, transposed: bool) -> torch.Tensor:
    """Return ``z W^T`` (or ``z W``) in single precision: ``(rows, n) -> (rows, m)``, weights ``(out, in)``."""
    with single_precision(z.device):
        return torch.mm(z, weights if transposed else weights.T)


@contextmanager
def single_precision(device: torch.device) -> Iterator[None]:
    """Within, torch's products are single precision: neither TF32 nor autocast. Settings are as before afterwards.

    Notes
    -----
    The setting is the process's: a product of another thread at the same moment is single precision too.
    """
    autocast = torch.is_autocast_enabled(device.type)
    with torch.autocast(device.type, enabled=False) if autocast else nullcontext(), _without_tf32():
        yield


@contextmanager
def _without_tf32() -> Iterator[None]:
    """Leave torch's two ways of setting this consistent with each other: a mix of them raises elsewhere in torch."""
    new, kept = torch.backends.cuda.matmul, torch.backends.cuda.matmul.fp32_precision
    if kept in _EXACT:
        yield
        return
    try:
        old = torch.get_float32_matmul_precision()
    except RuntimeError:  # set by the new way alone
        old = None
    try:
        if old is None:
            new.fp32_precision = "ieee"
        else:
            torch.set_float32_matmul_precision("highest")
        yield
    finally:
        if old is None:
            new.fp32_precision = kept
        else:
            torch.set_float32_matmul_precision(old)


@dataclass
class Phase:
    """One activation of the array: all inputs at once, or the negative or the positive ones.

    Attributes
    ----------
    weights : torch.Tensor
        ``(out, in)``, as this phase reads them.
    inputs : torch.Tensor
        ``(rows, n)``.
    sums, weighted, placed, variances : torch.Tensor or None
        ``(rows, m)``; the last three where wires or weight noise ask for them.
    total, norm : torch.Tensor or None
        ``(rows,)``.
    """

    weights: torch.Tensor
    inputs: torch.Tensor
    sums: torch.Tensor | None = None
    weighted: torch.Tensor | None = None
    placed: torch.Tensor | None = None
    variances: torch.Tensor | None = None
    total: torch.Tensor | None = None
    norm: torch.Tensor | None = None

    def addresses(self) -> list[int]:
        """Return where the arrays lie, in the order of ``ProductPhase``; 0 for those that are not there."""
        held = (self.inputs, self.sums, self.weighted, self.placed, self.variances, self.total, self.norm)
        return [_address(a) for a in held]


class GpuProduct:
    """One call of the analog product.

    Parameters
    ----------
    call : engine.product_call.Product
    weights : torch.Tensor
        ``(out, in)`` float32 on the GPU.
    x : torch.Tensor
        ``(samples, n)`` float32 there.
    clipped : torch.Tensor, optional
        ``(samples, m)`` uint8 there, filled with what the ADC clipped.

    Attributes
    ----------
    y : torch.Tensor
        ``(samples, m)``.
    rounds : torch.Tensor
        ``(samples,)`` int32, there too.
    """

    def __init__(self, call: Product, weights: torch.Tensor, x: torch.Tensor, clipped: torch.Tensor | None = None):
        self.call, self.weights, self.x, self.device, self.clipped = call, weights, x, x.device, clipped
        self.samples, self.n = x.shape
        self.m = weights.shape[1 if call.transposed else 0]
        packed = np.asarray(call.params, np.float32).tolist()
        self.io = dict(zip(ops.periphery_schema(), packed, strict=True))
        self._params = ops.record("periphery", packed)
        self.y = self._new(self.samples, self.m)
        self.rounds = torch.ones(self.samples, dtype=torch.int32, device=self.device)
        self._scale, self._reduction = self._new(self.samples), self._new(self.samples)
        self._lines, self._kappa = self._new(3, self.m), self._new(1)
        self._again = torch.empty(self.samples, dtype=torch.int32, device=self.device)
        self._changed: dict[tuple[int, str], torch.Tensor] = {}

    def run(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute, and return outputs and rounds."""
        if self.io["is_perfect"] > 0:
            if self.clipped is not None:
                self.clipped.zero_()
            return self._multiply(self.weights, self.x).mul_(self.io["out_scale"]), self.rounds
        self._draw_lines()
        active, rows, number = None, self.samples, 0
        while rows:
            self._round(active, rows, number)
            if not self._managed:
                break
            left = torch.nonzero(self._again[:rows]).squeeze(1)  # torch waits here for their number
            active = left if active is None else active[left]
            rows, number = active.shape[0], number + 1
        return self.y, self.rounds

    @property
    def _managed(self) -> bool:
        return self.io["bound_management"] > 0 and self.io["out_bound"] > 0

    @property
    def _one_pass(self) -> bool:
        return self.io["mv_type"] == 0

    def _round(self, active: torch.Tensor | None, rows: int, number: int) -> None:
        """One product of the vectors ``active``, or of all."""
        phases = [Phase(w, self._new(rows, self.n)) for w in self._phase_weights()]
        job = self._record(active, rows, number, phases)
        self._scale_vectors(job, rows)
        self._start("ohm_send", job, rows * -(-self.n // 4))
        for k, phase in enumerate(phases):
            self._activate(phase, job, rows)
            self._sum_inputs(phase, k, active, rows, number, phases)
        job = self._record(active, rows, number, phases)
        self._start("ohm_read", job, rows * -(-self.m // 4))

    def _scale_vectors(self, job: bytes, rows: int) -> None:
        threads = min(_SCALE_THREADS, _WARP * -(-self.n // _WARP))
        launcher = arrays.launcher_of(self.device)
        launcher.launch(vectors_program(), "ohm_scale", min(rows, _MOST_BLOCKS), threads, [job, self._params])

    def _activate(self, phase: Phase, job: bytes, rows: int) -> None:
        """The products of one phase: the sums, and what wires and weight noise depend on."""
        phase.sums = self._multiply(phase.weights, phase.inputs)
        if self.io["ir_drop"] > 0:
            sizes = self._change("magnitude", phase.inputs, job)
            phase.weighted = self._multiply(self._changed_weights("magnitude", phase.weights, job), sizes)
            phase.placed = self._multiply(phase.weights, self._change("placed", phase.inputs, job))
        if self.io["w_noise"] > 0 and self.io["w_noise_type"] > 0:
            variances = self._changed_weights("noise_variance", phase.weights, job)
            phase.variances = self._multiply(variances, self._change("square", phase.inputs, job))

    def _sum_inputs(self, phase: Phase, k: int, active: torch.Tensor | None, rows: int, number: int, phases) -> None:
        """What columns and additive weight noise need to know of the inputs."""
        if not (self.io["v_offset_std"] > 0 or self.io["r_series"] > 0 or self.io["w_noise"] > 0):
            return
        phase.total, phase.norm = self._new(rows), self._new(rows)
        job = self._record(active, rows, number, phases)
        arrays.start(self.device, vectors_program(), "ohm_sum", rows * _WARP, [job, u32(k)])

    def _phase_weights(self) -> Sequence[torch.Tensor]:
        """Return what each phase multiplies with; the negative one comes first."""
        if self._one_pass:
            return (self.weights,)
        if self.io["w_read_asymmetry_dtod"] <= 0:
            return (self.weights, self.weights)
        return (self._changed_weights("negative_phase", self.weights, self._record(None, 0, 0, [])), self.weights)

    def _changed_weights(self, what: str, weights: torch.Tensor, job: bytes) -> torch.Tensor:
        """Return weights changed one by one; made once a call."""
        key = weights.data_ptr(), what
        if key not in self._changed:
            self._changed[key] = self._change(what, weights, job)
        return self._changed[key]

    def _change(self, what: str, array: torch.Tensor, job: bytes) -> torch.Tensor:
        changed = torch.empty_like(array)
        given = u32(_CHANGES.index(what)), pointer(array), pointer(changed), i64(array.numel())
        self._start("ohm_change", job, array.numel(), *given)
        return changed

    def _draw_lines(self) -> None:
        """Draw what differs from output to output, and the factor that depends on it."""
        if any(self.io[name] > 0 for name in ("v_offset_std", "out_nonlinearity", "out_noise_std")):
            self._start("ohm_lines", self._record(None, 0, 0, []), self.m)
        if self.io["out_nonlinearity"] > 0 or self.io["r_series"] > 0:
            self._start("ohm_calibrate", self._record(None, 0, 0, []), 1)

    def _multiply(self, weights: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return multiply(weights, z, transposed=self.call.transposed)

    def _start(self, kernel: str, job: bytes, items: int, *more: bytes) -> None:
        arrays.start(self.device, product_program(), kernel, items, [job, self._params, *more])

    def _record(self, active: torch.Tensor | None, rows: int, number: int, phases: Sequence[Phase]) -> bytes:
        held = (self._scale, self._reduction, active, self._again, self._lines, self._kappa)
        places = [p.addresses() for p in phases]
        places += [[0] * 7] * (2 - len(places))
        native = self.call.native(self.weights, self.x, self.y, self.rounds, self.clipped)
        return ops.record("product", native, [_address(a) for a in held], rows, number, places)

    def _new(self, *shape: int) -> torch.Tensor:
        return torch.empty(shape, dtype=torch.float32, device=self.device)


def _address(array: torch.Tensor | None) -> int:
    return 0 if array is None else array.data_ptr()

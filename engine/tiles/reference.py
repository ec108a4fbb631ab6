# SPDX-License-Identifier: Apache-2.0
"""The analog product in plain tensor code and double precision: the definition that the kernels are tested against.

Slow and meant to be read. It makes the kernels' random draws, so the two agree code by code, noise and all, except
where single precision lands on the other side of the middle between two codes. Formulas: docs/physics/tile.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from engine import ops
from engine.tiles.periphery import IOParameters


@dataclass
class Draws:
    """The random numbers of one product.

    Parameters
    ----------
    seed, construction_seed : int
        For fresh draws, and for those made once.
    first_step : int
        Number of the first vector in the tile's life.
    way : {"forward", "backward"}
    """

    seed: int
    construction_seed: int
    first_step: int
    way: str

    def lines(self, stage: str, sample: int, count: int, block: int, *, uniform: bool = False) -> torch.Tensor:
        """Return one draw for each of ``count`` lines, ``(count,)``; ``block`` numbers round and phase."""
        make = ops.element_uniforms if uniform else ops.element_normals
        groups = make(self.seed, f"{self.way}_{stage}", self.first_step + sample, -(-count // 4), block)
        return groups.T.reshape(-1)[:count].double()

    def outputs(self, count: int) -> torch.Tensor:
        """Return what differs from output to output: offset, bend, noise, each ``(count,)``; row by row."""
        return ops.element_normals(self.construction_seed, f"{self.way}_lines", 0, count)[:3].double()

    def devices(self, shape: torch.Size) -> torch.Tensor:
        """Return one draw per device ``(out, in)``, made once."""
        draws = ops.element_normals(self.construction_seed, "read_asymmetry", 0, shape.numel())
        return draws[0 if self.way == "forward" else 1].reshape(shape).double()


def analog_product(
    weights: torch.Tensor,
    x: torch.Tensor,
    io: IOParameters,
    *,
    transposed: bool = False,
    seed: int = 0,
    construction_seed: int = 0,
    first_step: int = 0,
    average: float = 0.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ``x W^T`` (or ``x W``) as an analog array gives it.

    Parameters
    ----------
    weights : torch.Tensor
        ``(out, in)``, weight units.
    x : torch.Tensor
        ``(samples, in)``, or ``(samples, out)`` when transposed; input units.
    io : IOParameters
    transposed : bool
    seed, construction_seed, first_step : int
        See `Draws`.
    average : float
        Running mean of the largest inputs, for ``noise_management="average_abs_max"``.

    Returns
    -------
    y : torch.Tensor
        ``(samples, out)`` or ``(samples, in)`` float64, weight times input units.
    rounds : torch.Tensor
        ``(samples,)`` int, products made for each vector.
    """
    full = full_product(
        weights, x, io, transposed=transposed, seed=seed, construction_seed=construction_seed,
        first_step=first_step, average=average,
    )  # fmt: skip
    return full.y, full.rounds


@dataclass
class FullProduct:
    """A product and what its converters did.

    Attributes
    ----------
    y, rounds
        As `analog_product` gives them.
    clipped : torch.Tensor
        ``(samples, out)`` uint8: 1 where an output lay above the ADC's bound in the last round, 2 below, 3 both.
    """

    y: torch.Tensor
    rounds: torch.Tensor
    clipped: torch.Tensor


def full_product(
    weights: torch.Tensor,
    x: torch.Tensor,
    io: IOParameters,
    *,
    transposed: bool = False,
    seed: int = 0,
    construction_seed: int = 0,
    first_step: int = 0,
    average: float = 0.0,
) -> FullProduct:
    """Return what `analog_product` gives, and which outputs the ADC clipped; same parameters."""
    draws = Draws(seed, construction_seed, first_step, "backward" if transposed else "forward")
    array = _Array(io, weights.double(), draws, transposed)
    rows = [array.vector(row, sample, average) for sample, row in enumerate(x.double())]
    outputs = weights.shape[1] if transposed else weights.shape[0]
    if not rows:
        nothing = torch.empty(0, outputs, dtype=torch.float64)
        return FullProduct(nothing, torch.empty(0, dtype=torch.int32), nothing.to(torch.uint8))
    y, rounds, clipped = zip(*rows, strict=True)
    return FullProduct(torch.stack(y), torch.tensor(rounds, dtype=torch.int32), torch.stack(clipped))


def step_of(bound: float, resolution: float) -> float:
    """Return a converter's step, 0 for none."""
    fraction = 1 / resolution if resolution > 1 else resolution
    return 2 * bound * fraction if bound > 0 else 0.0


def codes(v: torch.Tensor, bound: float, resolution: float, dither: torch.Tensor | float = 0.0) -> torch.Tensor:
    """Return the codes of ``v``, not yet limited to the bound."""
    per_bound = bound / step_of(bound, resolution)
    whole = round(per_bound)
    return torch.round(v / bound * (whole if abs(per_bound - whole) < 1e-6 * per_bound else per_bound) + dither)


@dataclass
class _Array:
    """One array with its periphery, and the draws of one product."""

    io: IOParameters
    weights: torch.Tensor
    draws: Draws
    transposed: bool

    def __post_init__(self) -> None:
        io = self.io
        self.facing = self.weights.T if self.transposed else self.weights  # (outputs, inputs)
        self.count, self.inputs = self.facing.shape
        offset, bend, noise = self.draws.outputs(self.count)
        bound = io.out_bound or 1.0
        self.offset = io.v_offset_std * offset
        self.bend = (io.out_nonlinearity / bound * (1 + io.out_nonlinearity_std * bend)).abs()
        self.noise = (io.out_noise * (1 + io.out_noise_std * noise)).abs() if io.out_noise_std else io.out_noise
        calibrated = io.slope_calibration * (self.bend.mean().item() + io.r_series) * bound
        self.kappa = (1 + calibrated) ** 2 if io.out_nonlinearity or io.r_series else 1.0
        asymmetry = 1 + io.w_read_asymmetry_dtod * self.draws.devices(self.weights.shape)
        self.negative = self.facing * (asymmetry.T if self.transposed else asymmetry)

    def vector(self, x: torch.Tensor, sample: int, average: float) -> tuple[torch.Tensor, int, torch.Tensor]:
        """Return one output vector, the rounds it took, and what was clipped in the last one."""
        io, nothing = self.io, torch.zeros(self.count, dtype=torch.uint8)
        if io.is_perfect:
            return io.out_scale * (self.facing @ x), 1, nothing
        alpha, reduction, rounds = self.scale(x, average), 1.0, 0
        if alpha <= 0:
            return torch.zeros(self.count, dtype=torch.float64), 0, nothing
        while True:
            y, clipped = self.product(self.to_array(x / (alpha * reduction), sample, rounds), sample, rounds)
            rounds += 1
            if not self.is_hit(clipped) or not self.may_repeat(reduction):
                return y * io.out_scale * alpha * reduction, rounds, clipped
            worst = io.bound_management == "iterative_worst_case" and rounds == 1
            if worst and io.noise_management not in ("none", "abs_max_np_sum"):
                alpha = self.np_sum(x)
            else:
                reduction *= 2

    def may_repeat(self, reduction: float) -> bool:
        step = step_of(self.io.inp_bound, self.io.inp_res)
        finest = step > 0 and reduction > self.io.max_bm_res / step
        managed = self.io.bound_management != "none" and not self.transposed
        return managed and reduction <= self.io.max_bm_factor and not finest

    def scale(self, x: torch.Tensor, average: float) -> float:
        io = self.io
        largest = x.abs().max().item()
        return {
            "none": lambda: 1.0,
            "abs_max": lambda: self.capped(largest),
            "max": lambda: self.capped(max(x.max().item(), 0.0)),
            "constant": lambda: io.nm_thres or 1.0,
            "average_abs_max": lambda: average,
            "abs_max_np_sum": lambda: self.np_sum(x) if largest > 0 else 0.0,
        }[io.noise_management]()

    def capped(self, value: float) -> float:
        return min(value, self.io.nm_thres) if self.io.nm_thres > 0 else value

    def np_sum(self, x: torch.Tensor) -> float:
        io = self.io
        largest = self.capped(x.abs().max().item())
        total = max(x.clamp(min=0).sum().item(), -x.clamp(max=0).sum().item())
        wanted = total * io.nm_assumed_wmax / (io.out_bound or 1.0)
        step = step_of(io.inp_bound, io.inp_res)
        return max(largest, min(wanted, largest / step * io.max_bm_res) if step > 0 else wanted)

    def to_array(self, v: torch.Tensor, sample: int, turn: int) -> torch.Tensor:
        io, block = self.io, 2 * turn
        if step_of(io.inp_bound, io.inp_res) > 0:
            dither = self.draws.lines("input_round", sample, self.inputs, block, uniform=True) - 0.5
            code = codes(v, io.inp_bound, io.inp_res, dither if io.inp_sto_round else 0.0)
            v = code * step_of(io.inp_bound, io.inp_res)
        v = self.limited(v, io.inp_bound)
        v = v + io.inp_noise * self.draws.lines("input", sample, self.inputs, block)
        if io.inp_noise_before_clip:
            v = self.limited(v, io.inp_bound)
        return torch.where(v < 0, v * (1 - io.inp_asymmetry), v)

    @staticmethod
    def limited(v: torch.Tensor, bound: float) -> torch.Tensor:
        return v.clamp(-bound, bound) if bound > 0 else v

    def is_hit(self, clipped: torch.Tensor) -> bool:
        """Whether one of the outputs asks for smaller inputs."""
        return bool((clipped & (3 if self.io.bm_test_negative_bound else 1)).any())

    def product(self, z: torch.Tensor, sample: int, turn: int) -> tuple[torch.Tensor, torch.Tensor]:
        if self.io.mv_type == "one_pass":
            return self.finish(self.activate(self.facing, z, sample, 2 * turn), sample, 2 * turn)
        low = self.activate(self.negative, z.clamp(max=0), sample, 2 * turn)
        high = self.activate(self.facing, z.clamp(min=0), sample, 2 * turn + 1)
        if self.io.mv_type == "pos_neg_separate":
            return self.finish(low + high, sample, 2 * turn)
        (low, one), (high, other) = self.finish(low, sample, 2 * turn), self.finish(high, sample, 2 * turn + 1)
        return low + high, one | other

    def activate(self, a: torch.Tensor, z: torch.Tensor, sample: int, block: int) -> torch.Tensor:
        u = self.after_columns(self.after_wires(a @ z, a, z), z)
        return u + self.io.w_noise * self.weight_spread(a, z) * self.draws.lines("weight", sample, self.count, block)

    def after_wires(self, u: torch.Tensor, a: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        load = self.inputs / self.io.ir_drop_g_ratio * (a.abs() @ z.abs())
        place = torch.arange(self.inputs, dtype=torch.float64) / self.inputs
        loss = load * (0.05 * load**2 - 0.2 * load + 0.5)
        return u - self.io.ir_drop * loss * (a @ (z * (1 - (1 - place) ** 2)))

    def after_columns(self, u: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        io = self.io
        if not io.v_offset_std and not io.r_series:
            return u
        reference = -io.v_offset_w_min * z.sum()
        if io.v_offset_w_min == 0:
            return (1 - self.offset) * self.through_resistance(u)
        if io.r_series == 0:
            return (1 - self.offset) * u - 2 * self.offset * reference
        pair = self.through_resistance(u + reference), self.through_resistance(reference)
        return (1 - self.offset) * pair[0] - (1 + self.offset) * pair[1]

    def through_resistance(self, u: torch.Tensor) -> torch.Tensor:
        loss = self.io.r_series * u.abs()
        limit = self.io.r_series_max_total
        return u / (1 + (loss.clamp(max=limit) if limit > 0 else loss))

    def weight_spread(self, a: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        kind = self.io.w_noise_type
        if kind == "additive_constant":
            return z.norm()
        power = 0.5 if kind == "pcm_read" else self.io.w_noise_power
        return (a.abs() ** (2 * power) @ z**2).sqrt()

    def finish(self, u: torch.Tensor, sample: int, block: int) -> tuple[torch.Tensor, torch.Tensor]:
        io = self.io
        if io.out_nonlinearity or io.r_series:
            u = self.kappa * u / (1 + (self.bend * u).abs())
        u = torch.where(u < 0, u * (1 - io.out_asymmetry), u)
        u = u + self.noise * self.draws.lines("output", sample, self.count, block)
        bound, step = io.out_bound, step_of(io.out_bound, io.out_res)
        if step > 0:
            dither = self.draws.lines("output_round", sample, self.count, block, uniform=True) - 0.5
            code = codes(u, bound, io.out_res, dither if io.out_sto_round else 0.0)
            # Whole numbers of codes are compared, so that the top code is not beyond the bound by rounding.
            beyond = code * step > bound * (1 + 1e-9), code * step < -bound * (1 + 1e-9)
            u = code * step
        else:
            beyond = (u > bound, u < -bound) if bound > 0 else 2 * (torch.zeros_like(u, dtype=torch.bool),)
        return self.limited(u, bound), beyond[0].to(torch.uint8) + 2 * beyond[1].to(torch.uint8)

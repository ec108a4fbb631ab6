# SPDX-License-Identifier: Apache-2.0
"""What the converters did in an analog product, worked out from its inputs and outputs.

The kernels return sums and rounds only. Scales, codes and clipping follow from these: inputs are scaled and converted
once more in single precision as the kernels do, outputs are whole multiples of the ADC's step times the scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from engine.tiles.periphery import IOParameters
from engine.tiles.reference import Draws, codes, step_of

_AT_THE_BOUND = 1e-6  # relative: single precision carries 6e-8 for each of a few operations


@dataclass
class Observation:
    """Converters of one forward product.

    Attributes
    ----------
    scale : torch.Tensor
        ``(batch,)`` float32, what the inputs were divided by in the last round, input units; 0 where nothing was made.
    reduction : torch.Tensor
        ``(batch,)`` float32, the part of it that bound management has added.
    input_codes : torch.Tensor
        ``(batch, in)`` float32, codes of the DAC, within its bound; NaN without a quantiser.
    output_codes : torch.Tensor
        ``(batch, out)`` float32, codes of the ADC; the sum of both phases' codes where these are added after the ADC;
        NaN without a quantiser.
    input_clipped : torch.Tensor
        ``(batch, in)`` bool, inputs beyond the DAC's end codes.
    output_clipped : torch.Tensor or None
        ``(batch, out)`` bool, outputs at or beyond the ADC's end codes that bound management did not repeat. None where
        two phases are added after the ADC without it: their sum does not tell.
    """

    scale: torch.Tensor
    reduction: torch.Tensor
    input_codes: torch.Tensor
    output_codes: torch.Tensor
    input_clipped: torch.Tensor
    output_clipped: torch.Tensor | None


def observe(
    io: IOParameters, x: torch.Tensor, y: torch.Tensor, rounds: torch.Tensor, *, draws: Draws, average: float = 0.0
) -> Observation:
    """Return what the converters of a forward product did.

    Parameters
    ----------
    io : IOParameters
    x, y : torch.Tensor
        ``(batch, in)`` and ``(batch, out)`` float32, input and output of ``Tile.forward``.
    rounds : torch.Tensor
        ``(batch,)``, ``Tile.rounds`` after it.
    draws : Draws
        Seeds and first step of the product, for stochastic rounding.
    average : float
        Running mean of the largest inputs during the product, input units.

    Notes
    -----
    An input that lies within single precision of the middle between two codes may be given the other one.

    Examples
    --------
    >>> io, x = IOParameters(out_noise=0), torch.tensor([[1.0, -0.5, 0.0]])
    >>> draws = Draws(0, 0, 0, "forward")
    >>> observe(io, x, torch.zeros(1, 2), torch.ones(1), draws=draws).input_codes
    tensor([[ 63., -32.,   0.]])
    """
    if io.is_perfect:
        return _perfect(x, y)
    alpha, reduction = _scales(io, x, rounds, average)
    scale = torch.where(rounds > 0, alpha * reduction, 0.0)
    input_codes, input_clipped = _inputs(io, x, scale, rounds, draws)
    output_codes, output_clipped = _outputs(io, y, scale, reduction)
    return Observation(scale, reduction, input_codes, output_codes, input_clipped, output_clipped)


def input_scales(io: IOParameters, x: torch.Tensor, average: float = 0.0) -> torch.Tensor:
    """Return the scale of each vector in its first round, ``(batch,)`` float32: docs/physics/tile.md, 1.2."""
    largest = x.abs().amax(1)
    if io.noise_management == "abs_max":
        return _capped(io, largest)
    if io.noise_management == "max":
        return _capped(io, x.amax(1).clamp(min=0))
    if io.noise_management == "abs_max_np_sum":
        return torch.where(largest > 0, _worst_case_scales(io, x), 0.0)
    constant = {"none": 1.0, "constant": io.nm_thres or 1.0, "average_abs_max": average}[io.noise_management]
    return torch.full_like(largest, constant)


def input_bits(io: IOParameters, reduction: torch.Tensor) -> torch.Tensor:
    """Return the effective bits of each vector's inputs, log2(n/r), ``(batch,)``; infinite without a quantiser.

    n are the codes from zero to the bound, r the reduction by bound management: docs/physics/tile.md, 1.3.
    """
    step = step_of(io.inp_bound, io.inp_res)
    if step == 0 or io.is_perfect:
        return torch.full_like(reduction, torch.inf)
    return torch.log2(io.inp_bound / step / reduction)


def _perfect(x: torch.Tensor, y: torch.Tensor) -> Observation:
    ones = torch.ones(len(x))
    nothing = [torch.full_like(v, torch.nan) for v in (x, y)] + [torch.zeros_like(v, dtype=torch.bool) for v in (x, y)]
    return Observation(ones, ones, *nothing)


def _capped(io: IOParameters, value: torch.Tensor) -> torch.Tensor:
    return value.clamp(max=io.nm_thres) if io.nm_thres > 0 else value


def _worst_case_scales(io: IOParameters, x: torch.Tensor) -> torch.Tensor:
    largest = _capped(io, x.abs().amax(1))
    total = torch.maximum(x.clamp(min=0).sum(1), -x.clamp(max=0).sum(1))
    wanted = total * io.nm_assumed_wmax / (io.out_bound or 1.0)
    step = step_of(io.inp_bound, io.inp_res)
    return torch.maximum(largest, torch.minimum(wanted, largest / step * io.max_bm_res) if step > 0 else wanted)


def _scales(io: IOParameters, x: torch.Tensor, rounds: torch.Tensor, average: float) -> tuple[torch.Tensor, ...]:
    """Return scale and reduction of each vector's last round."""
    first = input_scales(io, x, average)
    repeats = rounds.clamp(min=1).float() - 1
    worst = io.bound_management == "iterative_worst_case" and io.noise_management not in ("none", "abs_max_np_sum")
    if not worst:
        return first, 2**repeats
    return torch.where(repeats > 0, _worst_case_scales(io, x), first), 2 ** (repeats - 1).clamp(min=0)


def _inputs(io: IOParameters, x: torch.Tensor, scale: torch.Tensor, rounds: torch.Tensor, draws: Draws) -> tuple:
    v = torch.where(scale[:, None] > 0, x / scale[:, None], 0.0)
    step, bound = step_of(io.inp_bound, io.inp_res), io.inp_bound
    if step == 0:
        beyond = v.abs() > bound if bound > 0 else torch.zeros_like(v, dtype=torch.bool)
        return torch.full_like(v, torch.nan), beyond
    code = codes(v, bound, io.inp_res, _dither(v, rounds, draws) if io.inp_sto_round else 0.0)
    limit = bound / step * (1 + _AT_THE_BOUND)
    return code.clamp(-limit, limit).trunc(), code.abs() > limit


def _dither(v: torch.Tensor, rounds: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Return the draws that rounded the inputs in each vector's last round, ``(batch, in)``."""
    blocks = 2 * (rounds.clamp(min=1) - 1)
    rows = [draws.lines("input_round", k, v.shape[1], int(block), uniform=True) - 0.5 for k, block in enumerate(blocks)]
    return torch.stack(rows).float() if rows else v


def _outputs(io: IOParameters, y: torch.Tensor, scale: torch.Tensor, reduction: torch.Tensor) -> tuple:
    factor = (io.out_scale * scale)[:, None]
    u = torch.where(factor != 0, y / factor, 0.0)
    step, bound = step_of(io.out_bound, io.out_res), io.out_bound
    code = torch.round(u / step) if step > 0 else torch.full_like(u, torch.nan)
    kept = _kept_within(io, reduction)[:, None] & (u > 0 if not io.bm_test_negative_bound else True)
    at_end = u.abs() >= bound * (1 - _AT_THE_BOUND) if bound > 0 else torch.zeros_like(u, dtype=torch.bool)
    unknown = io.mv_type == "pos_neg_separate_digital_sum" and bound > 0 and not bool(kept.all())
    return code, None if unknown else at_end & ~kept


def _kept_within(io: IOParameters, reduction: torch.Tensor) -> torch.Tensor:
    """Return where bound management would have gone on: there no output lay beyond the bound."""
    if io.bound_management == "none":
        return torch.zeros_like(reduction, dtype=torch.bool)
    step = step_of(io.inp_bound, io.inp_res)
    finest = reduction > io.max_bm_res / step if step > 0 else torch.zeros_like(reduction, dtype=torch.bool)
    return (reduction <= io.max_bm_factor) & ~finest

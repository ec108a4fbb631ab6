# SPDX-License-Identifier: Apache-2.0
"""Signal-to-noise ratio of an analog product, estimated from its parameters without making it."""

from __future__ import annotations

import torch

from engine.tiles.periphery import IOParameters
from engine.tiles.reference import step_of

SOURCES = ("DAC rounding", "input noise", "weight noise", "output noise", "ADC rounding")


def signal_power(io: IOParameters, weights: torch.Tensor, x: torch.Tensor) -> float:
    r"""Return the mean square of an ideal output, :math:`\overline{\sum_j W_{ij}^2}\, x_{rms}^2`, output units squared.

    Exact for inputs that are independent with mean zero.
    """
    return io.out_scale**2 * _weight_power(weights) * _mean_square(x)


def error_powers(io: IOParameters, weights: torch.Tensor, x: torch.Tensor, scale: torch.Tensor) -> dict[str, float]:
    r"""Return the mean square error that each source adds to an output, output units squared.

    .. math:: \langle s^2 \rangle \left(\sigma_{out}^2 + \frac{\Delta_{out}^2}{12}
              + \Big(\sigma_{inp}^2 + \frac{\Delta_{in}^2}{12}\Big) \overline{\sum_j W_{ij}^2}\right)
              + \sigma_w^2\, \overline{\sum_j |W_{ij}|^{2p}}\, x_{rms}^2

    Parameters
    ----------
    io : IOParameters
    weights : torch.Tensor
        ``(out, in)``, weight units.
    x : torch.Tensor
        ``(batch, in)``, input units.
    scale : torch.Tensor
        ``(batch,)``, what the inputs are divided by, input units (`engine.tiles.observe`).

    Notes
    -----
    An estimate: clipping, wires, columns, bent outputs and asymmetries are not in it, and rounding errors count as
    uniform and independent of the signal. Stochastic rounding doubles them. Inputs that are zero have no rounding
    error. Two phases with an ADC each double what comes behind the array. Formulas: docs/physics/tile.md, 1.10.

    Examples
    --------
    >>> io = IOParameters(inp_res=0, out_res=0, out_noise=0.1)
    >>> found = error_powers(io, torch.eye(2), torch.ones(1, 2), torch.tensor([2.0]))
    >>> round(found["output noise"], 4), found["DAC rounding"]
    (0.04, 0.0)
    """
    if io.is_perfect:
        return dict.fromkeys(SOURCES, 0.0)
    squared, outputs = _mean_square(scale), 2 if io.mv_type == "pos_neg_separate_digital_sum" else 1
    power, used = _weight_power(weights), (x != 0).float().mean().item()
    found = {
        "DAC rounding": squared * power * used * _rounding(io.inp_bound, io.inp_res, io.inp_sto_round),
        "input noise": squared * power * io.inp_noise**2,
        "weight noise": _weight_noise(io, weights) * _mean_square(x),
        "output noise": squared * outputs * io.out_noise**2 * (1 + io.out_noise_std**2),
        "ADC rounding": squared * outputs * _rounding(io.out_bound, io.out_res, io.out_sto_round),
    }
    return {name: io.out_scale**2 * value for name, value in found.items()}


def _rounding(bound: float, resolution: float, stochastic: bool) -> float:
    """Return the mean square of a rounding error; by chance it is f(1 - f) of a step squared, 1/6 on average."""
    return step_of(bound, resolution) ** 2 / (6 if stochastic else 12)


def _weight_noise(io: IOParameters, weights: torch.Tensor) -> float:
    exponent = {"additive_constant": 0.0, "pcm_read": 1.0, "power": 2 * io.w_noise_power}[io.w_noise_type]
    return io.w_noise**2 * weights.double().abs().pow(exponent).sum(1).mean().item()


def _weight_power(weights: torch.Tensor) -> float:
    return weights.double().square().sum(1).mean().item()


def _mean_square(v: torch.Tensor) -> float:
    return v.double().square().mean().item() if v.numel() else 0.0

# SPDX-License-Identifier: Apache-2.0
"""How a gradient becomes pulses: train length and probabilities, sample by sample."""

from __future__ import annotations

import numpy as np
import torch

from engine import ops
from engine.errors import ParameterError, say
from engine.quantity import Choice, Flag, Model, Quantity

_SOURCE = "aihwkit 1.2.0, default of UpdateParameters"


def checked_rate(lr: float, subject: str = "lr") -> float:
    """Return ``lr`` if it is a finite number that is not negative; raise `ParameterError` otherwise."""
    number = isinstance(lr, int | float | np.number) and not isinstance(lr, bool)
    if not (number and np.isfinite(lr) and lr >= 0):
        raise ParameterError(
            say(subject, lr, "must be a number that is not negative", "0 .. inf", "To go uphill, flip the sign of d.")
        )
    return float(lr)


PULSE_TYPES = (
    "stochastic_compressed",
    "stochastic",
    "mean_count",
    "deterministic_implicit",
    "none",
    "none_with_device",
    "none_but_gradient",
)
_KINDS = {"stochastic_compressed": 0, "stochastic": 0, "mean_count": 1, "deterministic_implicit": 2}
_LONGEST = 1 << 15  # slots of a train; a longer one only costs memory


class UpdateParameters(Model):
    """How x and d become pulses (docs/physics/devices.md, section 6)."""

    # fmt: off
    pulse_type = Choice("stochastic_compressed", PULSE_TYPES, group="Update", source=_SOURCE,
                        doc="Random trains (in one pass, or positive and negative apart), a deterministic count, "
                            "arithmetic without and with the devices' bounds, or a gradient that any optimizer of "
                            "torch follows.")
    desired_bl = Quantity(31, bounds=(1, 1000), softbounds=(1, 127), unit="pulses", integer=True, group="Update",
                          source=_SOURCE, doc="Length of the pulse trains; the longest one with update_bl_management.")
    fixed_bl = Flag(True, group="Update", source=_SOURCE,
                    doc="Off: trains grow beyond desired_bl where needed; ignored with update_bl_management.")
    update_bl_management = Flag(True, group="Update", source=_SOURCE,
                                doc="Choose the train length for each sample: no longer than its largest update needs.")
    update_management = Flag(True, group="Update", source=_SOURCE,
                             doc="Balance the pulse probabilities of x and d for each sample.")
    um_grad_scale = Quantity(1.0, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(0.1, 2),
                             group="Update", source=_SOURCE,
                             doc="Below 1, large entries of d are clipped earlier and fewer pulses are sent.")
    res = Quantity(0.0, bounds=(0, None), softbounds=(0, 0.1), group="Resolution", source=_SOURCE,
                   doc="Bin width of the pulse probabilities, or number of bins if above 1; 0 is off.")
    x_res_implicit = Quantity(0.0, bounds=(0, None), softbounds=(0, 0.25), group="Resolution", source=_SOURCE,
                              doc="Bin width of x in deterministic_implicit, or number of bins if above 1; 0 is off.")
    d_res_implicit = Quantity(0.0, bounds=(0, None), softbounds=(0, 0.25), group="Resolution", source=_SOURCE,
                              doc="Bin width of d in deterministic_implicit, or number of bins if above 1; 0 is off.")
    sto_round = Flag(False, group="Resolution", source=_SOURCE, doc="Round to the bins stochastically.")
    # fmt: on

    def job(self, x: torch.Tensor, d: torch.Tensor, lr: float, granularity: float) -> ops.UpdateJob:
        """Return the update of samples ``x`` (samples, in), ``d`` (samples, out) as pulses for the kernels."""
        x_max, d_max = (v.abs().amax(1).cpu().numpy() for v in (x, d))
        length, x_scale, d_scale = self.scales(x_max, d_max, abs(lr), granularity)
        kind = self.pulse_type
        implicit = kind == "deterministic_implicit"
        bins = (self.x_res_implicit, self.d_res_implicit) if implicit else (self.res,) * 2
        x_res, d_res = (1 / b if b > 1 else b for b in bins)
        return ops.UpdateJob(x, d, length, x_scale, d_scale, _KINDS[kind], x_res, d_res, self.sto_round, lr < 0)

    def scales(
        self, x_max: np.ndarray, d_max: np.ndarray, lr: float, granularity: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        r"""Return train length and probability scales of each sample.

        With :math:`k = \eta X g D / \Delta` the expected pulses of the largest pair, a train has
        :math:`\min(\lceil k \rceil, BL)` slots and fires with :math:`p_j = |x_j| B`, :math:`q_i = |d_i| A`.

        Parameters
        ----------
        x_max, d_max : numpy.ndarray
            ``(samples,)`` largest absolute entry of x and d.
        lr : float
            Learning rate, ``>= 0``.
        granularity : float
            Step the update assumes, weight units.

        Returns
        -------
        length, x_scale, d_scale : numpy.ndarray
            ``(samples,)``: slots (int32, 0 for a sample without pulses) and factors B, A (float32).
        """
        # A parameter's value costs as much as a numpy call: each is looked up once.
        balanced, managed_bl, longest, gain = (
            self.update_management, self.update_bl_management, self.desired_bl, self.um_grad_scale
        )  # fmt: skip
        managed = managed_bl or balanced
        x_max, d_max = np.asarray(x_max, float), np.asarray(d_max, float)
        silent = (lr == 0) | (managed & ((x_max == 0) | (d_max == 0)))
        x_safe, d_safe = np.where(silent, 1.0, x_max), np.where(silent, 1.0, d_max)
        strongest = lr * x_safe * gain * d_safe / granularity
        grown = not (managed_bl or self.fixed_bl) and granularity * longest < lr
        if grown:
            length = np.full(x_max.shape, max(np.ceil(lr / granularity), 1))
        elif managed_bl:
            length = np.maximum(np.ceil(np.minimum(strongest, longest)), 1)
        else:
            length = np.full(x_max.shape, float(longest))
        if length.max(initial=1) > _LONGEST:
            raise ParameterError(
                say("UpdateParameters.fixed_bl", False, f"a train of {length.max():.0f} slots is too long",
                    f"up to {_LONGEST} slots", "Lower the learning rate, or set fixed_bl=True.")
            )  # fmt: skip
        a = b = np.ones_like(length) if grown else np.sqrt(lr / (granularity * length))
        if managed:
            clipped = longest / np.maximum(strongest, longest)
            balance = np.sqrt(x_safe / (gain * d_safe * clipped))
            a, b = a * balance, b / balance
        length = np.where(silent, 0, length)
        return length.astype(np.int32), b.astype(np.float32), a.astype(np.float32)

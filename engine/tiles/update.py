# SPDX-License-Identifier: Apache-2.0
"""How a gradient becomes pulses: train length and probabilities, sample by sample."""

from __future__ import annotations

import numpy as np

from engine.errors import ParameterError, say
from engine.quantity import Flag, Model, Quantity

_SOURCE = "aihwkit 1.2.0, default of UpdateParameters"


def checked_rate(lr: float, subject: str = "lr") -> float:
    """Return ``lr`` if it is a finite number that is not negative; raise `ParameterError` otherwise."""
    number = isinstance(lr, int | float | np.number) and not isinstance(lr, bool)
    if not (number and np.isfinite(lr) and lr >= 0):
        raise ParameterError(
            say(subject, lr, "must be a number that is not negative", "0 .. inf", "To go uphill, flip the sign of d.")
        )
    return float(lr)


class UpdateParameters(Model):
    """Parameters of the stochastic-compressed pulsed update (docs/physics/devices.md, section 6)."""

    # fmt: off
    desired_bl = Quantity(31, bounds=(1, 1000), softbounds=(1, 127), unit="pulses", integer=True, group="Update",
                          source=_SOURCE, doc="Length of the pulse trains; the longest one with update_bl_management.")
    update_bl_management = Flag(True, group="Update", source=_SOURCE,
                                doc="Choose the train length for each sample: no longer than its largest update needs.")
    update_management = Flag(True, group="Update", source=_SOURCE,
                             doc="Balance the pulse probabilities of x and d for each sample.")
    um_grad_scale = Quantity(1.0, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(0.1, 2),
                             group="Update", source=_SOURCE,
                             doc="Below 1, large entries of d are clipped earlier and fewer pulses are sent.")
    # fmt: on

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
        managed = self.update_bl_management or self.update_management
        x_max, d_max = np.asarray(x_max, float), np.asarray(d_max, float)
        silent = (lr == 0) | (managed & ((x_max == 0) | (d_max == 0)))
        x_safe, d_safe = np.where(silent, 1.0, x_max), np.where(silent, 1.0, d_max)
        strongest = lr * x_safe * self.um_grad_scale * d_safe / granularity
        length = np.full(x_max.shape, float(self.desired_bl))
        if self.update_bl_management:
            length = np.clip(np.ceil(np.minimum(strongest, self.desired_bl)), 1, self.desired_bl)
        a = b = np.sqrt(lr / (granularity * length))
        if managed:
            clipped = self.desired_bl / np.maximum(strongest, self.desired_bl)
            balance = np.sqrt(x_safe / (self.um_grad_scale * d_safe * clipped))
            a, b = a * balance, b / balance
        length = np.where(silent, 0, length)
        return length.astype(np.int32), b.astype(np.float32), a.astype(np.float32)

# SPDX-License-Identifier: Apache-2.0
"""Stochastic gradient descent that moves analog weights by pulses and digital ones by arithmetic."""

from __future__ import annotations

import torch

from engine.errors import StateError
from engine.nn.weight import AnalogWeight
from engine.tiles.update import checked_rate


class AnalogSGD(torch.optim.Optimizer):
    """Plain SGD: pulsed rank-1 updates for analog weights, ``p -= lr * grad`` for all others.

    Parameters
    ----------
    params : iterable
        ``model.parameters()``, or parameter groups.
    lr : float
        Learning rate, ``>= 0``.

    Raises
    ------
    ParameterError
        A learning rate that is negative, not finite or no number.
    StateError
        In a step, if an analog weight has a gradient: it was multiplied outside of its layer.

    Notes
    -----
    The gradient of an analog weight is never formed: each sample's x and d go to the tile as they are, in order.
    ``zero_grad`` also drops samples that wait for a step. There is no momentum: an analog array cannot hold one.
    """

    def __init__(self, params, lr: float):
        super().__init__(params, {"lr": checked_rate(lr, "AnalogSGD.lr")})

    @torch.no_grad()
    def step(self, closure=None):
        """Update all parameters from the last backward pass; returns the closure's loss if one is given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if isinstance(p, AnalogWeight) and not p.tile.follows_gradient:
                    _pulse(p, group["lr"])
                elif p.grad is not None:
                    p.add_(p.grad, alpha=-group["lr"])
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget gradients, and samples that wait for a step."""
        super().zero_grad(set_to_none)
        for group in self.param_groups:
            for p in group["params"]:
                if isinstance(p, AnalogWeight):
                    p.pending.clear()


def _pulse(weight: AnalogWeight, lr: float) -> None:
    if weight.grad is not None:
        raise StateError(
            "AnalogSGD: an analog weight has a gradient (allowed: None, tiles learn from the samples of their layer). "
            "It was used outside of its layer, by a penalty or a function of torch; take it out of the loss."
        )
    for x, d in weight.updates():
        weight.tile.update(x, d, lr * weight.rate_scale)
    weight.pending.clear()
    weight.tile.end_batch()

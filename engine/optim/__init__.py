# SPDX-License-Identifier: Apache-2.0
"""Optimizers that train analog tiles."""

from engine.optim.analog_sgd import AnalogSGD

__all__ = ["AnalogSGD"]

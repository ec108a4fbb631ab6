# SPDX-License-Identifier: Apache-2.0
"""The soft-bounds device a second time, in Python: what a user's device file looks like, and a check of the compiled
one."""

import torch

from engine.devices.python_device import PythonDevice
from engine.devices.soft_bounds import SoftBounds
from engine.quantity import Quantity


class PythonSoftBounds(PythonDevice, SoftBounds):
    """Steps that vanish at the device's own bound, with a factor on both steps that the compiled device lacks."""

    title = "Soft bounds in Python"

    boost = Quantity(1.0, bounds=(0, None), softbounds=(0, 2), group="Step", doc="Factor on both steps.")

    def draw(self, draws):
        high = self.w_max * (1 + self.w_max_dtod * draws.normal(0))
        low = self.w_min * (1 + self.w_min_dtod * draws.normal(1))
        gain = 1 + self.dw_min_dtod * draws.normal(2)
        shift = self.up_down_dtod * draws.normal(3)
        return {
            "max_bound": high.abs(),
            "min_bound": -low.abs(),
            "dwmin_up": (self.dw_min * (gain + min(self.up_down, 0.0) + shift)).abs(),
            "dwmin_down": (self.dw_min * (gain - max(self.up_down, 0.0) - shift)).abs(),
        }

    def cell_step(self, w, direction, cells):
        up = direction > 0
        scale = torch.where(up, cells["dwmin_up"], cells["dwmin_down"])
        bound = torch.where(up, cells["max_bound"], cells["min_bound"])
        mean = self.boost * scale * (1 - w / bound)
        return mean, self.dw_min_std * mean

    @property
    def write_noise(self) -> float:
        return self.write_noise_std * self.dw_min

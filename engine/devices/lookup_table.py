# SPDX-License-Identifier: Apache-2.0
"""Lookup-table device: the step as it was measured."""

from __future__ import annotations

import numpy as np

from engine.devices.base import NOT_NEGATIVE, POSITIVE
from engine.devices.families import WrittenDevice
from engine.errors import ParameterError, say
from engine.quantity import Quantity, Table

_SOURCE = "assumed"
_LEAST_SPREAD = 0.1  # of a node's width: steps from weights closer together show no slope


class LookupTable(WrittenDevice):
    """Mean and spread of the step at equally spaced weights from ``w_min`` to ``w_max``, straight from measured data.

    Tables are in weight units, interpolated linearly, constant beyond their ends. Device-to-device spread scales
    mean and noise of the device's step together. `from_samples` makes the tables from measured steps.

    See docs/physics/devices.md, section 3.10.
    """

    title = "Lookup table"
    formula = "Δw = f(w) ± g(w)·ξ, measured"

    # fmt: off
    dw_min = Quantity(0.001, **POSITIVE, softbounds=(1e-5, 0.1), unit="w", log=True, group="Step", source=_SOURCE,
                      doc="Step that the update logic assumes; the step itself comes from the tables.")
    dw_min_std = Quantity(1.0, **NOT_NEGATIVE, softbounds=(0, 5), group="Cycle-to-cycle noise", source=_SOURCE,
                          doc="Factor on the measured noise of a step; 1 is as measured.")
    mean_up = Table([0.001], unit="w", group="Shape", source=_SOURCE,
                    doc="Mean up step at weights from w_min to w_max.")
    mean_down = Table([0.001], unit="w", group="Shape", source=_SOURCE,
                      doc="Mean down step at weights from w_min to w_max, positive downwards.")
    spread_up = Table([0.0003], unit="w", group="Cycle-to-cycle noise", source=_SOURCE, lowest=0,
                      doc="Standard deviation of a single up step at weights from w_min to w_max.")
    spread_down = Table([0.0003], unit="w", group="Cycle-to-cycle noise", source=_SOURCE, lowest=0,
                        doc="Standard deviation of a single down step at weights from w_min to w_max.")
    # fmt: on

    @classmethod
    def from_samples(cls, before, step, direction, *, nodes: int = 20, **values) -> LookupTable:
        """Return a device with tables made from measured steps.

        Parameters
        ----------
        before : array_like
            ``(steps,)`` weight before each step, weight units.
        step : array_like
            ``(steps,)`` change of weight; a noisy step may go against its pulse.
        direction : array_like
            ``(steps,)`` +1 for an up, -1 for a down pulse.
        nodes : int
            Nodes of each table, at least 2. Where a direction has no steps, its nearest nodes that have some count.
        **values
            Further parameters, such as ``w_min`` and ``w_max`` (default: the range of ``before``, with 0).

        Returns
        -------
        LookupTable
            Without device-to-device spread unless ``values`` say otherwise: all steps are taken as those of one device.

        Raises
        ------
        ParameterError
            If one direction has no steps, the arrays do not fit each other, or a value is not finite.

        Notes
        -----
        Noise of the readings counts twice in the spread of a step; remove it first where it matters.
        """
        before, step, direction = _checked_samples(before, step, direction)
        if isinstance(nodes, bool) or not isinstance(nodes, int) or nodes < 2:
            raise ParameterError(say("LookupTable.from_samples: nodes", nodes, "must be a whole number", "2, 3, ...",
                                     "Give at least 2."))  # fmt: skip
        low = values.setdefault("w_min", min(float(before.min()), 0.0))
        high = values.setdefault("w_max", max(float(before.max()), 0.0))
        at = np.linspace(low, high, nodes)
        tables = {}
        for name, way in (("up", 1), ("down", -1)):
            chosen = direction == way
            mean, spread = _node_statistics(before[chosen], way * step[chosen], at)
            tables |= {f"mean_{name}": mean.tolist(), f"spread_{name}": spread.tolist()}
        middle = 0.5 * (np.interp(0.0, at, tables["mean_up"]) + np.interp(0.0, at, tables["mean_down"]))
        one_device = dict.fromkeys(("dw_min_dtod", "up_down_dtod", "w_max_dtod", "w_min_dtod"), 0.0)
        return cls(**{**one_device, "dw_min": float(abs(middle)), **tables, **values})


def _checked_samples(before, step, direction) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    arrays = [np.asarray(v, float) for v in (before, step, direction)]
    if len({a.shape for a in arrays}) != 1 or arrays[0].ndim != 1:
        shapes = ", ".join(str(a.shape) for a in arrays)
        raise ParameterError(
            f"LookupTable.from_samples: before, step, direction have shapes {shapes} (allowed: three times (steps,)). "
            "Give one entry for each step."
        )
    if not all(np.isfinite(a).all() for a in arrays):
        raise ParameterError(
            "LookupTable.from_samples: holds NaN or infinity (allowed: finite numbers). Leave such steps out."
        )
    for name, way in (("up", 1), ("down", -1)):
        if not (arrays[2] == way).any():
            raise ParameterError(
                f"LookupTable.from_samples: no {name} steps (allowed: at least one in each direction). Measure both."
            )
    return tuple(arrays)


def _node_statistics(before: np.ndarray, step: np.ndarray, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of the steps at each node: straight lines through the steps around it.

    Weights fall to zero at the neighbouring nodes. A line, not a mean, because the steps of an end node lie on one
    side of it; where the weights before them hardly differ, a mean it is.
    """
    width = nodes[1] - nodes[0]
    weight = np.maximum(1 - np.abs(before[None, :] - nodes[:, None]) / width, 0)
    met = weight.sum(1) > 0
    share = weight[met] / weight[met].sum(1, keepdims=True)
    centre, middle = share @ before, share @ step
    variance = share @ before**2 - centre**2
    tilted = variance > (_LEAST_SPREAD * width) ** 2
    slope = np.where(tilted, (share @ (before * step) - centre * middle) / np.where(tilted, variance, 1.0), 0.0)
    mean = np.interp(nodes, nodes[met], middle + slope * (nodes[met] - centre))
    rest = step - np.interp(before, nodes, mean)
    return mean, np.sqrt(np.interp(nodes, nodes[met], share @ rest**2))

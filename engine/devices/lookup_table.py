# SPDX-License-Identifier: Apache-2.0
"""Lookup-table device: the step as it was measured."""

from __future__ import annotations

import numpy as np

from engine.devices.base import NOT_NEGATIVE, POSITIVE
from engine.devices.families import WrittenDevice
from engine.quantity import Quantity, Table

_SOURCE = "assumed"


class LookupTable(WrittenDevice):
    """Mean and spread of the step at equally spaced weights from ``w_min`` to ``w_max``, straight from measured data.

    Tables are in weight units, interpolated linearly, constant beyond their ends. Device-to-device spread scales
    mean and noise of the device's step together. `from_samples` makes the tables from measured steps.
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
    def from_samples(cls, before, step, *, nodes: int = 20, **values) -> LookupTable:
        """Return a device with tables made from measured steps.

        Parameters
        ----------
        before : array_like
            ``(steps,)`` weight before each step, weight units.
        step : array_like
            ``(steps,)`` change of weight; positive entries are taken as up, negative as down steps.
        nodes : int
            Nodes of each table, at least 2.
        **values
            Further parameters, such as ``w_min`` and ``w_max`` (default: the range of ``before``).

        Raises
        ------
        ParameterError
            If one direction has no steps.
        """
        before, step = np.asarray(before, float), np.asarray(step, float)
        low, high = values.pop("w_min", float(before.min())), values.pop("w_max", float(before.max()))
        tables = {}
        for name, chosen in (("up", step > 0), ("down", step < 0)):
            mean, spread = _node_statistics(before[chosen], np.abs(step[chosen]), np.linspace(low, high, nodes), name)
            tables |= {f"mean_{name}": mean, f"spread_{name}": spread}
        middle = 0.5 * (tables["mean_up"][nodes // 2] + tables["mean_down"][nodes // 2])
        return cls(w_min=min(low, 0.0), w_max=max(high, 0.0), **{"dw_min": middle, **tables, **values})


def _node_statistics(before: np.ndarray, step: np.ndarray, nodes: np.ndarray, name: str) -> tuple[list, list]:
    """Return mean and standard deviation of the steps around each node, weighted by a triangle of one node's width."""
    from engine.errors import ParameterError

    if before.size == 0:
        raise ParameterError(
            f"LookupTable.from_samples: no {name} steps (allowed: at least one in each direction). Measure both."
        )
    width = nodes[1] - nodes[0]
    weight = np.maximum(1 - np.abs(before[None, :] - nodes[:, None]) / width, 0)
    weight = np.where(
        weight.sum(1, keepdims=True) > 0,
        weight,
        np.abs(before - nodes[:, None]).argmin(1)[:, None] == np.arange(before.size),
    )
    total = weight.sum(1)
    mean = weight @ step / total
    square = weight @ step**2 / total
    return mean.tolist(), np.sqrt(np.maximum(square - mean**2, 0)).tolist()

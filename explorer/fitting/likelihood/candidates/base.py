# SPDX-License-Identifier: Apache-2.0
"""What a candidate offers to the likelihood: coordinates to search in, and the device they stand for."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from engine import devices, ops

from ..effects import Bound, Effect, ScalePair
from ..moments import Scene

Values = Mapping[str, np.ndarray]
"""Numbers by name, ``(sets,)`` each, or ``(sets, nodes)`` for a table."""

LARGEST_LOG = 40.0
"""Logarithms beyond this are cut in trial steps; kernels hold numbers up to 1e38."""

STEP_SCALES = ScalePair("s_up", "s_down", "dw_min", "up_down", "dw_min_dtod_log_normal")
BOUNDS = (Bound("w_max"), Bound("w_min"))

FAR = 10.0
"""Ranges of the data beyond which a bound is put that no reading speaks of."""


@dataclass(frozen=True)
class Coordinate:
    """One number to search for.

    Attributes
    ----------
    name : str
    start : float
        Start value; not 0 on a logarithmic scale.
    logarithmic : bool
        Searched on a logarithmic scale; keeps the sign of ``start``.
    """

    name: str
    start: float
    logarithmic: bool = False

    def inward(self, x: float) -> float:
        """Return the number on the scale of the search."""
        return float(np.log(abs(x))) if self.logarithmic else float(x)

    def outward(self, u: np.ndarray) -> np.ndarray:
        """Return the coordinate for numbers on the scale of the search."""
        if not self.logarithmic:
            return u
        return np.sign(self.start) * np.exp(np.clip(u, -LARGEST_LOG, LARGEST_LOG))


class Candidate(ABC):
    """A device class as something to fit; one more file here is one more class in every ranking.

    Attributes
    ----------
    stem, title : str
        Of the class in `engine.devices`.
    shown : dict of str to (str, str)
        Unit and meaning of the fitted device parameters, by their names in the class.
    effects : tuple of Effect
        How population parameters follow from the fits of several devices.
    twin_of, twin_of_several : str
        Stem of the class with the same curves for one device, and for several; blank if there is none.
    hard_bounds : bool
        The step does not vanish at the bounds, so they are coordinates only where readings stop at them (options
        ``top`` and ``bottom``).
    curved : bool
        The likelihood of one device is far from normal; in a population it is integrated over the numbers of devices.
        What the effects draw has to be as many numbers as there are coordinates.
    common : tuple of str
        Coordinates that are one number for all devices of the class.
    common_shown : tuple of str
        Parameters of the class that follow from these.
    own_noise : bool
        The noise of a step is among the coordinates; otherwise ``dw_min_std`` is added to them.
    """

    stem: ClassVar[str]
    title: ClassVar[str]
    shown: ClassVar[Mapping[str, tuple[str, str]]]
    effects: ClassVar[tuple[Effect, ...]] = (STEP_SCALES, *BOUNDS)
    twin_of: ClassVar[str] = ""
    twin_of_several: ClassVar[str] = ""
    hard_bounds: ClassVar[bool] = False
    curved: ClassVar[bool] = False
    own_noise: ClassVar[bool] = False
    common: ClassVar[tuple[str, ...]] = ()
    common_shown: ClassVar[tuple[str, ...]] = ()

    def __init__(self, scene: Scene, **options):
        self.scene = scene
        self.options = options

    @abstractmethod
    def coordinates(self) -> list[Coordinate]:
        """Return what is searched for, with start values; noise of step and reading not among it."""

    @abstractmethod
    def device_values(self, x: Values) -> dict[str, np.ndarray]:
        """Turn coordinates into parameters of the device class."""

    def natural(self, x: Values) -> dict[str, np.ndarray]:
        """Return what effects are made of: coordinates and device parameters by name."""
        return {**flat(self.device_values(x)), **x}

    def described(self) -> dict[str, tuple[str, str]]:
        """Return unit and meaning of every fitted number, entries of tables one by one."""
        values = flat(self.device_values({c.name: np.array([c.start]) for c in self.coordinates()}))
        return {n: self.shown[n.partition("[")[0]] for n in values if n.partition("[")[0] in self.shown}

    def physical_values(self, x: Values) -> dict[str, np.ndarray]:
        """Turn coordinates into parameters of the compiled header, which are those of the class."""
        return self.device_values(x)

    def level(self, x: Values) -> np.ndarray:
        """Return a typical step, ``(sets,)`` weight units: what the noise of a step is relative to."""
        return np.sqrt(np.asarray(x["s_up"]) * x["s_down"])

    def noise_levels(self, x: Values) -> dict[str, np.ndarray]:
        """Return, by coordinate of relative noise, the step that it is relative to, ``(sets,)`` weight units."""
        return {"dw_min_std": self.level(x)}

    def variants(self) -> Sequence[Candidate]:
        """Return this and its variants, of which the best is kept: noise forms, numbers of nodes."""
        return [self]

    def other_starts(self) -> Sequence[Mapping[str, float]]:
        """Return further starts, where the likelihood may have more than one maximum; the best result counts."""
        return []

    def fixed(self) -> dict[str, float | bool]:
        """Return further parameters of the class that are not fitted."""
        return {}

    def settled(self, low: float, high: float) -> Candidate:
        """Return the same with bounds that are no coordinates at the edges of the states seen."""
        return type(self)(self.scene, **{**self.options, "edges": (min(low, 0.0), max(high, 0.0))})

    @property
    def header(self) -> str:
        """Stem of the compiled header."""
        return devices.get(self.stem).header()

    def pack(self, x: Values, dw_min_std: np.ndarray) -> np.ndarray:
        """Return parameter blocks for the kernels, ``(sets, n_params)`` float32."""
        schema = ops.schema(self.header)
        values = {**self.fixed(), **self.physical_values(x), "dw_min_std": dw_min_std}
        sets = np.size(dw_min_std)
        block = np.tile(_template(self.header), (sets, 1))
        for name, value in values.items():
            if name in schema["params"]:
                block[:, schema["params"].index(name)] = value
        tables = []
        for name in schema["tables"]:
            table = np.asarray(values[name], float)
            tables += [np.full((sets, 1), table.shape[-1]), np.broadcast_to(table, (sets, table.shape[-1]))]
        return np.concatenate([block, *tables], axis=1).astype(np.float32)


def flat(values: Values) -> dict[str, np.ndarray]:
    """Return values with every entry of a table under a name of its own, ``piecewise_up[3]``."""
    found = {}
    for name, value in values.items():
        if np.ndim(value) < 2:
            found[name] = value
        else:
            found |= {f"{name}[{k}]": value[..., k] for k in range(np.shape(value)[-1])}
    return found


@functools.cache
def _template(header: str) -> np.ndarray:
    """Return the default device without spreads as numbers in compiled order, ``(n_params,)``; not to be changed."""
    plain = devices.get(header)().nominal().pack()[: len(ops.schema(header)["params"])]
    return plain.astype(float)


def step_start(scene: Scene) -> list[Coordinate]:
    """Return the step scales at ``w = 0``."""
    return [Coordinate("s_up", scene.lines[1][0], True), Coordinate("s_down", scene.lines[-1][0], True)]


def step_values(up: np.ndarray, down: np.ndarray) -> dict[str, np.ndarray]:
    """Return ``dw_min`` and ``up_down`` of two step scales: only the weaker direction is reduced."""
    up, down = np.asarray(up, float), np.asarray(down, float)
    larger = np.maximum(up, down)
    with np.errstate(all="ignore"):  # a trial step may vanish or run away
        return {"dw_min": larger, "up_down": np.where(up >= down, 1 - down / larger, up / larger - 1)}


def bound_start(scene: Scene, options: Mapping[str, object]) -> list[Coordinate]:
    """Return the hard bounds that the options ask for."""
    asked = {"top": ("w_max", scene.high), "bottom": ("w_min", scene.low)}
    return [Coordinate(name, start, True) for option, (name, start) in asked.items() if options.get(option)]


def bound_values(candidate: Candidate, x: Values) -> dict[str, np.ndarray]:
    """Return both bounds; one that is no coordinate is out of reach, or at the edge of what was seen once settled."""
    scene = candidate.scene
    far = FAR * max(scene.span, abs(scene.low), abs(scene.high))
    low, high = candidate.options.get("edges", (-far, far))
    return {"w_max": np.asarray(x.get("w_max", high), float), "w_min": np.asarray(x.get("w_min", low), float)}

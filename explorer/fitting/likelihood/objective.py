# SPDX-License-Identifier: Apache-2.0
"""The log likelihood of one device as a function of the numbers that are searched for, and its derivatives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from engine.likelihood import Filtered, filtered

from .candidates.base import Candidate, Coordinate
from .moments import SMALLEST, Scene
from .observations import Observed

STEP = 0.02
"""Half-width of central differences for slopes, in units of the search scale (about standard errors)."""

BEND = 0.25
"""The same for second derivatives, which lose more digits to the kernels' single precision."""

WORST = -1e300
"""Stands for a log likelihood that is not finite: a trial beyond what the numbers hold."""


def noise_coordinates(device: Observed, scene: Scene, candidate: Candidate) -> list[Coordinate]:
    """Return the noise that is searched for: of a step (relative), of a write, and of a read where reads repeat."""
    found = [] if candidate.own_noise else [Coordinate("dw_min_std", scene.relative_noise, True)]
    start = scene.read_std
    if device.repeated:
        r = device.readings
        free = (r.reads - 1)[r.reads > 1].sum()
        read = max(np.sqrt(r.squares.sum() / free), SMALLEST * scene.span)
        return [*found, Coordinate("write_std", start, True), Coordinate("read_std", float(read), True)]
    return [*found, Coordinate("write_std", start, True)]


@dataclass(frozen=True, eq=False)
class Objective:
    """Log likelihood over the search scale.

    Attributes
    ----------
    candidate : Candidate
    device : Observed
    coordinates : list of Coordinate
        Free ones, then held ones are not among them.
    held : dict of str to float
        Coordinates at fixed values.
    """

    candidate: Candidate
    device: Observed
    coordinates: list[Coordinate]
    held: Mapping[str, float]

    @classmethod
    def of(cls, candidate: Candidate, device: Observed, held: Mapping[str, float] | None = None) -> Objective:
        """Return the objective with all coordinates free but those in ``held``."""
        every = candidate.coordinates() + noise_coordinates(device, candidate.scene, candidate)
        held = dict(held or {})
        return cls(candidate, device, [c for c in every if c.name not in held], held)

    @property
    def names(self) -> list[str]:
        """Names of the free coordinates."""
        return [c.name for c in self.coordinates]

    @cached_property
    def floor(self) -> float:
        """Least standard deviation of a reading, weight units."""
        return SMALLEST * self.candidate.scene.span

    def start(self) -> np.ndarray:
        """Return the start values on the search scale, ``(coordinates,)``."""
        return np.array([c.inward(c.start) for c in self.coordinates])

    def outward(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Return all coordinates by name, ``(sets,)`` each, for ``u (sets, coordinates)``."""
        u = np.atleast_2d(u)
        free = {c.name: c.outward(u[:, i]) for i, c in enumerate(self.coordinates)}
        return {**free, **{n: np.full(u.shape[0], v) for n, v in self.held.items()}}

    def filtered(self, u: np.ndarray, device: Observed | None = None, **wanted: bool) -> Filtered:
        """Run the filter for ``u (sets, coordinates)``."""
        x = self.outward(u)
        sets = np.atleast_2d(u).shape[0]
        step_noise = np.ones(sets) if self.candidate.own_noise else x["dw_min_std"]
        with np.errstate(over="ignore"):
            params = np.nan_to_num(self.candidate.pack(x, step_noise), nan=0.0, posinf=3e38, neginf=-3e38)
            write = x["write_std"] ** 2 + self.floor**2
            read = x["read_std"] ** 2 if "read_std" in x else np.zeros(sets)
        readings = (device or self.device).readings
        return filtered(self.candidate.header, params, write, read, readings, **wanted)

    def values(self, u: np.ndarray) -> np.ndarray:
        """Return the log likelihood, ``(sets,)``."""
        found = self.filtered(u).log_likelihood
        return np.where(np.isfinite(found), found, WORST)

    def slopes(self, u: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return slope and expected information, both per ``scale``, by central differences.

        The expected information is that of the innovations taken as normal,
        ``sum (dv dv' / S + dS dS' / (2 S^2))``: from first derivatives alone, and never negative.
        """
        n = u.size
        moves = np.concatenate([np.eye(n), -np.eye(n)]) * STEP * scale
        found = self.filtered(u + moves, innovations=True)
        ll = np.where(np.isfinite(found.log_likelihood), found.log_likelihood, WORST)
        slope = (ll[:n] - ll[n:]) / (2 * STEP)
        rows = (self.device.readings.counted == 1) & np.isfinite(found.innovation[0])
        v, s = found.innovation[:, rows], found.variance[:, rows]
        middle = 0.5 * (s[:n] + s[n:])
        dv, ds = (v[:n] - v[n:]) / (2 * STEP), (s[:n] - s[n:]) / (2 * STEP)
        a, b = dv / np.sqrt(middle), ds / middle
        return slope, np.nan_to_num(a @ a.T + 0.5 * b @ b.T)

    def bend(self, u: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Return the observed information, minus the second derivatives per ``scale``, ``(coordinates, same)``."""
        return self._bend_along(u, np.eye(u.size) * scale)

    def bend_of_errors(self, u: np.ndarray, scale: np.ndarray, weakest: float) -> np.ndarray:
        """Return the same from steps along the axes of the expected information, each of one standard error there.

        Where coordinates go together, steps of one at a time are too short for the direction that is known worst: the
        kinks of steps that end at zero would then pass for information.
        """
        root, axes = np.linalg.eigh(self.slopes(u, scale)[1])
        long = np.sqrt(np.maximum(root, weakest))
        back = axes * long
        return back @ self._bend_along(u, (axes / long).T * scale) @ back.T

    def _bend_along(self, u: np.ndarray, moves_by_one: np.ndarray) -> np.ndarray:
        n, step = u.size, BEND * moves_by_one
        pairs = [(i, j) for i in range(n) for j in range(i)]
        moves = [u, *(u + s for s in step), *(u - s for s in step)]
        moves += [u + step[i] + step[j] for i, j in pairs] + [u - step[i] - step[j] for i, j in pairs]
        ll = self.values(np.array(moves))
        middle, up, down = ll[0], ll[1 : n + 1], ll[n + 1 : 2 * n + 1]
        both = ll[2 * n + 1 :].reshape(2, -1).sum(0)
        found = np.diag(2 * middle - up - down)
        for (i, j), sides in zip(pairs, both, strict=True):
            found[i, j] = found[j, i] = -0.5 * (sides + 2 * middle - up[i] - down[i] - up[j] - down[j])
        return found / BEND**2

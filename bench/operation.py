# SPDX-License-Identifier: Apache-2.0
"""What an operation is, and how a timed one alternates with the peer and with torch."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from bench.agreement import agreement
from bench.cases import Case, Rows
from bench.meters import Clocked, calls_for, clock, spread
from bench.peer import Peer, PeerJob, PeerLacks
from engine import devices, presets
from engine.devices import Device

# Threads of a parallel region spin for a while before they sleep; the other side must not pay for that.
PAUSE_S = 0.005
SHORTEST_S = 0.005


class WrongAnswer(RuntimeError):
    """An operation gives another answer than the known one; its times are worth nothing."""


class Operation(ABC):
    """One thing to measure, on one case; a module of `bench.operations` each."""

    rows: ClassVar[Rows]

    def __init__(self, case: Case):
        self.case = case

    @classmethod  # noqa: B027 (an operation whose measurement is a comparison has nothing to add)
    def verify(cls) -> None:
        """Compare with answers that are known without a peer.

        Raises
        ------
        WrongAnswer
            They differ.
        """

    @abstractmethod
    def measure(self, peer: Peer | None, repeats: int) -> dict[str, Any]:
        """Return what this case adds to its record."""


class TimedOperation(Operation):
    """An operation that is timed, its result compared with the peer's."""

    repeatable: ClassVar[bool] = False
    """Whether several calls, equally many on both sides, make one measurement of a short operation."""

    @abstractmethod
    def prepare(self, repetition: int) -> None:
        """Bring everything into the state before the timed call, caches warm."""

    @abstractmethod
    def call(self) -> None:
        """Do what is timed."""

    @abstractmethod
    def result(self) -> np.ndarray:
        """Return what the last call did."""

    @abstractmethod
    def directions(self) -> Mapping[str, np.ndarray]:
        """Return along what the mean results of both sides are compared, by name."""

    @abstractmethod
    def peer_job(self) -> PeerJob:
        """Return the same for the peer."""

    def floor(self) -> Callable[[], object] | None:
        """Return the plain floating-point counterpart in torch, or None."""
        return None

    def facts(self) -> dict[str, Any]:
        """Return what else the record should hold."""
        return {}

    def measure(self, peer: Peer | None, repeats: int) -> dict[str, Any]:
        """Run all sides in turn, ``repeats`` times; return times, ratios with their spread, and the agreement."""
        self.prepare(0)
        calls = calls_for(self.call, SHORTEST_S) if self.repeatable else 1
        peer, lacking = self._opened(peer, calls)
        floor = self.floor()
        number = calls_for(floor, SHORTEST_S) if floor else 0
        clocked: dict[str, list[Clocked]] = {"ours": [], "peer": [], "torch": []}
        results: dict[str, list[np.ndarray]] = {"ours": [], "peer": []}
        for repetition in range(repeats):
            self.prepare(repetition)
            time.sleep(PAUSE_S)
            clocked["ours"].append(clock(self.call, calls))
            results["ours"].append(self.result())
            if peer:
                took, result = peer.run()
                clocked["peer"].append(took)
                results["peer"].append(result)
            if floor:
                time.sleep(PAUSE_S)
                clocked["torch"].append(clock(floor, number))
        record = {"repeats": repeats, "calls": calls, **times(clocked), **self.facts(), "peer_lacks": lacking}
        return record | self._compared(results)

    def _opened(self, peer: Peer | None, calls: int) -> tuple[Peer | None, str | None]:
        if peer is None:
            return None, None
        try:
            job = self.peer_job()
            job.settings["calls"] = calls
            peer.open(job)
        except PeerLacks as problem:
            return None, str(problem)
        return peer, None

    def _compared(self, results: Mapping[str, Sequence[np.ndarray]]) -> dict[str, Any]:
        if not results["peer"]:
            return {"mean_agrees": None, "variance_agrees": None}
        return agreement(results["ours"], results["peer"], self.directions())


def times(clocked: Mapping[str, Sequence[Clocked]]) -> dict[str, float | None]:
    """Return medians and extremes of each side's times, and of how many times longer than we the others take."""
    record: dict[str, float | None] = {}
    ours = clocked["ours"]
    for side, series in clocked.items():
        walls = [one.wall_s for one in series]
        low, middle, high = spread(walls) if series else (None,) * 3
        record |= {f"{side}_s": middle, f"{side}_min_s": low, f"{side}_max_s": high}
        record[f"{side}_cpu_s"] = spread([one.cpu_s for one in series])[1] if series else None
    for side in ("peer", "torch"):
        pairs = list(zip(clocked[side], ours, strict=bool(clocked[side])))
        low, middle, high = spread([other.wall_s / one.wall_s for other, one in pairs]) if pairs else (None,) * 3
        record |= {f"ratio_{side}": middle, f"ratio_{side}_min": low, f"ratio_{side}_max": high}
        cpu = [other.cpu_s / one.cpu_s for other, one in pairs if one.cpu_s > 0]
        record[f"ratio_{side}_cpu"] = spread(cpu)[1] if cpu else None
    return record


def device_of(name: str) -> Device:
    """Return a device class's default, or a preset, with the peer's habits where there is a choice.

    Raises
    ------
    ParameterError
        Neither a device nor a preset is called so.
    """
    device = devices.get(name)() if name in devices.names() else presets.load(name)
    return device.copy(peer_compat=True) if "peer_compat" in device.fields() else device


def generator(repetition: int = 0) -> torch.Generator:
    """Return the generator that inputs are drawn from; the same for every case."""
    return torch.Generator().manual_seed(20160101 + repetition)


def signed(shape: Sequence[int], source: torch.Generator) -> torch.Tensor:
    """Return numbers uniform in -1 .. 1."""
    return 2 * torch.rand(*shape, generator=source) - 1


def start_weights(device: Device, shape: Sequence[int], source: torch.Generator) -> torch.Tensor:
    """Return weights uniform over the middle half of the device's nominal range."""
    low, high = device.range
    if not np.isfinite(high - low):
        low, high = -1.0, 1.0
    return (low + high) / 2 + (high - low) / 4 * signed(shape, source)

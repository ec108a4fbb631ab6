# SPDX-License-Identifier: Apache-2.0
"""A product as a chip's circuits make it: slices, encoding, stuck devices, wires, converters, digital processing.

docs/physics/circuit.md, 8. Plain numpy in double precision; everything random is a function of the seed. Every part is
off by default, and the product is then exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import ArrayLike

from engine.errors import ParameterError, say
from engine.quantity import Choice, Flag, Model, Quantity
from engine.rng import derive_seed
from engine.tiles import faults as stuck
from engine.tiles import irdrop, nmpu
from engine.tiles.arrays import real
from engine.tiles.converters import Converter
from engine.tiles.encodings import DifferentialPair, Encoding
from engine.tiles.slicing import Slicing
from engine.tiles.wires import WireModel

PARTS = ("states", "slicing", "faults", "wires", "converter", "nmpu")


class CircuitOptions(Model):
    """What belongs to no part alone."""

    # fmt: off
    x_max = Quantity(1.0, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(0.1, 4), unit="in",
                     group="Inputs", source="assumed: normalised inputs", doc="Input that the read voltage stands for.")
    subtract = Choice("analog", ("analog", "digital"), group="Converters", source="assumed",
                      doc="Currents of a pair, or of a reference, are subtracted before the converters or after.")
    repair = Choice("none", ("none", "partner", "placement"), group="Faults", source="assumed (off)",
                    doc="Stuck devices are made good by their partners, and outputs put on better columns.")
    spares = Quantity(0, bounds=(0, None), softbounds=(0, 32), integer=True, unit="columns", group="Faults",
                      source="assumed", doc="Columns that an array has beyond its outputs.")
    out_step = Quantity(0.1, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(0.01, 1), log=True,
                        unit="out", group="Processing", source="assumed",
                        doc="What one output code of the digital processing stands for.")
    fit_shift = Flag(True, group="Processing", source="assumed",
                     doc="Scales and offsets are stored as finely as their bits allow; or else with the unit's shift.")
    # fmt: on


@dataclass
class Circuit:
    """The parts of an array's circuits.

    Parameters
    ----------
    encoding : Encoding
    slicing : Slicing
    faults : StuckFaults
    wires : WireModel
    converter : Converter or None
        Its ``full_scale`` is a product of weights and inputs of one slice and one phase. None does not convert.
    nmpu : Nmpu or None
        Needs a converter.
    options : CircuitOptions
    """

    encoding: Encoding = field(default_factory=DifferentialPair)
    slicing: Slicing = field(default_factory=Slicing)
    faults: stuck.StuckFaults = field(default_factory=stuck.StuckFaults)
    wires: WireModel = field(default_factory=WireModel)
    converter: Converter | None = None
    nmpu: nmpu.Nmpu | None = None
    options: CircuitOptions = field(default_factory=CircuitOptions)

    def __post_init__(self) -> None:
        for name, cls, optional in _KINDS:
            part = getattr(self, name)
            if not isinstance(part, cls) and not (optional and part is None):
                allowed = f"an instance of {cls.__name__}" + (", None" if optional else "")
                raise ParameterError(say(f"Circuit.{name}", part, "is of another kind", allowed, "Make one."))
        pair = isinstance(self.encoding, DifferentialPair)
        if self.options.repair != "none" and not pair:
            self._refuse("options.repair", self.options.repair, "needs pairs of devices", "none", "Use a pair.")
        if self.nmpu and not self.converter:
            self._refuse("nmpu", "on", "takes codes", "None without a converter", "Give a converter.")
        if getattr(self.encoding, "reference", "column") != "digital":
            return
        if self.converter and self.options.subtract == "analog":
            remedy = "Set it to digital, or use a reference column."
            self._refuse("options.subtract", "analog", "does not fit a digital reference", "digital", remedy)
        if self.nmpu:
            remedy = "Use a reference column."
            self._refuse("encoding.reference", "digital", "adds numbers that are no codes", "column", remedy)

    def _refuse(self, name: str, value: str, rule: str, allowed: str, remedy: str) -> None:
        raise ParameterError(say(f"Circuit.{name}", value, rule, allowed, remedy))

    def without(self, *parts: str) -> Circuit:
        """Return the circuit with some of `PARTS` ideal."""
        for part in parts:
            if part not in PARTS:
                self._refuse("without", part, "is not a part", ", ".join(PARTS), "Choose among these.")
        ideal = {"slicing": Slicing(), "faults": stuck.StuckFaults(), "converter": None, "nmpu": None}
        changes = {part: ideal[part] for part in parts if part in ideal}
        if "states" in parts:
            changes["encoding"] = self.encoding.copy(states=0)
        if "wires" in parts:
            changes["wires"] = self.wires.copy(kind="none")
        if "converter" in parts:
            changes["nmpu"] = None
        return replace(self, **changes)

    def only(self, *parts: str) -> Circuit:
        """Return the circuit with all of `PARTS` ideal but some."""
        self.without(*parts)
        return self.without(*(part for part in PARTS if part not in parts))

    def copy(self) -> Circuit:
        """Return an independent copy."""
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        return Circuit(**{name: part.copy() if part is not None else None for name, part in parts.items()})


_KINDS = (
    ("encoding", Encoding, False),
    ("slicing", Slicing, False),
    ("faults", stuck.StuckFaults, False),
    ("wires", WireModel, False),
    ("converter", Converter, True),
    ("nmpu", nmpu.Nmpu, True),
    ("options", CircuitOptions, False),
)


@dataclass
class Slice:
    """One slice of the weights on its arrays.

    Attributes
    ----------
    arrays : list of numpy.ndarray
        Conductances that the devices have, ``(lines, in)`` each, siemens.
    seen : list
        The same with the wires in them, or None where wires are computed for each input.
    place : numpy.ndarray
        ``(out,)``, the line of each output.
    faults : list of FaultMap
        Of each array.
    """

    arrays: list[np.ndarray]
    seen: list[np.ndarray | None]
    place: np.ndarray
    faults: list[stuck.FaultMap]


class CircuitArray:
    """A weight matrix on a chip.

    Parameters
    ----------
    weights : array_like
        ``(out, in)``, weight units, at most the encoding's w_max in magnitude.
    circuit : Circuit
    bias : array_like or None
        ``(out,)``, added by the digital processing, weight times input units.
    seed : int
        Of the chip and of its noise.

    Raises
    ------
    ParameterError
        A weight out of range; scales or bias that do not fit the digital processing.

    Examples
    --------
    >>> from engine.tiles.converters import SarConverter
    >>> circuit = Circuit(converter=SarConverter(bits=6, full_scale=1.0))
    >>> CircuitArray([[0.5, -0.25]], circuit).product([[1.0, 0.5]]).round(3)
    array([[0.387]])
    """

    def __init__(
        self, weights: ArrayLike, circuit: Circuit | None = None, *, bias: ArrayLike | None = None, seed: int = 0
    ) -> None:
        self.circuit = (circuit or Circuit()).copy()
        self.weights = real(weights, "weights", {"out": None, "in": None})
        out = len(self.weights)
        self.bias = np.zeros(out) if bias is None else real(bias, "bias", {"out": out})
        self.seed = derive_seed(seed, "array")
        parts, self.factors = self.circuit.slicing.of_weights(self.weights, self.circuit.encoding.w_max)
        self.slices = [self._built(part, k) for k, part in enumerate(parts)]
        self._unit, self._stored = self._processing() if self.circuit.nmpu else (None, None)

    def __call__(self, inputs: ArrayLike, *, first: int = 0) -> np.ndarray:
        """Return `processed` where the circuit has digital processing, else `product`."""
        return (self.processed if self.circuit.nmpu else self.product)(inputs, first=first)

    def product(self, inputs: ArrayLike, *, first: int = 0) -> np.ndarray:
        """Return the product ``(batch, out)``, weight times input units, before digital processing.

        Parameters
        ----------
        inputs : array_like
            ``(batch, in)``, at most x_max in magnitude.
        first : int
            Number of the first vector in the life of the array, for the converters' noise.
        """
        total = 0.0
        phases, counts = self._phases(inputs)
        for k, factor in enumerate(self.factors):
            total = total + factor * np.tensordot(counts, self._converted(k, phases, first), 1)
        return total

    def codes(self, inputs: ArrayLike, *, first: int = 0) -> np.ndarray:
        """Return the converters' codes, slices and phases shifted and added, int64 ``(batch, out)``."""
        step = self._code_step()
        return np.rint(self.product(inputs, first=first) / step).astype(np.int64)

    def processed(self, inputs: ArrayLike, *, first: int = 0) -> np.ndarray:
        """Return the outputs of the digital processing ``(batch, out)``, weight times input units."""
        if not self._unit:
            raise ParameterError(say("Circuit.nmpu", None, "is off", "a Nmpu", "Use product, or give one."))
        return self._unit.run(self.codes(inputs, first=first), self._stored) * self.circuit.options.out_step

    def ideal(self, inputs: ArrayLike) -> np.ndarray:
        """Return the exact product, ``(batch, out)``; with digital processing its bias and a ReLU too."""
        y = real(inputs, "inputs", {"batch": None, "in": self.weights.shape[1]}) @ self.weights.T
        if not self.circuit.nmpu:
            return y
        return np.maximum(y + self.bias, 0) if self.circuit.nmpu.activation == "relu" else y + self.bias

    def report(self, inputs: ArrayLike, *, first: int = 0) -> dict[str, float]:
        """Return how far the outputs are from the exact ones, over all vectors and outputs.

        Returns
        -------
        dict
            ``relative_error`` (root mean square error over root mean square), ``snr`` (dB), ``slope`` (least squares
            of outputs on exact ones), ``worst`` (largest error, weight times input units), ``clipped`` (share of
            conversions beyond the range), ``stuck`` (share of devices).
        """
        y, exact = self(inputs, first=first), self.ideal(inputs)
        error, size = np.sqrt(((y - exact) ** 2).mean()), np.sqrt((exact**2).mean())
        with np.errstate(divide="ignore"):
            snr = float(20 * np.log10(size / error)) if size else 0.0
        return {
            "relative_error": float(error / size) if size else float(error > 0),
            "snr": snr,
            "slope": float((y * exact).sum() / (exact**2).sum()) if size else 1.0,
            "worst": float(np.abs(y - exact).max()),
            "clipped": self._clipped(inputs),
            "stuck": float(np.mean([f.stuck.mean() for s in self.slices for f in s.faults])),
        }

    def wires(self, inputs: ArrayLike, *, slice_number: int = 0, array: int = 0) -> irdrop.Solution:
        """Return currents and node voltages of one array for ``(batch, in)``, applied at once: for a heat map."""
        v = real(inputs, "inputs", {"batch": None, "in": self.weights.shape[1]}) / self.circuit.options.x_max
        return self.circuit.wires.solve(self.slices[slice_number].arrays[array], v)

    def _built(self, weights: np.ndarray, number: int) -> Slice:
        encoding, options = self.circuit.encoding, self.circuit.options
        out = len(weights)
        lines = np.zeros((out + int(options.spares), weights.shape[1]))
        lines[:out] = weights
        maps = [self._struck(g.shape, f"{number} {k}") for k, g in enumerate(encoding.arrays(lines))]
        place = np.arange(out)
        if options.repair == "placement":
            place = stuck.best_columns(*encoding.arrays(weights), *maps, encoding.g_min, encoding.g_max)
            lines[:] = 0.0
            lines[place] = weights
        targets = encoding.arrays(lines)
        if options.repair != "none":
            pair = stuck.Pair(*targets, *maps, encoding.g_min, encoding.g_max).repaired()
            targets = [encoding.on_states(g) for g in (pair.plus, pair.minus)]
        arrays = [m.apply(g) for m, g in zip(maps, targets, strict=True)]
        return Slice(arrays, [self.circuit.wires.effective(g) for g in arrays], place, maps)

    def _struck(self, shape: tuple[int, int], name: str) -> stuck.FaultMap:
        encoding = self.circuit.encoding
        return self.circuit.faults.draw(shape, encoding.g_min, encoding.g_max, seed=self.seed, name=name)

    def _phases(self, inputs: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        x = real(inputs, "inputs", {"batch": None, "in": self.weights.shape[1]})
        return self.circuit.slicing.of_inputs(x, self.circuit.options.x_max)

    def _currents(self, k: int, phases: np.ndarray) -> list[np.ndarray]:
        """Return what each array gives, in weight times input units: ``(phases * batch, lines)`` each."""
        v = phases.reshape(-1, phases.shape[-1])
        unit, x_max, piece = self.circuit.encoding.siemens_per_weight, self.circuit.options.x_max, self.slices[k]
        solve = self.circuit.wires.solve
        return [
            (v @ seen.T if seen is not None else x_max * solve(g, v / x_max, voltages=False).currents) / unit
            for g, seen in zip(piece.arrays, piece.seen, strict=True)
        ]

    def _before_converters(self, k: int, phases: np.ndarray) -> list[np.ndarray]:
        """Return what the converters of a slice are given, ``(phases * batch, columns)`` for each set of them."""
        currents = self._currents(k, phases)
        return [self._difference(currents, phases)] if self.circuit.options.subtract == "analog" else currents

    def _difference(self, currents: list[np.ndarray], phases: np.ndarray) -> np.ndarray:
        sums = phases.sum(-1).reshape(-1, 1) / self.circuit.encoding.siemens_per_weight
        return self.circuit.encoding.difference(currents, sums)

    def _converted(self, k: int, phases: np.ndarray, first: int) -> np.ndarray:
        """Return the products of one slice ``(phases, batch, out)`` after its converters."""
        parts = self._before_converters(k, phases)
        if self.circuit.converter:
            parts = [self._through_converters(v, f"{k} {n}", phases, first) for n, v in enumerate(parts)]
        y = parts[0] if self.circuit.options.subtract == "analog" else self._difference(parts, phases)
        return y[:, self.slices[k].place].reshape(*phases.shape[:2], len(self.weights))

    def _through_converters(self, values: np.ndarray, name: str, phases: np.ndarray, first: int) -> np.ndarray:
        count, batch = phases.shape[:2]
        # Vectors in their order, each with its phases: noise then does not depend on how a batch is split.
        columns = values.shape[-1]
        ordered = values.reshape(count, batch, columns).swapaxes(0, 1).reshape(count * batch, columns)
        seed = derive_seed(self.seed, f"converters {name}")
        codes = self.circuit.converter.codes(ordered, seed=seed, first=first * count)
        found = self.circuit.converter.values_of(codes)
        return found.reshape(batch, count, columns).swapaxes(0, 1).reshape(values.shape)

    def _clipped(self, inputs: ArrayLike) -> float:
        if not self.circuit.converter:
            return 0.0
        phases, _ = self._phases(inputs)
        parts = [v for k in range(len(self.slices)) for v in self._before_converters(k, phases)]
        return float(np.mean([self.circuit.converter.clipped(v).mean() for v in parts]))

    def _code_step(self) -> float:
        """Return what one code of the shifted and added ones stands for, weight times input units."""
        if not self.circuit.converter:
            raise ParameterError(say("Circuit.converter", None, "is off", "a Converter", "Give one for codes."))
        _, counts = self._phases(np.zeros((0, self.weights.shape[1])))
        return float(self.factors[0] * counts[0] * self.circuit.converter.step)

    def _processing(self) -> tuple[nmpu.Nmpu, nmpu.Stored]:
        """Return the digital unit, and scale and offset of each output in it."""
        unit, options = self.circuit.nmpu, self.circuit.options
        scale, offset = nmpu.fold(np.full(len(self.weights), self._code_step()), self.bias, out_step=options.out_step)
        if options.fit_shift:
            unit = unit.copy(shift=nmpu.best_shift(unit, scale, offset))
        stored = unit.store(scale[None], offset)
        if stored.limited.any():
            worst = float(max(scale.max(), np.abs(offset).max()))
            remedy = "Set fit_shift, change out_step, or take more bits."
            raise ParameterError(say("scale or offset of an output", worst, "does not fit", "see Nmpu", remedy))
        return unit, stored


def error_budget(weights: ArrayLike, circuit: Circuit, inputs: ArrayLike, *, seed: int = 0) -> dict[str, float]:
    """Return the relative error of the product with each of the parts alone, and of ``all`` together.

    Digital processing comes with its converter, and is left out where it is off.

    Examples
    --------
    >>> from engine.tiles.converters import IdealConverter
    >>> circuit = Circuit(converter=IdealConverter(bits=4), wires=WireModel(kind="ladder"))
    >>> {part: round(e, 4) for part, e in error_budget([[0.5]], circuit, [[0.9]]).items()}
    {'states': 0.0, 'slicing': 0.0, 'faults': 0.0, 'wires': 0.0, 'converter': 0.0476, 'all': 0.0476}
    """
    parts = [p for p in PARTS if p != "nmpu" or circuit.nmpu]
    variants = {p: circuit.only(*(("converter", "nmpu") if p == "nmpu" else (p,))) for p in parts} | {"all": circuit}
    return {p: CircuitArray(weights, c, seed=seed).report(inputs)["relative_error"] for p, c in variants.items()}

# SPDX-License-Identifier: Apache-2.0
"""What the periphery of a tile does to a product: outputs, codes, clipping, signal-to-noise ratio."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import param
import torch
import xarray as xr

from engine.devices import Device
from engine.devices.ideal import Ideal
from engine.errors import ParameterError, say
from engine.quantity import Choice, Quantity
from engine.rng import derive_seed
from engine.tiles import IOParameters, Tile
from engine.tiles.estimate import error_powers, signal_power
from engine.tiles.observe import Observation, input_bits, observe
from engine.tiles.reference import Draws
from explorer.experiments.base import Experiment, Progress
from explorer.experiments.threads import torch_threads

_MOST_NUMBERS = 200_000_000  # weights, inputs or outputs
_CHUNK_WORK = 2**28  # multiplications between two reports of progress: a fraction of a second
_SERIAL_WORK = 2**26  # multiplications below which threads on a busy machine wait for each other longer than they work
_ENOB_OFFSET_DB, _ENOB_STEP_DB = 1.76, 6.02  # of a full-scale sine through b bits: 6.02 b + 1.76 dB


class MvmError(Experiment):
    """Multiply test vectors with a tile's weights, in analog and exactly, and compare.

    The exact product takes the weights as the tile has stored them, so that the difference is the periphery's alone.

    Examples
    --------
    >>> ds = MvmError(out_features=64, in_features=64, n_vectors=20).run()
    >>> ds.analog.dims, ds.analog.attrs["units"], ds.snr.attrs["units"]
    (('vector', 'out'), 'out', 'dB')
    """

    # fmt: off
    out_features = Quantity(256, bounds=(1, 65_536), softbounds=(1, 1024), integer=True, unit="rows", group="Tile",
                            source="assumed", doc="Rows of the tile: outputs. A given matrix brings its own.")
    in_features = Quantity(256, bounds=(1, 65_536), softbounds=(1, 1024), integer=True, unit="columns", group="Tile",
                           source="assumed", doc="Columns of the tile: inputs. A given matrix brings its own.")
    weights = Choice("gaussian", ["gaussian", "uniform", "matrix"], group="Tile", source="assumed",
                     doc="Distribution of the weights: gaussian, uniform, or a matrix of your own.")
    weight_std = Quantity(0.2, bounds=(0, None), softbounds=(0.01, 1), unit="w", group="Tile", source="assumed",
                          doc="Standard deviation of gaussian weights.")
    weight_range = Quantity(1.0, bounds=(0, None), softbounds=(0.01, 1), unit="w", group="Tile", source="assumed",
                            doc="Uniform weights lie between plus and minus this.")
    inputs = Choice("gaussian", ["gaussian", "uniform", "sparse", "one_hot"], group="Test vectors", source="assumed",
                    doc="Distribution of the inputs: standard normal, uniform within +-1, standard normal with zeros, "
                        "or a single 1 in each vector.")
    density = Quantity(0.1, bounds=(0, 1), softbounds=(0, 1), group="Test vectors", source="assumed",
                       doc="Share of the inputs that are not zero, where they are sparse.")
    n_vectors = Quantity(64, bounds=(1, 1_000_000), softbounds=(1, 512), integer=True, unit="vectors",
                         group="Test vectors", source="assumed", doc="Number of test vectors.")
    seed = Quantity(0, bounds=(0, 2**53 - 1), softbounds=(0, 9999), integer=True, group="Test vectors",
                    source="assumed", doc="Seed of weights, inputs and noise.")
    matrix = param.List([], item_type=list, doc="The matrix of your own, rows of numbers (outputs, inputs), "
                                                "weight units.")
    device = param.ClassSelector(class_=Device, default=Ideal(), instantiate=True,
                                 doc="The device that stores the weights; its bounds and its write noise apply.")
    forward = param.ClassSelector(class_=IOParameters, default=IOParameters(), instantiate=True,
                                  doc="Periphery of the product.")
    # fmt: on

    def check(self) -> None:
        """Raise `ParameterError` for a matrix that is none, or more numbers than memory takes."""
        super().check()
        if self.weights == "matrix":
            _checked_matrix(self.matrix)
        rows, columns = self.shape
        largest = max(rows * columns, self.n_vectors * rows, self.n_vectors * columns)
        if largest > _MOST_NUMBERS:
            remedy = "Take fewer vectors or a smaller tile."
            raise ParameterError(
                say("MvmError.n_vectors", self.n_vectors, f"would make an array of {largest} numbers",
                    f"{_MOST_NUMBERS} at most", remedy, unit="vectors")
            )  # fmt: skip

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the tile, those of the matrix where one is given."""
        if self.weights == "matrix":
            return len(self.matrix), len(self.matrix[0])
        return int(self.out_features), int(self.in_features)

    def target_weights(self) -> torch.Tensor:
        """Return the weights that are written to the tile, ``(out, in)`` float32, weight units."""
        if self.weights == "matrix":
            return torch.tensor(self.matrix, dtype=torch.float32)
        source = np.random.default_rng(derive_seed(self.seed, "weights"))
        if self.weights == "gaussian":
            drawn = self.weight_std * source.standard_normal(self.shape, dtype=np.float32)
        else:
            drawn = self.weight_range * (2 * source.random(self.shape, dtype=np.float32) - 1)
        return torch.from_numpy(drawn.astype(np.float32, copy=False))

    def vectors(self) -> torch.Tensor:
        """Return the test vectors, ``(vector, in)`` float32, input units."""
        source = np.random.default_rng(derive_seed(self.seed, "inputs"))
        shape = int(self.n_vectors), self.shape[1]
        if self.inputs == "one_hot":
            x = np.zeros(shape, np.float32)
            x[np.arange(shape[0]), source.integers(shape[1], size=shape[0])] = 1
        elif self.inputs == "uniform":
            x = 2 * source.random(shape, dtype=np.float32) - 1
        else:
            x = source.standard_normal(shape, dtype=np.float32)
            if self.inputs == "sparse":
                x[source.random(shape) >= self.density] = 0
        return torch.from_numpy(x)

    def tile(self) -> Tile:
        """Return the tile with its weights written."""
        tile = Tile(*self.shape, self.device, self.forward, seed=derive_seed(self.seed, "tile"))
        tile.set_weights(self.target_weights())
        return tile

    def compute(self, progress: Progress) -> xr.Dataset:
        """Return outputs, codes and error of every vector, and the numbers that sum them up."""
        rows, columns = self.shape
        small = rows * columns * int(self.n_vectors) < _SERIAL_WORK
        with torch_threads(1 if small else torch.get_num_threads()):
            return self._multiplied(progress)

    def _multiplied(self, progress: Progress) -> xr.Dataset:
        tile, x = self.tile(), self.vectors()
        progress(0.1, "weights written")
        made = _Made()
        for rows in torch.split(x, max(1, _CHUNK_WORK // tile.weights.numel())):
            made.multiply(tile, self.forward, rows)
            progress(0.1 + 0.8 * made.first_step / len(x), f"{made.first_step} of {len(x)} vectors")
        y = torch.cat(made.outputs).numpy()
        ideal = (self.forward.out_scale * (x.double() @ tile.weights.double().T)).float().numpy()
        arrays = _arrays(made, x.numpy(), y, ideal) | _weights(tile.weights.numpy(), self.target_weights().numpy())
        powers = error_powers(self.forward, tile.weights, x, made.joined("scale"))
        told = _numbers(made, y, ideal, powers, signal_power(self.forward, tile.weights, x), self.forward)
        return xr.Dataset(arrays | told, _coordinates(y, x, powers))


@dataclass
class _Made:
    """The products made so far, chunk by chunk."""

    outputs: list[torch.Tensor] = field(default_factory=list)
    rounds: list[torch.Tensor] = field(default_factory=list)
    seen: list[Observation] = field(default_factory=list)
    first_step: int = 0
    average: float = 0.0

    def multiply(self, tile: Tile, io: IOParameters, x: torch.Tensor) -> None:
        if io.noise_management == "average_abs_max":
            self.average = io.moved_average(self.average, x)
        y = tile.forward(x)
        draws = Draws(tile.seed, tile.construction_seed, self.first_step, "forward")
        self.outputs.append(y)
        self.rounds.append(tile.rounds)
        self.seen.append(observe(io, x, y, tile.rounds, draws=draws, average=self.average))
        self.first_step += len(x)

    def joined(self, name: str) -> torch.Tensor:
        return torch.cat([getattr(one, name) for one in self.seen])

    def clipped_outputs(self) -> torch.Tensor | None:
        return None if any(one.output_clipped is None for one in self.seen) else self.joined("output_clipped")


def snr_db(ideal: np.ndarray, error: np.ndarray) -> float:
    """Return the power of the ideal outputs over that of the error, dB; infinite without error.

    Examples
    --------
    >>> round(snr_db(np.array([1.0, -1.0]), np.array([0.1, 0.1])), 6)
    20.0
    """
    return _decibels(_power(ideal), _power(error))


def enob(snr: float) -> float:
    """Return the bits of an ideal converter whose full-scale sine has this signal-to-noise ratio, (SNR - 1.76)/6.02.

    Examples
    --------
    >>> round(enob(61.96), 6)
    10.0
    """
    return (snr - _ENOB_OFFSET_DB) / _ENOB_STEP_DB


def _decibels(signal: float, noise: float) -> float:
    if noise == 0:
        return math.inf if signal > 0 else math.nan
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf


def _power(v: np.ndarray) -> float:
    return float(np.square(v, dtype=np.float64).mean())


def _variable(dims, values, unit: str, text: str) -> xr.Variable:
    return xr.Variable(dims, values, {"units": unit, "long_name": text})


def _arrays(made: _Made, x: np.ndarray, y: np.ndarray, ideal: np.ndarray) -> dict[str, xr.Variable]:
    inputs, outputs, clipped = ("vector", "in"), ("vector", "out"), made.clipped_outputs()
    found = {
        "x": _variable(inputs, x, "x", "Test vectors"),
        "ideal": _variable(outputs, ideal, "out", "Exact product of the stored weights"),
        "analog": _variable(outputs, y, "out", "Product that the tile gives"),
        "error": _variable(outputs, y - ideal, "out", "Analog less exact product"),
        "dac_code": _variable(inputs, made.joined("input_codes").numpy(), "1", "Code of the DAC"),
        "adc_code": _variable(outputs, made.joined("output_codes").numpy(), "1", "Code of the ADC"),
        "dac_clipped": _variable(inputs, made.joined("input_clipped").numpy(), "1", "Whether the DAC has clipped"),
        "scale": _variable("vector", made.joined("scale").numpy(), "x", "What the inputs were divided by"),
        "rounds": _variable("vector", torch.cat(made.rounds).numpy(), "1", "Products made for the vector"),
    }
    if clipped is not None:
        found["adc_clipped"] = _variable(outputs, clipped.numpy(), "1", "Whether the ADC was at or beyond its bound")
    return found


def _weights(stored: np.ndarray, target: np.ndarray) -> dict[str, xr.Variable]:
    both = ("out", "in")
    return {
        "stored_weights": _variable(both, stored.copy(), "w", "Weights as a read sees them"),
        "target_weights": _variable(both, target, "w", "Weights as they were asked for"),
    }


def _numbers(
    made: _Made, y: np.ndarray, ideal: np.ndarray, powers: dict[str, float], signal: float, io: IOParameters
) -> dict[str, xr.Variable]:
    measured, clipped = snr_db(ideal, y - ideal), made.clipped_outputs()
    predicted = _decibels(signal, sum(powers.values()))
    bits = input_bits(io, made.joined("reduction")).numpy()
    share = np.nan if clipped is None else clipped.float().mean().item()
    return {
        "snr": _variable((), measured, "dB", "Signal-to-noise ratio of the outputs"),
        "snr_predicted": _variable((), predicted, "dB", "The same, estimated without clipping and bent outputs"),
        "enob": _variable((), enob(measured), "bits", "Effective number of bits of the outputs"),
        "share_dac_clipped": _variable((), made.joined("input_clipped").float().mean().item(), "1", "Inputs clipped"),
        "share_adc_clipped": _variable((), share, "1", "Outputs clipped; not a number where it cannot be told"),
        "input_bits": _variable("vector", bits, "bits", "Effective bits of the inputs, log2(n/r)"),
        "error_power": _variable((), _power(y - ideal), "out^2", "Mean square error of the outputs"),
        "predicted_power": _variable("source", np.array(list(powers.values())), "out^2", "Estimated share of a source"),
    }


def _coordinates(y: np.ndarray, x: np.ndarray, powers: dict[str, float]) -> dict[str, xr.Variable]:
    return {
        "vector": _variable("vector", np.arange(len(x)), "1", "Test vector"),
        "in": _variable("in", np.arange(x.shape[1]), "1", "Input"),
        "out": _variable("out", np.arange(y.shape[1]), "1", "Output"),
        "source": xr.Variable("source", list(powers), {"long_name": "Source of error"}),
    }


def _checked_matrix(matrix: list) -> None:
    if not matrix or not matrix[0]:
        remedy = "Give one first (tile lab: Weights of your own)."
        raise ParameterError(say("MvmError.matrix", [], "is empty", "rows of numbers", remedy))
    for k, row in enumerate(matrix):
        if len(row) != len(matrix[0]):
            rule, allowed = "has another length than the first row", f"{len(matrix[0])} numbers in each"
            raise ParameterError(say(f"MvmError.matrix[{k}]", f"{len(row)} numbers", rule, allowed, "Complete it."))
        for j, entry in enumerate(row):
            number = isinstance(entry, int | float | np.number) and not isinstance(entry, bool)
            if not number or not np.isfinite(entry):
                where = f"MvmError.matrix[{k}][{j}]"
                raise ParameterError(say(where, entry, "is no finite number", "numbers", "Correct it.", unit="w"))

# SPDX-License-Identifier: Apache-2.0
"""A network laid out on tiles: where each tile stands, how full it is, what its periphery does to real activations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import param
import torch
import xarray as xr

from engine.devices import Device
from engine.devices.ideal import Ideal
from engine.errors import ParameterError, say
from engine.nn import convert
from engine.nn.checkpoint import analog_layers
from engine.nn.grid import Block
from engine.quantity import Choice, Quantity
from engine.rng import derive_seed
from engine.tiles import IOParameters, MappingParameters, Tile, TileConfig
from engine.tiles.observe import observe
from engine.tiles.reference import Draws
from explorer import networks
from explorer.experiments.activations import activations
from explorer.experiments.base import Experiment, Progress
from explorer.experiments.digital import trained
from explorer.experiments.mvm_error import snr_db
from explorer.experiments.threads import torch_threads

_BINS = 41
_MADE, _SEEN = 0.3, 0.6  # shares of the work until there is a network, and until its activations are there


class TileMap(Experiment):
    """Put every layer of a network trained in floating point on tiles and multiply its own activations there.

    Every tile is given what it would see in an exact network, so that errors of layers before it are not in its own.

    Examples
    --------
    >>> ds = TileMap(epochs=0, n_vectors=4, max_input_size=32, max_output_size=64).run()
    >>> ds.layer.values.tolist(), ds.columns.values.tolist()
    (['0', '0', '2', '2'], [32, 32, 32, 32])
    """

    # fmt: off
    network = Choice("mlp-digits", networks.scored_names(), group="Network", source="assumed", doc="Network and data.")
    max_input_size = Quantity(32, bounds=(0, None), softbounds=(8, 512), integer=True, unit="lines", group="Network",
                              source="assumed", doc="Most inputs of one tile; 0 sets no limit.")
    max_output_size = Quantity(32, bounds=(0, None), softbounds=(8, 512), integer=True, unit="lines", group="Network",
                               source="assumed", doc="Most outputs of one tile; 0 sets no limit.")
    weight_scaling_omega = Quantity(1.0, bounds=(0, None), softbounds=(0, 1), unit="w", group="Network",
                                    source="assumed", doc="Largest weight that a tile's are scaled to; 0 writes them "
                                                          "as they are.")
    epochs = Quantity(0, bounds=(0, 1000), softbounds=(0, 20), integer=True, unit="epochs", group="Network",
                      source="assumed",
                      doc="Digital training from initial weights before the network is put on tiles; 0 takes the "
                          "weights it comes with.")
    n_vectors = Quantity(128, bounds=(1, 10_000), softbounds=(1, 512), integer=True, unit="vectors", group="Network",
                         source="assumed", doc="Activations of test samples that each tile multiplies, at most.")
    device = param.ClassSelector(class_=Device, default=Ideal(), instantiate=True,
                                 doc="The device that stores the weights; its bounds and its write noise apply.")
    forward = param.ClassSelector(class_=IOParameters, default=IOParameters(), instantiate=True,
                                  doc="Periphery of the product.")
    # fmt: on

    def config(self) -> TileConfig:
        """Return the configuration of every tile."""
        mapping = MappingParameters(
            max_input_size=int(self.max_input_size), max_output_size=int(self.max_output_size),
            weight_scaling_omega=self.weight_scaling_omega,
        )  # fmt: skip
        return TileConfig(self.device, self.forward, mapping=mapping)

    def check(self) -> None:
        """Raise `ParameterError` for epochs of a network that is not trained here."""
        super().check()
        if self.epochs and self.network not in networks.names():
            rule = f"{self.network} is not trained here"
            raise ParameterError(
                say("TileMap.epochs", int(self.epochs), rule, "0, the weights it comes with", "Set 0.", unit="epochs")
            )

    def compute(self, progress: Progress) -> xr.Dataset:
        """Return place, size, error and histograms of each tile."""
        with torch_threads(networks.get_scored(self.network).threads):
            return self._laid_out(progress)

    def _laid_out(self, progress: Progress) -> xr.Dataset:
        count = int(self.n_vectors)
        digital = trained(
            self.network, int(self.seed), int(self.epochs), lambda done: progress(_MADE * done, "training")
        )
        progress(_MADE, "making tiles")
        model = convert(digital, self.config(), seed=derive_seed(self.seed, "tiles"))
        inputs = networks.get_scored(self.network).exam(count).inputs
        seen = activations(
            model, inputs, count, lambda done: progress(_MADE + (_SEEN - _MADE) * done, "exact activations")
        )
        layers = analog_layers(model)
        total = sum(len(layer.blocks) for layer in layers.values())
        found: list[_TileResult] = []
        for name, layer in layers.items():
            for parameter, block in layer.blocks.items():
                x = seen[name][block.span]
                found.append(_TileResult.of(name, block, layer.analog_weights[parameter].tile, x, self.forward))
                progress(_SEEN + (1 - _SEEN) * len(found) / total, f"layer {name}")
        return _dataset(found, int(self.max_output_size), int(self.max_input_size))


@dataclass
class _TileResult:
    """What one tile is and does."""

    layer: str
    block: Block
    weights: np.ndarray
    error: np.ndarray
    snr: float
    relative: float
    clipped: float
    rounds: float

    @staticmethod
    def of(layer: str, block: Block, tile: Tile, x: torch.Tensor, io: IOParameters) -> _TileResult:
        if block.bias_line:
            x = torch.cat([x, x.new_ones(len(x), 1)], 1)
        average = io.moved_average(0.0, x)
        y = tile.forward(x)
        told = observe(io, x, y, tile.rounds, draws=Draws(tile.seed, tile.construction_seed, 0, "forward"),
                       average=average)  # fmt: skip
        ideal = io.out_scale * (x.double() @ tile.weights.double().T).numpy()
        error = y.numpy() - ideal
        size = float(np.sqrt(np.mean(ideal**2)))
        clipped = np.nan if told.output_clipped is None else told.output_clipped.float().mean().item()
        relative = float(np.sqrt(np.mean(error**2))) / size if size else np.nan
        rounds = tile.rounds.float().mean().item()
        return _TileResult(layer, block, tile.weights.numpy(), error, snr_db(ideal, error), relative, clipped, rounds)


def _histograms(arrays: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return counts ``(tile, bin)`` and edges ``(tile, edge)``, each tile on its own range."""
    made = [np.histogram(a, bins=_BINS, range=_range(a)) for a in arrays]
    return np.stack([counts for counts, _ in made]), np.stack([edges for _, edges in made])


def _range(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    return (low, high) if high - low > 1e-12 * max(abs(low), abs(high)) else (low - 0.5, high + 0.5)


def _dataset(found: list[_TileResult], room_rows: int, room_columns: int) -> xr.Dataset:
    rows, columns = (np.array([r.block.size[k] for r in found]) for k in (0, 1))
    rooms = [np.array([room or used for used in sizes]) for room, sizes in ((room_rows, rows), (room_columns, columns))]
    held = np.array([r.block.crosspoints for r in found])
    weights, weight_edges = _histograms([r.weights for r in found])
    errors, error_edges = _histograms([r.error for r in found])
    data = {
        "rows": ("tile", rows, "lines", "Rows that hold weights: outputs"),
        "columns": ("tile", columns, "lines", "Columns that hold weights: inputs"),
        "room_rows": ("tile", rooms[0], "lines", "Rows of the tile"),
        "room_columns": ("tile", rooms[1], "lines", "Columns of the tile"),
        "utilisation": ("tile", held / (rooms[0] * rooms[1]), "1", "Share of crosspoints that hold weights"),
        "snr": ("tile", np.array([r.snr for r in found]), "dB", "Signal-to-noise ratio of the outputs"),
        "relative_error": ("tile", np.array([r.relative for r in found]), "1", "Rms error over rms exact output"),
        "clipped": ("tile", np.array([r.clipped for r in found]), "1", "Share of outputs clipped"),
        "mean_rounds": ("tile", np.array([r.rounds for r in found]), "1", "Products made for a vector, mean"),
        "weight_histogram": (("tile", "bin"), weights, "1", "Number of weights"),
        "weight_edges": (("tile", "edge"), weight_edges, "w", "Edges of their bins"),
        "error_histogram": (("tile", "bin"), errors, "1", "Number of outputs"),
        "error_edges": (("tile", "edge"), error_edges, "out", "Edges of their bins"),
    }
    coords = {
        "tile": np.arange(len(found)),
        "layer": ("tile", [r.layer for r in found]),
        "grid_row": ("tile", np.array([r.block.row for r in found])),
        "grid_column": ("tile", np.array([r.block.column for r in found])),
    }
    made = {name: xr.Variable(dims, v, {"units": u, "long_name": t}) for name, (dims, v, u, t) in data.items()}
    return xr.Dataset(made, coords)

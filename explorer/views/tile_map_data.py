# SPDX-License-Identifier: Apache-2.0
"""What the network's tab shows, as plain columns: made in a thread, drawn by `tile_map`."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from engine.errors import ParameterError, say
from engine.nn import Summary, summary
from engine.nn.memory import shown as shown_bytes
from explorer import networks
from explorer.experiments.digital import trained
from explorer.experiments.tile_map import TileMap
from explorer.views import theme
from explorer.views.floor_plan import Plan, plan
from explorer.views.numbers import NONE, fixed, percent

LIVE_STEPS = 2_000_000_000
"""Parameters times training samples times epochs that are trained while a page waits: a few seconds."""
MOST_TILES = 4000
"""Tiles that a page draws; each is sent with its histograms."""
COLORS = {"error": "Error of its product", "utilisation": "Utilisation"}
_FAINTEST = 0.12
HEAD = [
    ("Layer", "Path in the network"), ("Kind", "Class"), ("Parameters", "Weights and biases"),
    ("Tiles", "Number of tiles"), ("Largest", "Rows and columns of the largest"),
    ("Used", "Share of the crosspoints that hold weights"), ("Products", "Tiles times vectors, for each sample"),
    ("Memory", "Of its tiles, with this device"),
]  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What is to be drawn.

    Attributes
    ----------
    experiment : TileMap
    ds : xarray.Dataset or None
        What it has found; None where it has not run.
    """

    experiment: TileMap
    ds: xr.Dataset | None = None


@dataclass(frozen=True)
class Costed:
    """What is known of a network before anything has run.

    Attributes
    ----------
    experiment : TileMap
    rows : list
        The table of layers.
    tiles : int
        Their number.
    """

    experiment: TileMap
    rows: list[list[str]]
    tiles: int


@dataclass(frozen=True)
class Drawn:
    """What is drawn of a network.

    Attributes
    ----------
    ds : xarray.Dataset
        What the experiment found.
    tiles : dict
        Columns of the plan, one row for each tile.
    plan : Plan
    rows : list
        The table of layers.
    headline : list
        ``(label, value, unit, explanation)``.
    ends : dict
        Largest value of each colour scale.
    """

    experiment: TileMap
    ds: xr.Dataset
    tiles: dict[str, Any]
    plan: Plan
    rows: list[list[str]]
    headline: list[tuple[str, str, str, str]]
    ends: dict[str, float]

    def name(self, index: int) -> str:
        """Return what a tile is called."""
        ds = self.ds
        at = f"row {int(ds.grid_row[index])}, column {int(ds.grid_column[index])}"
        return f"Layer {ds.layer.values[index]}, {at}"

    def colors(self, by: str) -> list[str]:
        """Return the fill of each tile: the model's colour for utilisation, another one for error."""
        values = self.ds["relative_error" if by == "error" else "utilisation"].values
        share = np.clip(np.nan_to_num(values / self.ends[by]), 0, 1)
        color = theme.NOMINAL if by == "error" else theme.MODEL
        return [f"{color}{round(255 * (_FAINTEST + (1 - _FAINTEST) * s)):02X}" for s in share.tolist()]


def is_live(experiment: TileMap) -> bool:
    """Return whether a page can wait for it: a few seconds; otherwise it is a job."""
    task = networks.get_scored(experiment.network)
    if task.full_size:
        return False
    return not experiment.epochs or _training_steps(experiment.network) * experiment.epochs <= LIVE_STEPS


@functools.cache
def _training_steps(network: str) -> int:
    """Return parameters times training samples."""
    task = networks.get(network)
    return sum(p.numel() for p in task.build(0).parameters()) * len(task.data().y_train)


def lay_out(asked: Asked) -> Drawn | Costed:
    """Arrange what an experiment found, run it first if it is a short one, or tell what it would cost.

    Raises
    ------
    ParameterError
        If there are too many tiles to draw.
    PackageError
        If the network comes with a package that is not installed.
    """
    experiment = asked.experiment
    costs = _costs(experiment)
    _check_drawable(experiment, sum(len(layer.tiles) for layer in costs.layers))
    if asked.ds is not None:
        return _arranged(experiment, asked.ds, costs)
    if is_live(experiment):
        return _arranged(experiment, experiment.run(), costs)
    return Costed(experiment, _table(costs), sum(len(layer.tiles) for layer in costs.layers))


def _check_drawable(experiment: TileMap, tiles: int) -> None:
    if tiles > MOST_TILES:
        size = int(experiment.max_input_size), int(experiment.max_output_size)
        rule = f"splits {experiment.network} into {tiles} tiles, too many to draw"
        remedy = "Take larger tiles, such as 256 × 256, or run TileMap in a script."
        raise ParameterError(say("max_input_size, max_output_size", size, rule, f"at most {MOST_TILES}", remedy))


def _arranged(experiment: TileMap, ds: xr.Dataset, costs: Summary) -> Drawn:
    rows, columns = ds.room_rows.values.astype(float), ds.room_columns.values.astype(float)
    made = plan(ds.layer.values.tolist(), ds.grid_row.values, ds.grid_column.values, rows, columns)
    left, top = (np.array([getattr(p, side) for p in made.places]) for side in ("left", "top"))
    tiles = {
        "left": left, "top": top, "right": left + ds["columns"].values, "bottom": top - ds["rows"].values,
        "room_right": left + columns, "room_bottom": top - rows,
    }  # fmt: skip
    columns_drawn = {name: values.tolist() for name, values in tiles.items()}
    drawn = {
        "name": [f"{layer} [{r}, {c}]" for layer, r, c in
                 zip(ds.layer.values, ds.grid_row.values, ds.grid_column.values, strict=True)],
        "size": [f"{r} × {c}" for r, c in zip(ds["rows"].values, ds["columns"].values, strict=True)],
        "used": [f"{percent(v)} %" for v in ds.utilisation.values],
        "ratio": [f"{fixed(v)} dB" for v in ds.snr.values],
    }  # fmt: skip
    errors = ds.relative_error.values
    largest = float(np.nanmax(errors)) if np.isfinite(errors).any() else 0.0
    return Drawn(experiment, ds, columns_drawn | drawn, made, _table(costs), _headline(ds, costs),
                 {"utilisation": 1.0, "error": largest or 1.0})  # fmt: skip


def _costs(experiment: TileMap) -> Summary:
    task = networks.get_scored(experiment.network)
    model = trained(experiment.network, 0, 0) if experiment.network not in networks.names() else task.build(0)
    return summary(model, tuple(x[:1] for x in task.probe()), experiment.config())


def _table(costs: Summary) -> list[list[str]]:
    rows = []
    for layer in costs.layers:
        largest = max(layer.tiles, key=math.prod, default=None)
        rows.append([
            layer.name, layer.kind, f"{layer.parameters:,}".replace(",", "\u202f"), str(len(layer.tiles) or NONE),
            NONE if largest is None else f"{largest[0]} × {largest[1]}",
            NONE if layer.utilisation is None else f"{percent(layer.utilisation)} %",
            str(layer.mvms or NONE), shown_bytes(layer.tile_bytes) if layer.tiles else NONE,
        ])  # fmt: skip
    return rows


def _headline(ds: xr.Dataset, costs: Summary) -> list[tuple[str, str, str, str]]:
    used = float((ds["rows"] * ds["columns"]).sum() / (ds.room_rows * ds.room_columns).sum())
    worst = int(np.nan_to_num(ds.relative_error.values).argmax())
    return [
        ("Tiles", str(ds.sizes["tile"]), "1", "Arrays that hold the network's weights."),
        ("Used", percent(used), "%", "Share of all crosspoints that hold weights."),
        ("Products / sample", str(sum(layer.mvms for layer in costs.layers)), "1", "Tiles times vectors, forwards."),
        ("Worst tile", fixed(float(ds.snr[worst])), "dB",
         f"Lowest signal-to-noise ratio of a product on real activations: layer {ds.layer.values[worst]}."),
        ("Clipped out", percent(float(ds.clipped.max())), "%", "Largest share of clipped outputs of a tile."),
        ("Rounds", fixed(float(ds.mean_rounds.max()), 2), "mean", "Most products for a vector of a tile."),
    ]  # fmt: skip

# SPDX-License-Identifier: Apache-2.0
"""What the network's tab shows, as plain columns: made in a thread, drawn by `tile_map`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from engine.errors import ParameterError, say
from engine.nn import Summary, summary
from engine.nn.memory import shown as shown_bytes
from explorer import networks
from explorer.experiments.tile_map import TileMap
from explorer.views import theme
from explorer.views.floor_plan import Plan, plan
from explorer.views.numbers import NONE, fixed, percent

LIVE_STEPS = 2_000_000_000
"""Parameters times training samples times epochs that are trained while a page waits: a few seconds."""
COLORS = {"error": "Error of its product", "utilisation": "Utilisation"}
_FAINTEST = 0.12
HEAD = [
    ("Layer", "Path in the network"), ("Kind", "Class"), ("Parameters", "Weights and biases"),
    ("Tiles", "Number of tiles"), ("Largest", "Rows and columns of the largest"),
    ("Used", "Share of the crosspoints that hold weights"), ("Products", "Tiles times vectors, for each sample"),
    ("Memory", "Of its tiles, with this device"),
]  # fmt: skip


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


def check_live_size(experiment: TileMap) -> None:
    """Raise `ParameterError` where training first would take too long for a page."""
    task = networks.get(experiment.network)
    size = sum(p.numel() for p in task.build(0).parameters()) * len(task.data().y_train)
    if size * experiment.epochs > LIVE_STEPS:
        allowed = f"at most {LIVE_STEPS // size} for {experiment.network}"
        rule, remedy = "take too long for a page", "Take fewer, or run TileMap in a script."
        raise ParameterError(say("epochs", int(experiment.epochs), rule, allowed, remedy, unit="epochs"))


def lay_out(experiment: TileMap) -> Drawn:
    """Run the experiment and arrange what it found.

    Raises
    ------
    ParameterError
        Where its training is too long to wait for.
    """
    check_live_size(experiment)
    ds = experiment.run()
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
    costs = _costs(experiment)
    return Drawn(experiment, ds, columns_drawn | drawn, made, _table(costs), _headline(ds, costs),
                 {"utilisation": 1.0, "error": largest or 1.0})  # fmt: skip


def _costs(experiment: TileMap) -> Summary:
    task = networks.get(experiment.network)
    return summary(task.build(0), task.data().x_test[:1], experiment.config())


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
        ("Products", str(sum(layer.mvms for layer in costs.layers)), "per sample", "Tiles times vectors, forwards."),
        ("Worst tile", fixed(float(ds.snr[worst])), "dB",
         f"Lowest signal-to-noise ratio of a product on real activations: layer {ds.layer.values[worst]}."),
        ("Clipped out", percent(float(ds.clipped.max())), "%", "Largest share of clipped outputs of a tile."),
        ("Rounds", fixed(float(ds.mean_rounds.max()), 2), "mean", "Most products for a vector of a tile."),
    ]  # fmt: skip

# SPDX-License-Identifier: Apache-2.0
"""Simulated devices along a measured trace, to lay over the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import xarray as xr

from engine.rng import derive_seed
from engine.tiles import Tile

from ..errors import refusal

if TYPE_CHECKING:
    from .result import ResponseFit

PERCENTILES = (2.5, 25.0, 50.0, 75.0, 97.5)
GROUPS = 20
"""Parameter sets drawn from the posterior; the devices are shared out among them."""


def simulated(fit: ResponseFit, n_devices: int, seed: int, *, posterior: bool) -> xr.Dataset:
    """Return bands of what devices of the fitted population would have been read as.

    Parameters
    ----------
    n_devices : int
        At least 2.
    seed : int
    posterior : bool
        Draw the parameters from their posterior too, so that the bands hold what the fit does not know.

    Returns
    -------
    xarray.Dataset
        ``band (percentile, pulse)`` and ``mean (pulse)`` in weight units, ``measured`` readings along the same pulses,
        and ``band_value``, ``measured_value`` in the unit of the readings. All devices start where the first reading is.
    """
    if n_devices < 2:
        raise refusal("simulate n_devices", n_devices, "must be more than one", "2, 3, ...", "Ask for more.")
    groups = min(GROUPS, n_devices) if posterior else 1
    sets = fit.draw(groups, seed) if posterior else [fit.values]
    sizes = [n_devices // groups + (k < n_devices % groups) for k in range(groups)]
    reads = [_read(fit, values, size, derive_seed(seed, "fit", k))
             for k, (values, size) in enumerate(zip(sets, sizes, strict=True))]  # fmt: skip
    return _dataset(fit, np.concatenate(reads, axis=1))


def _read(fit: ResponseFit, values: dict[str, float], n: int, seed: int) -> np.ndarray:
    """Return readings ``(rows, devices)`` of devices with one set of parameters."""
    tile = Tile(n, 1, fit.device(values), seed=seed)
    tile.set_weights(torch.full((n, 1), fit.trace["weight"][0]))
    pulses = np.array(fit.trace["pulses"][1:], int)
    ways = np.repeat(np.sign(pulses), np.abs(pulses)).astype(np.int8)
    rows = [tile.weights[:, 0].numpy().copy()[None]]
    if ways.size:
        seen = tile.pulse(ways, read_every=1).apparent[:, :, 0].numpy()
        rows.append(seen[np.maximum(np.cumsum(np.abs(pulses)) - 1, 0)])
    found = np.concatenate(rows)
    scatter = values.get("read_std", 0.0)
    return found + scatter * np.random.default_rng(seed).standard_normal(found.shape)


def _dataset(fit: ResponseFit, reads: np.ndarray) -> xr.Dataset:
    band = np.percentile(reads, PERCENTILES, axis=1)
    m = fit.mapping
    slope = (m["g_hi"] - m["g_lo"]) / (m["w_hi"] - m["w_lo"])
    unit = str(m["unit"])

    def value(w: np.ndarray) -> np.ndarray:
        return m["g_lo"] + (w - m["w_lo"]) * slope

    count = np.concatenate([[0], np.cumsum(np.abs(fit.trace["pulses"][1:]))])
    measured = np.array(fit.trace["weight"])
    over, text = ("percentile", "pulse"), "Percentiles of simulated readings over devices"
    return xr.Dataset(
        {
            "band": (over, band, {"units": "w", "long_name": text}),
            "band_value": (over, value(band), {"units": unit, "long_name": text}),
            "mean": ("pulse", reads.mean(1), {"units": "w", "long_name": "Mean simulated reading"}),
            "measured": ("pulse", measured, {"units": "w", "long_name": "Reading"}),
            "measured_value": ("pulse", value(measured), {"units": unit, "long_name": "Reading"}),
        },
        coords={
            "percentile": ("percentile", np.array(PERCENTILES), {"units": "%", "long_name": "Percentile"}),
            "pulse": ("pulse", count, {"units": "1", "long_name": "Pulses since the first reading"}),
        },
    )

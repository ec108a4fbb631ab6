# SPDX-License-Identifier: Apache-2.0
"""What the blame chart draws, as plain columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from explorer.experiments.blame import sentence


@dataclass(frozen=True, eq=False)
class Costs:
    """Costs of each cause, percentage points, largest first.

    Attributes
    ----------
    titles : list of str
    removed, removed_half, alone, alone_half : array, (cause,)
        Mean gain without the cause, mean loss by it alone, and half of their 95 % intervals.
    sentence : str
    """

    titles: list[str]
    removed: np.ndarray
    removed_half: np.ndarray
    alone: np.ndarray
    alone_half: np.ndarray
    sentence: str
    chips: int


def costs(ds: xr.Dataset) -> Costs:
    """Return the costs of a result of `Blame`."""
    order = np.argsort(-np.maximum(ds.cost_removed.values, ds.cost_alone.values), kind="stable")
    columns = [
        np.nan_to_num(100 * ds[name].values[order])
        for name in ("cost_removed", "cost_removed_half_width", "cost_alone", "cost_alone_half_width")
    ]
    return Costs([str(t) for t in ds.title.values[order]], *columns, sentence(ds), ds.sizes["chip"])

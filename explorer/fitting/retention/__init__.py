# SPDX-License-Identifier: Apache-2.0
"""What measured conductances do after programming: relaxation, drift, temperature, read noise."""

from .bake import BakeFit, fit_bake
from .data import Bake, Data, Relaxation, TimeSeries
from .fit import Prediction, RetentionFit, fit_retention, predict_last
from .read_noise import ReadNoiseFit, fit_read_noise
from .reading import Sheet, open_sheet, read_bake, read_relaxation, read_retention, read_sheet, read_time_series

__all__ = [
    "Bake",
    "BakeFit",
    "Data",
    "Prediction",
    "ReadNoiseFit",
    "Relaxation",
    "RetentionFit",
    "Sheet",
    "TimeSeries",
    "fit_bake",
    "fit_read_noise",
    "fit_retention",
    "open_sheet",
    "predict_last",
    "read_bake",
    "read_relaxation",
    "read_retention",
    "read_sheet",
    "read_time_series",
]

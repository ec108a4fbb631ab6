# SPDX-License-Identifier: Apache-2.0
"""What measured conductances do after programming: relaxation, drift, temperature, read noise."""

from .bake import BakeFit, fit_bake
from .data import Bake, Relaxation, TimeSeries, read_bake, read_relaxation, read_time_series
from .fit import Prediction, RetentionFit, fit_retention, predict_last
from .read_noise import ReadNoiseFit, fit_read_noise

__all__ = [
    "Bake",
    "BakeFit",
    "Prediction",
    "ReadNoiseFit",
    "Relaxation",
    "RetentionFit",
    "TimeSeries",
    "fit_bake",
    "fit_read_noise",
    "fit_retention",
    "predict_last",
    "read_bake",
    "read_relaxation",
    "read_time_series",
]

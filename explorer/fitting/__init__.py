# SPDX-License-Identifier: Apache-2.0
"""Measured conductance data: reading, checking, normalising, and a first fit of device parameters."""

from .errors import MeasuredDataError
from .fit import fit, guess
from .likelihood import Parameter, Ranking, ResponseFit, fit_response, rank_models
from .measured import Measured, Summary, read_columns, read_measured
from .normalise import Normalised
from .rejects import Rejected
from .result import Estimate, FitCurve, FitResult
from .source import MAX_BYTES, check_size
from .trace import Trace

__all__ = [
    "MAX_BYTES",
    "Estimate",
    "FitCurve",
    "FitResult",
    "Measured",
    "MeasuredDataError",
    "Normalised",
    "Parameter",
    "Ranking",
    "ResponseFit",
    "Rejected",
    "Summary",
    "Trace",
    "check_size",
    "fit",
    "fit_response",
    "guess",
    "rank_models",
    "read_columns",
    "read_measured",
]

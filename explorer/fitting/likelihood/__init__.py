# SPDX-License-Identifier: Apache-2.0
"""Device classes fitted by maximum likelihood: estimates with errors, populations, ranking, verdicts."""

from .corrupt import Corrupt
from .fit import Prepared, fit_response, prepare
from .parameters import Parameter
from .rank import Entry, Ranking, rank_models
from .residuals import Residuals, Structure
from .result import HeldOut, OneDevice, ResponseFit

__all__ = [
    "Corrupt",
    "Entry",
    "HeldOut",
    "OneDevice",
    "Parameter",
    "Prepared",
    "Ranking",
    "Residuals",
    "ResponseFit",
    "Structure",
    "fit_response",
    "prepare",
    "rank_models",
]

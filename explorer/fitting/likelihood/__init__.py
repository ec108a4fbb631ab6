# SPDX-License-Identifier: Apache-2.0
"""Device classes fitted by maximum likelihood: estimates with errors, populations, ranking, verdicts."""

from .corrupt import Corrupt
from .fit import Prepared, fit_response, prepare
from .parameters import Parameter
from .rank import Entry, Ranking, rank_models
from .residuals import Residuals, Structure
from .result import HeldOut, OneDevice, ResponseFit
from .uncertainty import Bootstrap, Profile, bootstrap, profile

__all__ = [
    "Bootstrap",
    "Corrupt",
    "Entry",
    "HeldOut",
    "OneDevice",
    "Parameter",
    "Prepared",
    "Profile",
    "Ranking",
    "Residuals",
    "ResponseFit",
    "Structure",
    "bootstrap",
    "fit_response",
    "prepare",
    "profile",
    "rank_models",
]

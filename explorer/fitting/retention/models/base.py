# SPDX-License-Identifier: Apache-2.0
"""What a law of retention offers to the fit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import lmfit
import numpy as np

from engine.inference.noise import NoiseModel

from ..data import Relaxation
from ..moments import Moments


class RetentionLaw(ABC):
    """Mean and spread of the change of devices over level and time. A new one is one more file in this folder.

    Attributes
    ----------
    stem, title : str
        Its name in results, and in menus.
    units, meanings : dict
        Parameter to unit, and to one line on what it is.
    """

    stem: str
    title: str
    units: Mapping[str, str]
    meanings: Mapping[str, str]

    @abstractmethod
    def start(self, found: Moments) -> lmfit.Parameters:
        """Return the parameters with values to begin with and bounds."""

    @abstractmethod
    def law(self, p: Mapping[str, float], g_us: np.ndarray, t_s: np.ndarray, found: Moments) -> tuple:
        """Return mean and spread of the change, uS, two arrays (level, time), at levels (uS) and times (s)."""

    @abstractmethod
    def noise_model(self, p: Mapping[str, float], found: Moments, data: Relaxation, source: str) -> NoiseModel:
        """Return the model that the drift lab takes; ``source`` is noted with what it is made of."""

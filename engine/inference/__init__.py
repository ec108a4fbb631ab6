# SPDX-License-Identifier: Apache-2.0
"""Trained networks programmed on chips: what programming, time and reads make of their weights."""

from engine.inference.compensation import Compensation
from engine.inference.converters import Converter
from engine.inference.faults import Faults
from engine.inference.memory import Forecast, forecast
from engine.inference.network import ProgrammedNetwork, program
from engine.inference.noise import NoiseModel
from engine.inference.recipe import Recipe
from engine.inference.tile import ProgrammedTile

__all__ = [
    "Compensation",
    "Converter",
    "Faults",
    "Forecast",
    "NoiseModel",
    "ProgrammedNetwork",
    "ProgrammedTile",
    "Recipe",
    "forecast",
    "program",
]

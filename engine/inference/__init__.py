# SPDX-License-Identifier: Apache-2.0
"""Trained networks programmed on chips: what programming, time and reads make of their weights."""

from engine.inference.compensation import Compensation
from engine.inference.converters import Converter
from engine.inference.faults import Faults
from engine.inference.network import ProgrammedNetwork, program
from engine.inference.noise import NoiseModel
from engine.inference.tile import ProgrammedTile, Recipe

__all__ = ["Compensation", "Converter", "Faults", "NoiseModel", "ProgrammedNetwork", "ProgrammedTile", "Recipe",
           "program"]  # fmt: skip

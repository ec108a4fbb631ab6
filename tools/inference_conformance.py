# SPDX-License-Identifier: Apache-2.0
"""The numbered statements about inference over time; ``tools/conformance.py`` writes their table."""

from __future__ import annotations

from conformance import ROOT, Table

STATEMENTS = {
    "I1": "Conductances of every converter",
    "I2": "Round trip of every converter",
    "I3": "Tables that do not fit are refused",
    "I4": "Equal weights on single devices",
    "I5": "PCM: programming, exponents, read noise over conductance",
    "I6": "64-core PCM chip: the same",
    "I7": "ReRAM array: deviation at three times",
    "I8": "CMO/HfOx: mean, relaxation, read noise",
    "I9": "SONOS: drift, deviation, read noise",
    "I10": "CrossSim's programming errors",
    "I11": "Drift factor",
    "I12": "Growth of the read noise",
    "I13": "Without noise weights stay",
    "I14": "Uniform drift is a factor",
    "I15": "Programming error scales with g_max",
    "I16": "Times and parameters without meaning are refused",
    "I17": "Same bits for any order of times, split of a batch and number of threads",
    "I18": "Programmed conductance at target 0",
    "I19": "At 1 % of g_max",
    "I20": "At 5 %",
    "I21": "At 10 %",
    "I22": "Spread of programming above",
    "I23": "Drift exponent at target 0",
    "I24": "At 1 and 3 % of g_max",
    "I25": "Above",
    "I26": "PCM over time at 10 % of g_max",
    "I27": "At 50 %",
    "I28": "At g_max",
    "I29": "Tabulated exponents",
    "I30": "State-independent model over time",
    "I31": "64-core chip over time, one device",
    "I32": "Two devices",
    "I33": "64-core chip: exponents",
    "I34": "CMO/HfOx after 1 s",
    "I35": "CMO/HfOx up to ten years",
    "I36": "CMO/HfOx programming",
    "I37": "ReRAM array: spread",
    "I38": "Draws of a device stay",
    "I39": "Relaxation over log time: correlation",
    "I40": "Fixed tile: slope",
    "I41": "Relative error, uncompensated",
    "I42": "Factor of a perfect read-out",
    "I43": "Relative error, global",
    "I44": "Factor, exact reference",
    "I45": "Relative error, exact reference",
    "I46": "Relative error, per column",
    "I47": "Factor, read through the standard model",
    "I48": "Error of products, global",
    "I49": "Error of products, uncompensated",
    "I50": "Two pairs of significance 1 and 3",
    "I51": "Two equal pairs",
    "I52": "64-core chip on the fixed tile",
    "I53": "CMO/HfOx on the fixed tile",
    "I54": "ReRAM array on the fixed tile",
    "I55": "Residuals of reads and programmings",
    "I56": "Factor times slope",
    "I57": "Weight read noise of a product",
    "I58": "Loss on wires",
    "I59": "Programming again after training",
    "I60": "Low-rank adapters leave analog weights alone",
    "I61": "Training forgets the programming",
    "I62": "Checkpoint of a programmed network",
    "I63": "Stuck devices and repair",
    "I64": "Calibration of input ranges",
}
NOT_HERE: dict[str, str] = {}
NOTES = {
    "I36": "At the ends of the range the peer lets conductances go beyond it: the formula is compared there.",
    "I38": "Without read noise.",
    "I54": "With `peer_compat`: the peer draws around the target again at every time.",
}
HEADER = """\
<!-- SPDX-License-Identifier: Apache-2.0 -->
# Conformance of inference over time

Numbered statements about programmed networks, and the tests that prove them; the numbers are those of the issue
"Inference". Peer numbers in the tests were measured on aihwkit 1.2.0 (CPU), see `tests/data/inference_golden.json`.
Written by `python tools/conformance.py`; do not edit.

| number | statement | tests |
|---|---|---|
"""
TABLE = Table(
    ROOT / "tests" / "engine" / "inference" / "CONFORMANCE.md",
    "inference_conformance",
    HEADER,
    STATEMENTS,
    NOT_HERE,
    NOTES,
)

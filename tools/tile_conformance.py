# SPDX-License-Identifier: Apache-2.0
"""The numbered statements about the analog tile; ``tools/conformance.py`` writes their table."""

from __future__ import annotations

from conformance import ROOT, Table

_OWN = "Not run on the peer: our own numbers, or a closed form."
_DEFECT = "The peer differs here; it is wrong."
STATEMENTS = {
    "T1": "A perfect product is out_scale W x",
    "T2": "Products without noise equal the quantised product in closed form",
    "T3": "Mean square error of a converter is a twelfth of a step squared",
    "T4": "Levels of the default converters: 127 and 511",
    "T5": "Half a code rounds to even",
    "T6": "Stochastic rounding: right on average, variance f (1 - f)",
    "T7": "Bounds of zero neither clip nor quantise",
    "T8": "Size of the output noise under input scaling",
    "T9": "Averages of K reads",
    "T10": "Input noise grows with the norm of the weights' row",
    "T11": "An input at the bound exceeds it by its noise",
    "T12": "Covariance of outputs under input noise",
    "T13": "Additive weight noise, output-referred",
    "T14": "Weight noise that grows with the root of the weight",
    "T15": "Iterative bound management of equal inputs",
    "T16": "Worst-case bound management of the same",
    "T17": "Where bound management ends without a DAC",
    "T18": "Where it ends with the default DAC",
    "T19": "Negative outputs left clipped, in any order",
    "T20": "Input scalings of a negative vector",
    "T21": "Running mean of the inputs",
    "T22": "Scaling by the sum of the inputs",
    "T23": "Inputs of zero give exactly zero",
    "T24": "Asymmetries of inputs and outputs",
    "T25": "Separate phases without other effects are one",
    "T26": "Two conversions have two noises",
    "T27": "Read asymmetry in the negative phase",
    "T28": "Nonlinear outputs and slope calibration",
    "T29": "Voltage offsets, with a reference column and without",
    "T30": "Series resistance",
    "T31": "Voltage offsets are signed and normal",
    "T32": "Spread of the output noise over outputs",
    "T33": "Simple wire model: polynomial",
    "T34": "Simple wire model: position of the inputs",
    "T35": "Wire ladder against its closed form",
    "T36": "Wire ladder against a dense nodal solve",
    "T37": "Inputs as pulse widths without resistance equal the quantised product",
    "T38": "Wires in 8 and in 128 segments",
    "T39": "Transposed product through its own converters",
    "T40": "Kernels equal the reference in plain tensor code",
    "T41": "A batch with bound management equals its vectors one by one",
    "T42": "One seed, one result, however a batch is split",
    "T43": "Weights written and read back under mapping scales",
    "T44": "A step of plain SGD does not depend on the mapping scales",
    "T45": "Sizes of split layers",
    "T46": "Layers with perfect periphery equal torch's",
    "T47": "Estimation of input ranges",
    "T48": "Gradient of input ranges",
    "T49": "Calibration of input ranges from one-sided data",
    "T50": "Weight modifiers",
    "T51": "Weight clipping",
    "T52": "Remapping keeps the logical weights",
    "T53": "Weights read by least squares",
    "T54": "Drift compensation",
    "T55": "Near-memory processing unit",
    "T56": "Two-dimensional nodal solution of an array",
    "T57": "Bit slices without noise give the integer product",
    "T58": "Noise of bits in phases of their own",
    "T59": "Gradients of clipped outputs",
    "T60": "Signal-to-noise ratio of the default periphery",
    "T61": "Saved, loaded elsewhere, the same product",
    "T62": "Report of a conversion",
    "T63": "The top code is no hit",
    "T64": "Running mean after a vector of zeros",
    "T65": "Worst-case management without input scaling is the iterative one",
    "T66": "A step of plain SGD does not depend on the input range",
}
NOT_HERE: dict[str, str] = {}
NOTES = {
    "T19": _DEFECT,
    "T27": "Statistics of our own draws.",
    "T31": _DEFECT,
    "T35": _OWN,
    "T36": _OWN,
    "T41": _DEFECT,
    "T42": "Not run on the peer: its draws depend on the split.",
    "T49": _DEFECT,
    "T53": _OWN,
    "T54": "The peer's example had a factor of 1.3577 and an error of 2.4e-7.",
    "T55": _OWN,
    "T58": "Not run on the peer: the ratio is that of the formula.",
    "T59": _DEFECT,
    "T61": _DEFECT,
    "T62": "Not run on the peer: it leaves layers unconverted silently.",
    "T63": _DEFECT,
    "T64": _DEFECT,
    "T66": _DEFECT,
}
HEADER = """\
<!-- SPDX-License-Identifier: Apache-2.0 -->
# Conformance of the analog tile

Numbered statements about products, periphery, mapping, layers and circuits, and the tests that prove them; the numbers
are those of the issue "Tile". Where nothing else is said, the peer (aihwkit 1.2.0 on the CPU; CrossSim 3.2 for T56 and
T57) gave the same within the test's tolerance. Written by `python tools/conformance.py`; do not edit.

| number | statement | tests |
|---|---|---|
"""
TABLE = Table(ROOT / "tests" / "engine" / "CONFORMANCE.md", "tile_conformance", HEADER, STATEMENTS, NOT_HERE, NOTES)

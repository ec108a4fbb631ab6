#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write the tables of which test proves which numbered statement: ``CONFORMANCE.md`` of devices and of the tile.

Tests say their numbers by ``@pytest.mark.conformance("T19")`` (devices) or ``tile_conformance`` (tile); this script
reads the marks from the source. Run it after marking a test; a test compares the files with what this writes. ``pytest
-k T19`` runs the tests of a device's number.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STATEMENTS = {
    "T01": "An update moves against the sign of d x; a negative rate reverses it",
    "T02": "One pulse of every class equals its formula",
    "T03": "States stay inside their bounds and are finite",
    "T04": "Moments and correlations of step scales and bounds",
    "T05": "The asymmetry reduces one direction only",
    "T06": "Log-normal spread",
    "T07": "Folded draws, and devices switched off by crossed bounds",
    "T08": "Stuck devices",
    "T09": "Ideal devices in a bias column",
    "T10": "Drawn lifetimes, diffusion rates, reset values, drift exponents",
    "T11": "The classes' own draws: slopes, exponents, references",
    "T12": "Noise-free response curves",
    "T13": "Cycle noise of the constant step",
    "T14": "Cycle noise of the linear step, both forms",
    "T15": "Cycle noise of soft bounds",
    "T16": "Extra noise terms of the exponential step",
    "T17": "Size of the write noise",
    "T18": "When the write noise is drawn anew",
    "T19": "Decay",
    "T20": "Diffusion",
    "T21": "Reset",
    "T22": "Once per mini-batch: updates, diffusion, decay",
    "T23": "Power-law drift",
    "T24": "Train lengths and pulse probabilities",
    "T25": "Mean and variance of the pulse counts",
    "T26": "Covariances of the counts along rows and columns",
    "T27": "Scaling of d by um_grad_scale",
    "T28": "Order of samples; a batch equals its samples one by one",
    "T29": "Pulses in two passes have the statistics of one",
    "T30": "Deterministic counts; resolutions as widths or numbers of bins",
    "T31": "Arithmetic updates, without and with the devices",
    "T32": "Expected update of soft bounds",
    "T33": "Symmetry points",
    "T34": "Stationary distributions",
    "T35": "Granularity and number of states",
    "T36": "Populations of all presets against aihwkit",
    "T37": "The same bits on a GPU",
    "T38": "One seed, one result",
    "T39": "Saving and loading",
    "T40": "Values outside their range are refused by name",
    "T41": "Orders of pulses are whole numbers",
    "T42": "Step statistics",
    "T43": "Fits of exact data",
    "T44": "Fits of noisy data: honest intervals",
    "T45": "Fits of a population",
    "T46": "Choice of the model",
    "T47": "Speed",
}
NOT_HERE = {
    "T44": "Not here: needs the likelihood fit; those of the least-squares fit are in tests/explorer/test_fit.py.",
    "T45": "Not here: needs the population fit.",
    "T46": "Not here: needs the comparison of models.",
    "T47": "For information, not a test: `make bench`.",
}
PARTLY = {
    "T37": "Without a GPU, its kernels run emulated on the CPU.",
    "T43": "Soft bounds and linear step; the other classes have no fit yet.",
}
HEADER = """\
<!-- SPDX-License-Identifier: Apache-2.0 -->
# Conformance of the devices

Numbered statements about devices and their update, and the tests that prove them; the numbers are those of the issue
"Devices". `pytest -k T19` runs the tests of one number. Peer numbers in the tests were measured on aihwkit 1.2.0 (CPU),
see the tests' docstrings and `tests/data`. Written by `python tools/conformance.py`; do not edit.

| number | statement | tests |
|---|---|---|
"""


@dataclass(frozen=True)
class Table:
    """Numbered statements and the file that says which tests prove them.

    Parameters
    ----------
    path : Path
        The file.
    mark : str
        Name of the mark by which tests say their numbers.
    header : str
        Its text down to the first row.
    statements, not_here, notes : mapping
        By number: what it says, why it has no test, what else is to be said.
    """

    path: Path
    mark: str
    header: str
    statements: Mapping[str, str]
    not_here: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)

    def tests_by_number(self) -> dict[str, list[str]]:
        """Return each number's tests, found in the source of all test files."""
        found: dict[str, list[str]] = {n: [] for n in self.statements}
        for path in sorted((ROOT / "tests").rglob("test_*.py")):
            for number, test in _marks_of(path, self.mark):
                found.setdefault(number, []).append(test)
        return found

    def render(self) -> str:
        """Return the table as Markdown."""
        rows = []
        for number, tests in self.tests_by_number().items():
            notes = [n for n in (self.not_here.get(number), self.notes.get(number)) if n]
            rows.append(f"| {number} | {self.statements.get(number, '?')} | {'<br>'.join([*tests, *notes])} |")
        return self.header + "\n".join(rows) + "\n"


def _numbers(decorators: list[ast.expr], mark: str) -> Iterator[str]:
    """Yield the numbers of a mark among the decorators."""
    for call in decorators:
        if isinstance(call, ast.Call) and ast.unparse(call.func) == f"pytest.mark.{mark}":
            yield from (a.value for a in call.args)


def _marks_of(path: Path, mark: str) -> Iterator[tuple[str, str]]:
    """Yield (number, test) of one file; a module-wide mark is reported as the file."""
    place = path.relative_to(ROOT / "tests").as_posix()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            yield from ((n, f"`{place}`: {node.name}") for n in _numbers(node.decorator_list, mark))
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            yield from ((n, f"`{place}`: all") for n in _numbers([node.value], mark))


DEVICES = Table(
    ROOT / "tests" / "engine" / "devices" / "CONFORMANCE.md", "conformance", HEADER, STATEMENTS, NOT_HERE, PARTLY
)


def tables() -> list[Table]:
    """Return all tables."""
    import tile_conformance

    return [DEVICES, tile_conformance.TABLE]


if __name__ == "__main__":
    for table in tables():
        table.path.write_text(table.render(), encoding="utf-8")
        print(f"wrote {table.path.relative_to(ROOT)}")

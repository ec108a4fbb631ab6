# SPDX-License-Identifier: Apache-2.0
"""Records as a table for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Record = dict[str, Any]
_ABSENT = "-"


def nanoseconds(record: Record, side: str) -> float | None:
    """Return a side's time per crosspoint and sample (pulse, for a response), ns."""
    seconds = record.get(f"{side}_s")
    work = record["shape"][0] * record["shape"][1] * record["batch"]
    return None if seconds is None else seconds / work * 1e9


def _number(name: str, digits: int = 1, scale: float = 1.0) -> Callable[[Record], str]:
    return lambda record: _shown(record.get(name), digits, scale)


def _shown(value: float | None, digits: int, scale: float = 1.0) -> str:
    return _ABSENT if value is None else f"{value * scale:.{digits}f}"


def _each(side: str) -> Callable[[Record], str]:
    return lambda record: _shown(nanoseconds(record, side), 3)


def _ratio(record: Record) -> str:
    if record["ratio_peer"] is None:
        return _ABSENT
    return f"{record['ratio_peer']:.1f} ({record['ratio_peer_min']:.1f} .. {record['ratio_peer_max']:.1f})"


def _verdict(name: str) -> Callable[[Record], str]:
    return lambda record: {True: "yes", False: "NO", None: _ABSENT}[record.get(name)]


def _deviation(name: str) -> Callable[[Record], str]:
    def shown(record: Record) -> str:
        if record.get(f"{name}_ratio") is None:
            return _ABSENT
        return f"{record[f'{name}_ratio']:.4f} +- {record[f'{name}_ratio_se']:.4f}"

    return shown


_ROW = {"device": lambda r: r["device"], "variant": lambda r: r["variant"], "threads": lambda r: str(r["threads"])}
_TIMED = _ROW | {
    "ours ms": _number("ours_s", 2, 1e3),
    "ours ns": _each("ours"),
    "peer ns": _each("peer"),
    "torch ns": _each("torch"),
    "peer/ours (min .. max)": _ratio,
    "by cpu time": _number("ratio_peer_cpu"),
    "torch/ours": _number("ratio_torch", 3),
    "mean, ours/peer": _deviation("mean"),
    "variance": _deviation("variance"),
    "mean agrees": _verdict("mean_agrees"),
    "variance agrees": _verdict("variance_agrees"),
    "load": _number("load_after"),
}
_SIZED = _ROW | {
    "ours B": _number("ours_bytes", 2),
    "formula B": _number("formula_bytes", 0),
    "peer B": _number("peer_bytes", 2),
    "as the formula": _verdict("formula_agrees"),
}


def table(records: Iterable[Record]) -> str:
    """Return the records of one operation as aligned columns; times in ns per crosspoint and sample, sizes in bytes.

    Parameters
    ----------
    records : iterable of dict
        At least one.
    """
    records = list(records)
    columns = _SIZED if "ours_bytes" in records[0] else _TIMED
    lines = [list(columns), *([show(record) for show in columns.values()] for record in records)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(columns))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)

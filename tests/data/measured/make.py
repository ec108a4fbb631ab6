# SPDX-License-Identifier: Apache-2.0
"""Write the small measured-data samples of this folder: computed soft-bounds ramps, no measurement.

Run ``python tests/data/measured/make.py`` after a change; a test compares the files with this code.
"""

from __future__ import annotations

from pathlib import Path

G_LOW, G_HIGH = 20e-6, 120e-6
"""Ends of the conductance range in S."""

RATE = 0.08
READ_VOLTAGE_V = 0.1


def ramp(n: int, direction: int, start: float, rate: float = RATE) -> list[float]:
    """Return conductances in S after 1 .. n pulses."""
    bound = G_HIGH if direction > 0 else G_LOW
    return [bound + (start - bound) * (1 - rate) ** k for k in range(1, n + 1)]


def long_rows() -> list[str]:
    """Two devices, two cycles each, 20 up and 20 down pulses, in microsiemens."""
    rows = ["device_id,cycle,index,direction,value,unit"]
    for device, rate in (("A1", 0.08), ("A2", 0.12)):
        g = 30e-6
        for cycle in (1, 2):
            rows.append(f"{device},{cycle},0,0,{g * 1e6:.6f},uS")
            for index, direction in enumerate([1] * 20 + [-1] * 20, start=1):
                g = ramp(1, direction, g, rate)[0]
                rows.append(f"{device},{cycle},{index},{direction},{g * 1e6:.6f},uS")
    return rows


def columns(parts: list[list[float]]) -> list[str]:
    """Write columns of different length side by side, empty cells at the end of short ones."""
    longest = max(map(len, parts))
    return [",".join(f"{p[i]:.8g}" if i < len(p) else "" for p in parts) for i in range(longest)]


def files() -> dict[str, str]:
    """Return name and text of every sample."""
    long = long_rows()
    comma = "\r\n".join(row.replace(",", ";").replace(".", ",") for row in long)
    up = [2 * (g - G_LOW) / (G_HIGH - G_LOW) - 1 for g in ramp(60, 1, 25e-6)]
    down = [2 * (g - G_LOW) / (G_HIGH - G_LOW) - 1 for g in ramp(60, -1, 115e-6)]
    sets = [[g * READ_VOLTAGE_V for g in ramp(30 - k, 1, (25 + k) * 1e-6)] for k in range(4)]
    resets = [[g * READ_VOLTAGE_V for g in ramp(24 + k, -1, (115 - k) * 1e-6)] for k in range(4)]
    wide = [[*ramp(20, 1, s), *ramp(20, -1, ramp(20, 1, s)[-1])] for s in (25e-6, 30e-6, 35e-6)]
    directions = [1] * 20 + [-1] * 20
    wide_rows = [f"{d},{row}" for d, row in zip(directions, columns(wide), strict=True)]
    return {
        "long.csv": "\n".join(long) + "\n",
        "long_decimal_comma.csv": "\ufeff" + comma + "\r\n",
        "sequence.csv": "\n".join(["G (uS)", *(f"{g * 1e6:.6g}" for g in [*ramp(40, 1, 25e-6), *ramp(40, -1, 115e-6)])])
        + "\n",
        "two_column.csv": "\n".join(columns([up, down])) + "\n",
        "set_ramps.csv": "\n".join(["rmp1,rmp2,rmp3,rmp4", *columns(sets)]) + "\n",
        "reset_ramps.csv": "\n".join(["rmp1,rmp2,rmp3,rmp4", *columns(resets)]) + "\n",
        "wide.csv": "\n".join(["direction,left,middle,right", *wide_rows]) + "\n",
    }


if __name__ == "__main__":
    for name, text in files().items():
        (Path(__file__).parent / name).write_bytes(text.encode())

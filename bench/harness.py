# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: options, the machine's description, table and JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path

import torch

from engine import __version__, ops


def parser(text: str, **numbers: int) -> argparse.Namespace:
    """Return parsed options: the given numbers, ``--threads`` and ``--json``."""
    options = argparse.ArgumentParser(description=text.splitlines()[0])
    for name, default in numbers.items():
        options.add_argument(f"--{name}", type=int, default=default)
    options.add_argument("--threads", type=int, default=1, help="threads of torch and of the kernels")
    options.add_argument("--json", type=Path, help="also write the result there")
    return options.parse_args()


def machine() -> dict:
    """Return what the figures depend on."""
    model = next(
        (line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")), platform.machine()
    )
    info = ops.build_info()
    return {
        "cpu": model,
        "logical_cores": os.cpu_count(),
        "load_1min": os.getloadavg()[0],
        "isa": info["isa"],
        "compiler": info["compiler"],
        "python": platform.python_version(),
        "torch": torch.__version__,
        "ohmscape": __version__,
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def finish(name: str, rows: list[dict], options: argparse.Namespace, checked: dict) -> None:
    """Print the rows as a table and write them, with the machine, as JSON."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    print("  ".join(f"{c:>20}" for c in columns))
    for row in rows:
        cells = (row.get(c, "") for c in columns)
        print("  ".join(f"{v:>20.3f}" if isinstance(v, float) else f"{v!s:>20}" for v in cells))
    result = {"benchmark": name, "machine": machine(), "threads": options.threads, "checked": checked, "rows": rows}
    print(json.dumps({k: v for k, v in result.items() if k != "rows"}))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")

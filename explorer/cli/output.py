# SPDX-License-Identifier: Apache-2.0
"""What commands print and write: tables, JSON, the one line of an error."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr

    from explorer.experiments import Experiment


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return rows as aligned columns; numbers to the right, five significant digits."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(head), *cells]) for i in range(len(head))]
    right = [all(isinstance(row[i], int | float) or row[i] is None for row in rows) for i in range(len(head))]

    def line(values: Sequence[str]) -> str:
        pairs = zip(values, widths, right, strict=True)
        return "  ".join(v.rjust(w) if r else v.ljust(w) for v, w, r in pairs).rstrip()

    return "\n".join([line(list(head)), line(["-" * width for width in widths]), *map(line, cells)])


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _strict(value: Any) -> Any:
    """Replace what strict JSON has no word for (nan, inf) by null."""
    if isinstance(value, dict):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def deliver(result: dict[str, Any], text: str, json_target: str | None) -> None:
    """Show the result of a command: the text for people, and JSON where it was asked for.

    Parameters
    ----------
    result : dict
        JSON-ready data; numbers that are not finite are written as null.
    text : str
        The same for people.
    json_target : str or None
        A path (written in one go, so that a reader never sees half a file), ``"-"`` for standard output
        instead of the text, or None.
    """
    written = json.dumps(_strict(result), indent=2, allow_nan=False)
    if json_target == "-":
        print(written, flush=True)
        return
    if json_target:
        write_bytes(Path(json_target), (written + "\n").encode())
    print(text, flush=True)


def provenance(ds: xr.Dataset) -> dict[str, Any]:
    """Return what one needs to repeat a run: the experiment with every parameter, seed, versions, time, machine."""
    kept = ("seed", "content_id", "ohmscape_version", "python_version", "torch_version", "started", "wall_time_s",
            "machine")  # fmt: skip
    return {"experiment": json.loads(ds.attrs["experiment"]), **{name: ds.attrs[name] for name in kept}}


def save(ds: xr.Dataset, experiment: Experiment, options: argparse.Namespace) -> dict[str, str]:
    """Keep the run if ``--save`` was given; return its id for the result."""
    if not options.save:
        return {}
    from explorer import results

    run_id = results.save(ds, experiment, label=f"{options.command} {options.preset}").run_id
    print(f"saved as {run_id}", file=sys.stderr, flush=True)
    return {"run_id": run_id}


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically; an interrupted command leaves the old one."""
    handle, name = tempfile.mkstemp(dir=path.resolve().parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        umask = os.umask(0)
        os.umask(umask)
        Path(name).chmod(0o666 & ~umask)  # mkstemp makes files private
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def fail(message: str, status: int = 1) -> int:
    """Print one line on standard error and return the exit status."""
    print(f"ohmscape: {message}", file=sys.stderr, flush=True)
    return status


def _is_for_users(problem: Exception) -> bool:
    # Not by isinstance: this must also work where a stranger's `engine` hides ours (`ohmscape doctor` says so).
    return any(cls.__name__ == "OhmscapeError" for cls in type(problem).__mro__)


def one_line(problem: Exception) -> str:
    """Return an exception as one line for the user."""
    text = " ".join(str(problem).split())
    if _is_for_users(problem):
        return text
    if isinstance(problem, OSError) and problem.strerror:
        subject = f"{problem.filename}: " if problem.filename else ""
        return f"{subject}{problem.strerror}"
    kind = type(problem).__name__
    if isinstance(problem, ImportError):
        return f"{kind}: {text}. Run 'ohmscape doctor' to see what is wrong with the installation."
    return f"{kind}: {text}. This is a mistake in Ohmscape; run again with --debug and report what it prints."

# SPDX-License-Identifier: Apache-2.0
"""Instructions per pulse of one update, counted by valgrind's callgrind, function by function.

    python -m bench.instructions --device soft_bounds --variant dense

Counts do not depend on what else the machine does. Valgrind knows no AVX-512, so kernels run in their AVX2 version:
half the width, the same steps. Only the update itself is counted, not Python's start.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_SWITCH = """
#include <valgrind/callgrind.h>
void start(void) { CALLGRIND_START_INSTRUMENTATION; }
void stop(void) { CALLGRIND_STOP_INSTRUMENTATION; }
"""
_NAME = re.compile(r"^c?fn=\((\d+)\)(?: (.*))?$")
_COST = re.compile(r"^[+\-*]?\d* ?[+\-*]?\d* (\d+)$")


class CannotCount(RuntimeError):
    """Something that counting needs is missing; the text says what."""


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(prog="python -m bench.instructions", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--device", nargs="+", default=["constant_step", "soft_bounds", "soft_bounds_reference", "exp_step"]
    )
    parser.add_argument("--variant", nargs="+", default=["dense", "sparse"], help="density of the update")
    parser.add_argument("--shape", nargs=2, type=int, default=[256, 256], metavar=("OUT", "IN"), help="tile size")
    parser.add_argument("--batch", type=int, default=16, help="samples of the call")
    parser.add_argument("--isa", default="avx2", choices=["avx2", "portable"], help="the kernels' instruction set")
    parser.add_argument("--top", type=int, default=6, help="functions to show")
    parser.add_argument("--json", type=Path, help="write the records there")
    parser.add_argument("--core", type=Path, default=newest_build(),
                        help="the extension to run (default: the build folder's, which has names)")  # fmt: skip
    # The run under valgrind: case, library of `build_switch`, extension.
    parser.add_argument("--counted", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def build_switch(folder: Path) -> Path:
    """Return a library whose ``start`` and ``stop`` turn callgrind's counting on and off."""
    library = folder / "switch.so"
    command = ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(library)]
    done = subprocess.run(command, input=_SWITCH, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotCount(
            f"valgrind's headers or a C compiler are missing (Debian: apt-get install valgrind gcc).\n{done.stderr}"
        )
    return library


def counted(case: dict[str, Any], switch: str, core: str) -> None:
    """Run one update, counting on only around it: what valgrind executes."""
    if core:
        load_core(Path(core))
    import torch

    from bench.cases import Case
    from bench.operations.update import Update

    torch.set_num_threads(1)
    update = Update(Case(**case | {"shape": tuple(case["shape"])}))
    update.call()
    library = ctypes.CDLL(switch)
    library.start()
    update.call()
    library.stop()
    print(json.dumps(update.facts()))


def load_core(path: Path) -> None:
    """Make the engine use the extension at ``path``: a build whose functions still have their names."""
    spec = importlib.util.spec_from_file_location("engine._core", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules["engine._core"] = module


def newest_build() -> Path | None:
    """Return the extension in the build folder; installing it strips the names."""
    return max(ROOT.glob("build/*/_core.*.so"), key=lambda path: path.stat().st_mtime, default=None)


def costs(profile: str) -> Counter:
    """Return the instructions that each function executed itself, by name, from callgrind's output file."""
    names: dict[str, str] = {}
    found: Counter = Counter()
    function, of_callee = "", False
    for line in profile.splitlines():
        named = _NAME.match(line)
        if named:
            number, name = named.groups()
            names.setdefault(number, name or number)
            if line.startswith("fn="):
                function = names[number]
        elif line.startswith("calls="):
            of_callee = True  # the next line is what the called function cost
        elif _COST.match(line):
            if not of_callee:
                found[function] += int(_COST.match(line).group(1))
            of_callee = False
    return found


def count(case: dict[str, Any], isa: str, core: Path | None, folder: Path) -> dict[str, Any]:
    """Return one case's instructions, its pulses, and what each function took."""
    if shutil.which("valgrind") is None:
        raise CannotCount(
            "valgrind is missing (Debian, Ubuntu: apt-get install valgrind; Fedora: dnf install valgrind)."
        )
    out = folder / "callgrind.out"
    command = [
        "valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}", "--quiet",
        sys.executable, "-m", "bench.instructions", "--counted", json.dumps(case), str(build_switch(folder)),
        str(core or ""),
    ]  # fmt: skip
    environment = os.environ | {"OHMSCAPE_ISA": isa, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotCount(f"valgrind failed ({done.returncode}):\n{done.stderr[-2000:]}")
    facts = json.loads(done.stdout.splitlines()[-1])
    return record(case, isa, facts, costs(out.read_text(encoding="utf-8", errors="replace")))


def record(case: dict[str, Any], isa: str, facts: dict[str, Any], found: Counter) -> dict[str, Any]:
    """Return the record of one case from what was found."""
    crosspoints = case["shape"][0] * case["shape"][1] * case["batch"]
    total = sum(found.values())
    shares = {name: cost / crosspoints for name, cost in found.most_common() if cost > 0.001 * total}
    return {
        **case, "isa": isa, **facts, "instructions": total,
        "per_crosspoint": total / crosspoints,
        "per_pulse": total / crosspoints / facts["mean_coincidences"],
        "functions_per_crosspoint": shares,
    }  # fmt: skip


def main() -> None:
    """Count all cases asked for and print what each function takes."""
    options = parsed()
    if options.counted:
        case, switch, core = options.counted
        counted(json.loads(case), switch, core)
        return
    records = []
    for device in options.device:
        for variant in options.variant:
            case = {"op": "update", "device": device, "shape": options.shape, "batch": options.batch}
            case |= {"bl": 31, "threads": 1, "variant": variant}
            with tempfile.TemporaryDirectory(prefix="bench-instructions-") as folder:
                try:
                    one = count(case, options.isa, options.core, Path(folder))
                except CannotCount as problem:
                    sys.exit(f"error: {problem}")
            records.append(one)
            print(f"{device}, {variant}, {options.isa}: {one['per_crosspoint']:.2f} per crosspoint and sample, "
                  f"{one['per_pulse']:.1f} per pulse ({one['mean_coincidences']:.3f} pulses)")  # fmt: skip
            for name, share in list(one["functions_per_crosspoint"].items())[: options.top]:
                print(f"  {share:8.3f}  {name[:110]}")
    if options.json:
        options.json.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""What is installed, what was built, and whether the parts fit together.

Imports nothing of `engine` at the top: it must work, and say why, exactly where `engine` cannot be imported.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("engine", "explorer")
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    topic: str
    status: str
    """``ok``, ``note`` (works, but not as well as it could) or ``problem``."""
    text: str
    remedy: str = ""

    def to_dict(self) -> dict[str, str]:
        """Return the fields for JSON."""
        return asdict(self)


def examine() -> list[Finding]:
    """Make every check; one that fails itself becomes a problem of its topic."""
    checks: dict[str, Callable[[], Iterator[Finding]]] = {
        "ohmscape": _ohmscape,
        "import names": _shadowing,
        "requirements": _requirements,
        "kernels": _kernels,
        "torch": _torch,
        "GPU": _gpu,
    }
    findings: list[Finding] = []
    for topic, check in checks.items():
        try:
            findings.extend(check())
        except Exception as problem:  # the report must be complete whatever is broken
            text = " ".join(f"{type(problem).__name__}: {problem}".split())
            findings.append(Finding(topic, "problem", text, "Install ohmscape again in a new environment."))
    return findings


def _ohmscape() -> Iterator[Finding]:
    system = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    try:
        version = metadata.version("ohmscape")
    except metadata.PackageNotFoundError:
        yield Finding("ohmscape", "problem", f"{ROOT} is not installed; {system}",
                      "Install it: pip install -e . (or make app).")  # fmt: skip
        return
    yield Finding("ohmscape", "ok", f"{version} in {ROOT}; {system}")


# --- import names ---------------------------------------------------------------------------------------------


def origin_in_new_python(name: str, folder: Path, flags: tuple[str, ...] = ()) -> Path | None:
    """Return where ``import name`` comes from in a Python started in ``folder``, or None if it is not found."""
    code = f"import importlib.util as u; s = u.find_spec({name!r}); print(s.origin or '' if s else '')"
    done = subprocess.run(
        [sys.executable, *flags, "-c", code], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    return Path(done.stdout.strip()).resolve() if done.stdout.strip() else None


def shadow_findings(name: str, origins: set[Path | None]) -> Iterator[Finding]:
    """Name every place other than ours that ``import name`` was seen to come from."""
    ours = ROOT / name / "__init__.py"
    for origin in origins - {ours}:
        if origin is None:
            remedy = "Install ohmscape again."
        else:
            own = origin.parent if origin.name == "__init__.py" else origin
            remedy = f"Rename {own}, or start Python in another folder."
        yield Finding("import names", "problem", f"'import {name}' gives {origin}, not {ours}", remedy)


def _shadowing() -> Iterator[Finding]:
    """A module of the same name in the working folder or in another distribution hides ours."""
    findings: list[Finding] = []
    for name in PACKAGES:
        in_new_python = origin_in_new_python(name, Path.cwd())
        here = getattr(sys.modules.get(name), "__file__", None)
        findings += shadow_findings(name, {in_new_python, Path(here).resolve() if here else in_new_python})
        for other in _other_owners(name):
            text = f"the distribution '{other}' also installs '{name}'"
            findings.append(Finding("import names", "problem", text, f"Uninstall one: pip uninstall {other}."))
    yield from findings or [Finding("import names", "ok", f"engine and explorer are ours, also in {Path.cwd()}")]


def _other_owners(name: str) -> list[str]:
    owners = metadata.packages_distributions().get(name, [])
    return sorted({owner for owner in owners if owner.lower() != "ohmscape"})


# --- what is installed ----------------------------------------------------------------------------------------


def _requirements() -> Iterator[Finding]:
    from packaging.requirements import Requirement

    unmet = []
    wanted = [Requirement(line) for line in metadata.requires("ohmscape") or []]
    needed = [item for item in wanted if item.marker is None or item.marker.evaluate({"extra": ""})]
    for item in needed:
        try:
            version = metadata.version(item.name)
        except metadata.PackageNotFoundError:
            unmet.append(f"{item.name} is missing")
            continue
        if not item.specifier.contains(version, prereleases=True):
            unmet.append(f"{item.name} is {version}, needs {item.specifier}")
    if unmet:
        yield Finding("requirements", "problem", "; ".join(unmet), "Install ohmscape again: pip install -U ohmscape.")
    else:
        yield Finding("requirements", "ok", f"all {len(needed)} required packages are here in a fitting version")


# --- what was built -------------------------------------------------------------------------------------------


def _kernels() -> Iterator[Finding]:
    import engine.ops

    info = engine.ops.build_info()
    threads = "OpenMP" if info["openmp"] else "no OpenMP"
    yield Finding("kernels", "ok", f"built by {info['compiler']}, {threads}, devices: {', '.join(info['devices'])}")
    yield from instruction_set_findings(info)
    if not info["openmp"]:
        yield Finding("kernels", "note", "built without OpenMP: one thread only",
                      "Install OpenMP (macOS: brew install libomp) and build again.")  # fmt: skip
    yield from _build_mismatches(info)


def instruction_set_findings(info: dict[str, Any]) -> Iterator[Finding]:
    """Compare what was built with what the CPU has and what is used."""
    built, usable, used = info["isa_built"], info["isa_available"], info["isa"]
    best = [isa for isa in built if isa in usable][-1]  # both lists go from plain to wide
    text = f"instruction set in use: {used} (built: {', '.join(built)}; this CPU has: {', '.join(usable)})"
    if used == best:
        yield Finding("kernels", "ok", text)
    else:
        yield Finding("kernels", "note", text, f"{best} would be faster; something has chosen {used}.")


def _build_mismatches(info: dict[str, Any]) -> Iterator[Finding]:
    installed = metadata.version("ohmscape")
    if info.get("version", installed) != installed:
        yield Finding("kernels", "problem", f"compiled for {info['version']}, installed is {installed}",
                      "Build again: pip install -e . (or make app).")  # fmt: skip
    sources = ROOT / "engine" / "csrc"
    if not (sources / "bindings.cpp").exists():
        return  # a wheel: its sources cannot change
    newest = max(path.stat().st_mtime for path in sources.rglob("*") if path.is_file())
    compiled = Path(str(sys.modules["engine._core"].__file__))
    if newest > compiled.stat().st_mtime:
        yield Finding("kernels", "note", f"{compiled} is older than its sources",
                      "If you have changed them, build again: pip install -e . (or make app).")  # fmt: skip


# --- torch and GPU --------------------------------------------------------------------------------------------


def _torch() -> Iterator[Finding]:
    import torch

    yield Finding("torch", "ok", f"{torch.__version__}, {torch.get_num_threads()} threads")


def _gpu() -> Iterator[Finding]:
    """A machine without a GPU is healthy; one whose GPU lies idle for want of a package is told so."""
    from engine.cuda.availability import availability

    found = availability()
    idle = found.state not in ("available", "not built", "no driver", "no GPU")
    yield Finding("GPU", "note" if idle else "ok", f"{found.state}: {found.text}", found.remedy if idle else "")
    yield from _gpu_compiler()


def _gpu_compiler() -> Iterator[Finding]:
    from engine.cuda import cache, compiler
    from engine.errors import CudaError

    try:
        version = ".".join(map(str, compiler.nvrtc_version()))
    except CudaError as missing:
        yield Finding(
            "GPU", "ok", f"no kernels for GPUs can be compiled here: {str(missing).partition('. Install')[0]}"
        )
        return
    kept = sum(1 for _ in cache.folder().glob("*.cubin"))
    yield Finding(
        "GPU", "ok", f"NVRTC of CUDA {version} compiles kernels for GPUs; {kept} are kept in {cache.folder()}"
    )

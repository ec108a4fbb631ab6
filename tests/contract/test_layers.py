# SPDX-License-Identifier: Apache-2.0
"""docs/architecture.md as a test: data flows from left to right, a file imports only from its left.

Read from the syntax tree, so nothing is imported and an import inside a function counts too.
"""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# From left to right; a name stands for all below it but the two packages themselves. The longest counts.
ORDER = [
    ("engine", "engine.errors"),
    ("engine.shapes",),
    ("engine.cuda.program",),
    ("engine.cuda.compiler",),
    ("engine.cuda.cache", "engine.cuda.availability"),
    ("engine.cuda.driver",),
    ("engine.ops", "engine.product_call", "engine.cuda"),  # the kernels of the CPU and of a GPU: either calls the other
    ("engine.quantity", "engine.rng", "engine.likelihood", "engine.chip_ops"),
    ("engine.parts",),
    ("engine.devices",),
    ("engine.presets",),
    ("engine.tiles",),
    ("engine.nn",),
    ("engine.inference",),
    ("engine.optim",),
    ("engine.recipes",),
    ("explorer.networks", "explorer.fitting", "explorer.interchange", "explorer.palette", "explorer.durations",
     "explorer.home"),
    ("explorer.experiments",),
    ("explorer.results", "explorer.assessment"),
    ("explorer.jobs",),
    ("explorer.assessment",),
    # parameters only: what a view is given
    ("explorer.labs.history", "explorer.labs.link", "explorer.labs.state", "explorer.labs.tile_state",
     "explorer.labs.drift_state"),
    ("explorer.views", "explorer.figures", "explorer.report_page", "explorer.fit_report", "explorer.retention_report",
     "explorer.serving"),
    ("explorer.labs",),
    ("explorer", "explorer.diagnosis"),
    ("explorer.cli",),
    ("apps",),
]
RANK = {prefix: rank for rank, line in enumerate(ORDER) for prefix in line}
GUI = {"panel", "holoviews", "bokeh", "panel_material_ui", "matplotlib"}
WITHOUT_GUI = (
    "explorer.networks",
    "explorer.fitting",
    "explorer.interchange",
    "explorer.experiments",
    "explorer.results",
    "explorer.assessment",
    "explorer.jobs",
)
ENGINE_NEEDS = {"numpy", "torch", "param", "tomli_w"}
# scipy is imported where it is used: sparse circuits, sorted repairs, distributions, a global search
FOR_CIRCUITS = {
    m: {"scipy"}
    for m in ("engine.tiles.nodal", "engine.tiles.faults", "engine.inference.noise.log_time_relaxation",
              "engine.inference.wpo")
}
FOR_A_GPU = {"cuda"}  # cuda-bindings, imported where a GPU is used


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


FILES = {module_name(p): p for folder in ("engine", "explorer", "apps") for p in sorted((ROOT / folder).rglob("*.py"))}


def absolute(node: ast.ImportFrom, module: str) -> str:
    """Return the full name of what a ``from ... import`` names."""
    if not node.level:
        return node.module or ""
    package = module if FILES[module].name == "__init__.py" else module.rpartition(".")[0]
    parents = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*parents, *([node.module] if node.module else [])])


def imports(module: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(FILES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = absolute(node, module)
            # "from engine import ops" names a module, "from engine.ops import philox" one of its functions.
            found |= {f"{base}.{a.name}" if f"{base}.{a.name}" in FILES else base for a in node.names}
            found |= {f"{base}._core" for a in node.names if a.name == "_core"}
    return found - {module}


def prefix_of(module: str) -> str:
    parts = module.split(".")
    for size in range(len(parts), 0, -1):
        prefix = ".".join(parts[:size])
        if prefix in RANK and (prefix == module or prefix not in ("engine", "explorer")):
            return prefix
    pytest.fail(f"{module}: stands in no layer; add it to ORDER and to docs/architecture.md")


def test_files_were_found():
    assert {"engine.ops", "engine.tiles.tile", "explorer.experiments.base", "apps.device_lab"} <= set(FILES)
    assert "engine._core" in imports("engine.ops")
    assert imports("explorer.experiments.training") >= {"engine.nn", "explorer.networks"}


@pytest.mark.parametrize("module", FILES)
def test_module_imports_only_from_its_left(module):
    own = prefix_of(module)
    for other in imports(module):
        if other.split(".")[0] not in ("engine", "explorer", "apps") or other == "engine._core":
            continue
        their = prefix_of(other)
        assert RANK[their] <= RANK[own], f"{module} imports {other}, which is on its right"


@pytest.mark.parametrize("module", [m for m in FILES if m.split(".")[0] == "engine"])
def test_engine_needs_numpy_torch_param_only(module):
    outside = {name.split(".")[0] for name in imports(module)} - set(sys.stdlib_module_names) - {"engine"}
    more = FOR_A_GPU if module.startswith("engine.cuda") else FOR_CIRCUITS.get(module, set())
    assert outside <= ENGINE_NEEDS | more


@pytest.mark.parametrize("module", [m for m in FILES if m.startswith(WITHOUT_GUI)])
def test_experiments_results_jobs_fits_have_no_gui_in_them(module):
    assert not {name.split(".")[0] for name in imports(module)} & GUI


@pytest.mark.parametrize(
    ("imported", "importer"), [("engine._core", "engine.ops"), ("panel_material_ui", "explorer.views.theme")]
)
def test_module_has_a_single_importer(imported, importer):
    found = {m for m in FILES if any(n == imported or n.startswith(f"{imported}.") for n in imports(m))}
    assert found == {importer}


@pytest.mark.parametrize("module", FILES)
def test_file_has_its_licence_and_is_short(module):
    lines = FILES[module].read_text(encoding="utf-8").splitlines()
    if lines:
        assert lines[0] == "# SPDX-License-Identifier: Apache-2.0"
    assert len(lines) < (50 if module.startswith("apps") else 400)
    assert FILES[module].stem not in ("utils", "helpers", "common")

# SPDX-License-Identifier: Apache-2.0
"""Every notebook runs from its first cell to its last, in a kernel of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CELL_LIMIT_S = 300


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_to_its_end(path, request):
    # Imported here: both bring along grammars of addresses, which takes three seconds in every process of a test run.
    import nbclient
    import nbformat

    others = (getattr(item.module, "NOTEBOOK", None) for item in request.session.items if hasattr(item, "module"))
    if path in others:
        pytest.skip("a test of the same run does it in JupyterLab; to start a kernel once more takes half a minute")
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=CELL_LIMIT_S, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}
    )
    client.execute()  # raises with the traceback of the first cell that fails
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source]
    assert code
    assert all(cell.execution_count for cell in code)

"""The notebooks run from top to bottom, without a warning, and are kept without outputs."""

from __future__ import annotations

import os
from pathlib import Path

import nbclient
import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
STRICT = "import warnings\n\nwarnings.simplefilter('error')"


def run(notebook: Path, monkeypatch: pytest.MonkeyPatch, scratch: Path) -> nbformat.NotebookNode:
    """Execute a notebook in its own folder; a warning in it is an error."""
    # The kernel is another process: it finds the packages by path where they are not installed.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(scratch / name.lower()))
    node = nbformat.read(notebook, as_version=4)
    node.cells.insert(0, nbformat.v4.new_code_cell(STRICT))
    node.cells.append(nbformat.v4.new_code_cell("warnings.resetwarnings()"))  # the kernel's own end is not our matter
    client = nbclient.NotebookClient(node, timeout=120, resources={"metadata": {"path": str(notebook.parent)}})
    return client.execute()


RUN = [pytest.param(path, marks=pytest.mark.heavy) if path.stem == "client" else path for path in NOTEBOOKS]


@pytest.mark.parametrize("notebook", RUN, ids=lambda path: path.stem)
def test_notebook_runs_without_warnings(notebook, monkeypatch, tmp_path):
    done = run(notebook, monkeypatch, tmp_path)
    outputs = [output for cell in done.cells if cell.cell_type == "code" for output in cell.outputs]
    complaints = [output.text for output in outputs if output.get("name") == "stderr"]
    assert complaints == []
    assert any("application/vnd.plotly.v1+json" in output.get("data", {}) for output in outputs)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_kept_without_outputs(notebook):
    code = [cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)


def test_there_is_a_quickstart():
    assert ROOT / "notebooks" / "quickstart.ipynb" in NOTEBOOKS

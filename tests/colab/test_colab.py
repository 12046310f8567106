"""Colab, imitated: a kernel with google.colab in it, and ipywidgets 7.7, which `make test-colab` puts into IPYWIDGETS7.

It proves the Python side only. What a browser shows in Colab is not tried here.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbclient
import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = [path for path in sorted((ROOT / "notebooks").glob("*.ipynb")) if path.stem != "glossary"]  # no code
ADDRESS = re.search('Repository = "(.+?)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8")).group(1)


@pytest.fixture
def colab(tmp_path, monkeypatch):
    """The environment of a kernel in Colab; the value is the log of what was asked of Colab."""
    ipython = tmp_path / "ipython"
    startup = ipython / "profile_default" / "startup"
    startup.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("kernel.ipy"), startup / "00-colab.ipy")
    monkeypatch.setenv("IPYTHONDIR", str(ipython))
    monkeypatch.setenv("COLAB_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([os.environ["IPYWIDGETS7"], os.environ.get("PYTHONPATH", "")]))
    return tmp_path / "log"


SHOWS_A_WIDGET = """from kldanneal.lab import GaussianKL, start

start()
GaussianKL()"""


def run(*command, timeout=1200):
    return subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=timeout)


def first_code_cell(path):
    return next(cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")


def execute(*sources):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    return ["".join(output.get("text", "") for output in cell.outputs) for cell in notebook.cells]


def test_there_are_notebooks():
    assert len(NOTEBOOKS) >= 5


def test_the_kernel_has_ipywidgets_7_7_and_a_google_colab(colab):
    (printed,) = execute("import ipywidgets, google.colab.output\nprint(ipywidgets.__version__)")
    assert printed.startswith("7.7.")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_set_up_cell_and_the_widgets_run_unchanged(colab, path):
    """The other cells do not ask where they run; `make test` runs them."""
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    wanted = [cell.source for cell in code[1:] if {"widget-setup", "widget"} & set(cell.metadata.get("tags", []))]
    execute(code[0].source, *wanted)  # an error in a cell is raised here
    assert set(colab.read_text(encoding="utf-8").splitlines()) == {
        "widget manager on"
    }  # and no pip: nothing was missing


def test_a_widget_is_shown_with_colabs_manager_and_a_picture_for_readers_without_a_kernel(colab):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SHOWS_A_WIDGET)])
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    *_, output = notebook.cells[0].outputs
    view = "application/vnd.jupyter.widget-view+json"
    assert output.metadata[view]["colab"]["custom_widget_manager"]["url"].startswith("https://colab.invalid/")
    assert output.data[view]["model_id"] and output.data["image/png"]
    assert output.data["text/plain"].startswith("The KL of one latent dimension. ")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_set_up_cell_installs_the_package_only_where_it_is_missing(colab, path, monkeypatch):
    monkeypatch.setenv("MISSING", "kldanneal")
    (printed,) = execute(first_code_cell(path).source)
    asked, manager = colab.read_text(encoding="utf-8").splitlines()
    assert asked == f'pip install -q "kldanneal[colab] @ git+{ADDRESS}"'
    assert manager == "widget manager on"
    assert printed.startswith("kldanneal ") and "training on" in printed


def test_nothing_that_colab_has_would_be_replaced(tmp_path):
    """pip's own plan, in an environment that has torch, ipywidgets and the rest already."""
    report = tmp_path / "report.json"
    ran = run("-m", "pip", "install", "--quiet", "--dry-run", "--report", str(report), ".[colab]")
    assert ran.returncode == 0, ran.stderr
    planned = {item["metadata"]["name"] for item in json.loads(report.read_text(encoding="utf-8"))["install"]}
    assert planned == {"kldanneal"}

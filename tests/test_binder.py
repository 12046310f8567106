"""Binder's environment, conda's and pyproject.toml agree, and so does CITATION.cff; tests/package asks repo2docker."""

import os
import re
import shutil
import subprocess

import pytest
import yaml  # jupyterlab brings it
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from test_packaging import PROJECT, ROOT, extra

import kldanneal

#: conda-forge's name for a package that has another one in pyproject.toml.
CONDA_NAMES = {"torch": "pytorch-cpu", "matplotlib": "matplotlib-base"}
BINDER, LOCAL = (
    yaml.safe_load((ROOT / path).read_text(encoding="utf-8")) for path in ("binder/environment.yml", "environment.yml")
)
ADDRESS = PROJECT["project"]["urls"]["Repository"]


def installed(environment):
    """The conda packages and the pip packages of an environment, as {name: the versions allowed}."""
    _, *conda, pip = environment["dependencies"]
    return [{r.name: str(r.specifier) for r in map(Requirement, lines)} for lines in (conda, pip["pip"])]


@pytest.mark.parametrize("environment", [BINDER, LOCAL], ids=["binder", "local"])
def test_an_environment_holds_torch_and_the_extra_notebooks_with_the_same_bounds(environment):
    (torch,) = map(Requirement, PROJECT["project"]["dependencies"])
    requirements = extra("notebooks") | {"torch": torch}
    declared = {name: str(requirement.specifier) for name, requirement in requirements.items()}
    conda, pip = installed(environment)
    assert conda.pop("pip") == ""  # the installer of the section below
    assert pip == {"torchtext": declared.pop("torchtext")}  # conda-forge has no such release
    assert conda == {CONDA_NAMES.get(name, name): bounds for name, bounds in declared.items()}


@pytest.mark.parametrize("environment", [BINDER, LOCAL], ids=["binder", "local"])
def test_an_environment_asks_for_one_python_that_the_package_supports(environment):
    # where it is a range, repo2docker takes Python 3.10
    python = re.fullmatch(r"python=(3\.\d+)", environment["dependencies"][0])
    assert SpecifierSet(PROJECT["project"]["requires-python"]).contains(python[1])
    assert environment["channels"] == ["conda-forge"]


def test_the_two_environments_are_one():
    assert BINDER == LOCAL


def test_binder_holds_all_that_binder_reads():
    # with this folder there, repo2docker leaves out what the root has of these
    assert sorted(path.name for path in (ROOT / "binder").iterdir()) == ["environment.yml", "postBuild"]
    for name in ("postBuild", "start", "apt.txt", "requirements.txt", "runtime.txt", "Dockerfile", ".binder"):
        assert not (ROOT / name).exists()


def test_post_build_can_be_run():
    script = ROOT / "binder" / "postBuild"
    staged = subprocess.run(["git", "ls-files", "-s", "binder/postBuild"], cwd=ROOT, capture_output=True, text=True)
    assert staged.stdout.startswith("100755 ") if staged.stdout else os.access(script, os.X_OK)
    assert script.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash\nset -euo pipefail\n")
    if bash := shutil.which("bash"):
        subprocess.run([bash, "-n", str(script)], check=True)


def test_the_badge_opens_the_first_notebook():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (opened,) = re.findall(r"\[!\[[^\]]*\]\(https://mybinder\.org/badge_logo\.svg\)\]\((.+?)\)", readme)
    first = min((ROOT / "notebooks").glob("*.ipynb"))
    repository = ADDRESS.removeprefix("https://github.com/")
    assert opened == f"https://mybinder.org/v2/gh/{repository}/main?urlpath=lab/tree/notebooks/{first.name}"


def test_the_citation_agrees_with_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()  # what version 1.2.0 asks for
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == kldanneal.__version__
    assert citation["repository-code"] == ADDRESS
    assert citation["license"] == PROJECT["project"]["license"]
    assert citation["authors"] == PROJECT["project"]["authors"]
    assert set(citation["keywords"]) == set(PROJECT["project"]["keywords"])

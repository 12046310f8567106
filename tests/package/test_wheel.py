"""The sdist and the wheel, as `pip install` and Binder use them: built from the tracked files, tried elsewhere."""

import email
import hashlib
import importlib.metadata
import os
import re
import shutil
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch
from elsewhere import ROOT, copy_of_the_repository, environment_on_top, new_environment, run
from test_types import PROGRAM, check, mypy, pyright

import kldanneal

SCRIPT = Path(__file__).with_name("digits.py")
OURS = {"kldanneal/py.typed"}
OURS |= {
    path.relative_to(ROOT).as_posix()
    for kind in ("py", "json", "css", "html", "js")
    for path in (ROOT / "kldanneal").rglob(f"*.{kind}")
}


def found_here():
    """The kldanneal that this environment has installed, if any."""
    path = [sysconfig.get_path("purelib")]
    return [found.version for found in importlib.metadata.distributions(name="kldanneal", path=path)]


def contents(wheel):
    """The files of a wheel that are not about itself, with a digest of each."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in names}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return copy_of_the_repository(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def built(checkout, tmp_path_factory):
    """The sdist, the wheel that was built from it, and a wheel that was built from the checkout."""
    dist, direct = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("direct")
    run(sys.executable, "-m", "build", "--outdir", dist, checkout, cwd=dist)
    run(sys.executable, "-m", "build", "--wheel", "--outdir", direct, checkout, cwd=direct)
    (sdist,), (wheel,), (direct_wheel,) = dist.glob("*.tar.gz"), dist.glob("*.whl"), direct.glob("*.whl")
    return sdist, wheel, direct_wheel


@pytest.fixture(scope="module")
def practitioner(built, tmp_path_factory):
    """The Python of an environment with the wheel, torch as it is here, scikit-learn, and nothing else of ours."""
    python = new_environment(tmp_path_factory.mktemp("environment") / "clean")
    version = torch.__version__.partition("+")[0]  # as TORCH in the Makefile: a range could fetch a CUDA build
    for packages in ([f"torch=={version}"], [built[1], "scikit-learn"]):
        run(python, "-m", "pip", "install", "--quiet", *packages, cwd=python.parent)
    return python


# ------------------------------------------------------------------------------------------------------- what is built


def test_the_wheel_holds_the_package_and_nothing_else(built):
    assert contents(built[1]).keys() == OURS
    assert built[1].name == f"kldanneal-{kldanneal.__version__}-py3-none-any.whl"


def test_the_sdist_builds_the_wheel_that_the_checkout_builds(built):
    sdist, wheel, direct = built
    assert contents(wheel) == contents(direct)
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert OURS | {"pyproject.toml", "README.md", "LICENSE"} <= names
    assert not [name for name in names if name.startswith((".git/", ".github", ".venv", "build/", "notebooks"))]


def test_twine_finds_nothing_wrong(built):
    said = run(sys.executable, "-m", "twine", "check", "--strict", *built[:2], cwd=built[0].parent)
    assert re.sub(r"\x1b\[\d+m", "", said.stdout).count("PASSED") == 2


def test_the_metadata_says_the_version_the_extras_and_the_licence(built):
    with zipfile.ZipFile(built[1]) as archive:
        folder = f"kldanneal-{kldanneal.__version__}.dist-info"
        metadata = email.message_from_bytes(archive.read(f"{folder}/METADATA"))
        assert archive.read(f"{folder}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
    assert metadata["Version"] == kldanneal.__version__
    without_extra = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    assert [re.match(r"[\w-]+", line)[0] for line in without_extra] == ["torch"]
    assert {"colab", "notebooks", "test"} <= set(metadata.get_all("Provides-Extra"))


# --------------------------------------------------------------------------------------------- pip install kldanneal


def test_the_wheel_works_with_torch_alone(practitioner, tmp_path):
    code = """
import importlib.util, kldanneal
assert "site-packages" in kldanneal.__file__, kldanneal.__file__
print(kldanneal.__version__, kldanneal.Annealer(4).schedule(5), kldanneal.VAELoss())
print([name for name in ("matplotlib", "ipywidgets", "torchtext", "jupyterlab") if importlib.util.find_spec(name)])
"""
    ran = run(practitioner, "-W", "error", "-c", code, cwd=tmp_path)
    version, *expected = kldanneal.__version__, kldanneal.Annealer(4).schedule(5), kldanneal.VAELoss()
    assert ran.stdout.splitlines() == [f"{version} {expected[0]} {expected[1]}", "[]"]


@pytest.mark.parametrize("command", [["python", "-m", "kldanneal"], ["kldanneal"]], ids=" ".join)
def test_the_command_says_in_one_line_which_extra_is_missing(practitioner, tmp_path, command):
    program = practitioner.with_name(command[0] + practitioner.suffix)
    ran = run(program, *command[1:], "compare", cwd=tmp_path, succeeds=False)
    assert (ran.returncode, ran.stdout) == (2, "")
    (line,) = ran.stderr.splitlines()
    assert line.startswith("kldanneal: error: ") and 'pip install "kldanneal[notebooks]"' in line


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_type_checkers_find_the_wheel(practitioner, tmp_path, checker):
    check(checker, PROGRAM, tmp_path, practitioner)


def test_a_vae_of_ones_own_trains_and_resumes(practitioner, tmp_path):
    script = shutil.copy(SCRIPT, tmp_path)
    # the script asserts what it shows; one thread, for on a busy machine several mostly wait
    ran = run(practitioner, "-W", "error::UserWarning", script, cwd=tmp_path, OMP_NUM_THREADS="1")
    lines = ran.stdout.splitlines()
    assert len(lines) == 13 and lines[-1] == "resumed equals uninterrupted, bit for bit"
    first, last = (float(re.search(r"-ELBO +(\S+)", line)[1]) for line in (lines[0], lines[-2]))
    assert last < first - 2
    assert lines[-2].endswith("weight 1.00")
    assert {path.name for path in tmp_path.iterdir()} == {"digits.py", "checkpoint.pt"}


def test_the_sdist_installs(practitioner, built, tmp_path):
    run(
        practitioner,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        tmp_path / "there",
        built[0],
        cwd=tmp_path,
    )
    code = "import kldanneal; print(kldanneal.__file__); print(kldanneal.Annealer(2).schedule(3))"
    ran = run(practitioner, "-c", code, cwd=tmp_path, PYTHONPATH=str(tmp_path / "there"))
    assert ran.stdout.splitlines() == [str(tmp_path / "there" / "kldanneal" / "__init__.py"), "[0.0, 0.5, 1.0]"]


# ------------------------------------------------------------------------------------------------------------- Binder


def test_binders_post_build_installs_the_package_and_fills_the_caches(checkout, tmp_path):
    # An environment on top of this one, which has all that Binder's has but conda.
    python, site = environment_on_top(tmp_path / "environment")
    home = tmp_path / "home"
    home.mkdir()
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR"):
        assert name not in os.environ, f"{name} would be used in place of a home folder"
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    before = found_here()
    run(checkout / "binder" / "postBuild", cwd=checkout, PATH=path, HOME=str(home))
    assert (site / "kldanneal" / "lab" / "results" / "map.json").is_file()
    assert found_here() == before  # what is below is as it was
    cached = {path.name for path in home.rglob("*") if path.is_file()}
    assert any(name.startswith("docstrings-") for name in cached) and any("fontlist" in name for name in cached)
    ran = run(python.with_name("kldanneal"), "schedule", "cyclical", cwd=tmp_path, HOME=str(home))
    assert "cyclical" in ran.stdout
